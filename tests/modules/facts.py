"""All facts of one module, found by our own code in a process of its own.

    python -m tests.modules.facts FOLDER     a holder's folder as the lab makes it, without a token

Prints one JSON document: a fact's name to what was found, or to `{"failed": "TYPE: text"}`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from hsm_mpc.app import holder as holder_app
from hsm_mpc.app import token as token_app
from hsm_mpc.app.holder import find_token
from hsm_mpc.config import HolderConfig, load_holder
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.hsm import giveaways, keys, objects
from hsm_mpc.hsm.administration import library
from hsm_mpc.hsm.cryptoki import Attribute, address_of, ffi
from hsm_mpc.hsm.listing import listing
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.hsm.register import Register, Registers
from hsm_mpc.hsm.selftest import require_capabilities, self_test
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.secure.arena import Arena, Secret
from hsm_mpc.secure.process import run_shielded
from tests.modules import shares
from tests.named_steps import observed
from tests.softhsm import secret_of

WALLET = WalletId(b"wallet of facts.")


class Site:
    """A token, with what is needed to try things on it."""

    def __init__(self, folder: Path) -> None:
        self.config_path = folder / "holder.yaml"
        self.so_pin_source = f"file:{folder / 'so-pin'}"
        self.config: HolderConfig = load_holder(self.config_path)
        self.arena = Arena(64 * 1024)

    @property
    def token(self) -> Token:
        return find_token(self.config)

    def created(self) -> dict[str, str]:
        """`token init` on a new token."""
        made = token_app.create(self.config_path, self.so_pin_source, prompt=False)
        return {"label": made.label, "serial": made.serial}

    def created_again(self) -> object:
        return token_app.create(self.config_path, self.so_pin_source, prompt=False)

    def found(self) -> dict[str, str]:
        """By label and serial, as exactly one."""
        info = self.token.info()
        again = self.token.module.find(info.label, info.serial_text)
        assert again.slot == info.slot
        return {"manufacturer": info.manufacturer, "pin": info.pin_state.name}

    def another_serial(self) -> object:
        return self.token.module.find(self.config.hsm.token, "another")

    def shared(self) -> str:
        """What python-pkcs11 is told by the module as we initialised it."""
        face = library(self.token.module)
        assert not face.initialized
        return str(face.manufacturer_id)

    def wrong_pin(self) -> dict[str, object]:
        """A wrong PIN of the right length, and how often it reaches the token."""
        token = self.token
        wrong = secret_of(self.arena, b"0" * self._right_pin().size)
        tries: list[tuple[str, str]] = []
        with observed(lambda when, name: tries.append((when, name))):
            refused = _outcome(lambda: token.login(wrong))
        return {
            "refused": refused,
            "tries": tries.count(("before", "token.login")),
            "pin": token.info().pin_state.name,
        }

    def logged_in(self) -> str:
        """The right PIN, vouched for as `holder login` does."""
        self.token.login(self._right_pin(), despite_warning=True)
        self.token.require_sight()
        return self.token.info().pin_state.name

    def random(self) -> int:
        """How many different draws of 32 bytes come out of four."""
        draws = set()
        for _ in range(4):
            drawn = ffi.new("CK_BYTE[32]")
            self.token.fill_random(address_of(drawn), len(drawn))
            draws.add(bytes(drawn))
        return len(draws)

    def uses(self) -> dict[str, object]:
        """What the self-test finds for new keys, and what it would have used first."""
        tried = self_test(self.token)
        assert tried.capabilities is not None
        return {
            "wrapping": tried.capabilities.wrapping.value,
            "identity": tried.capabilities.identity.name,
            "instead_of": [reason for found in tried.findings for reason in found.instead_of],
        }

    def wrapping_key(self) -> list[bool]:
        """Whether one is found: before it is made, when it is, and after it is destroyed."""
        name = os.urandom(keys.KEY_ID_BYTES), keys.wrapping_label(WALLET)
        seen = [keys.find_wrapping_key(self.token, *name) is not None]
        made = keys.generate_wrapping_key(self.token, *name)
        seen.append(keys.wrapping_key(self.token, *name) == made)
        keys.destroy(self.token, made)
        return [*seen, keys.find_wrapping_key(self.token, *name) is not None]

    def register(self) -> list[bool]:
        """Whether one reads as it was written last, and is gone in the end."""
        first, second = (Register(EpochHash(bytes(32)), promised=bytes([n]) * 10) for n in (1, 2))
        seen = []
        for wanted in (first, second):
            Registers(self.token).write(WALLET, wanted)
            seen.append(Registers(self.token).read(WALLET) == wanted)
        seen.append(Registers(self.token).wallet_ids() == (WALLET,))
        Registers(self.token).destroy(WALLET)
        return [*seen, Registers(self.token).read(WALLET) is None]

    def register_form(self) -> str:
        registers = Registers(self.token)
        registers.write(WALLET, Register(EpochHash(bytes(32))))
        form = registers.form_of(WALLET)
        registers.destroy(WALLET)
        return form.words

    def gives_away(self) -> list[str]:
        return [found.name for found in giveaways.giveaways(self.token)]

    def accepted_by_nobody(self) -> None:
        token = self.token
        token.accepted_findings = frozenset()  # until `self.token` is asked for again
        giveaways.require_accepted(token)

    def left_behind(self) -> int:
        """Objects in the token after all of this."""
        return len(objects.matching(self.token, {Attribute.TOKEN: objects.TRUE}))

    def init_accepting_nothing(self) -> str:
        """`holder init` where the configuration accepts no finding, and what it leaves then."""
        document = yaml.safe_load(self.config_path.read_text("utf-8"))
        document["hsm"].pop("accept_findings", None)
        strict = self.config_path.with_name("strict.yaml")
        strict.write_text(yaml.safe_dump(document), "utf-8")
        try:
            return holder_app.init(strict, prompt=False).algorithm
        finally:
            self.token.accepted_findings = frozenset(self.config.hsm.accept_findings)

    def init(self) -> str:
        """`holder init` as the lab configures it."""
        return holder_app.init(self.config_path, prompt=False).algorithm

    def keys(self) -> list[str]:
        """What `holder init` has made."""
        return [key.label for key in listing(self.token) if not key.differences]

    def share(self) -> bool:
        """Whether one is opened that was sealed under what `uses` found; it stays for others."""
        found = require_capabilities(self.token)
        folder = self.config_path.parent

        def sealed_and_opened() -> bool:
            shares.seal_in(folder, self.token, self.arena, found.wrapping)
            return shares.opens(shares.found_in(folder, self.token), self.arena)

        return run_shielded(sealed_and_opened)

    def _right_pin(self) -> Secret:
        return PinSource.parse(self.config.hsm.pin_source).read(self.arena).secret


IN_ORDER: tuple[Callable[[Site], object], ...] = (
    Site.created,
    Site.created_again,
    Site.found,
    Site.another_serial,
    Site.shared,
    Site.wrong_pin,
    Site.logged_in,
    Site.random,
    Site.uses,
    Site.wrapping_key,
    Site.register,
    Site.register_form,
    Site.gives_away,
    Site.accepted_by_nobody,
    Site.left_behind,
    Site.init_accepting_nothing,
    Site.init,
    Site.keys,
    Site.share,
)


def _outcome(fact: Callable[[], object]) -> Any:
    try:
        return fact()
    except HsmMpcError as failure:
        return {"failed": f"{type(failure).__name__}: {failure}"}


def main() -> None:
    site = Site(Path(sys.argv[1]))
    facts = {fact.__name__: _outcome(partial(fact, site)) for fact in IN_ORDER}
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main()
