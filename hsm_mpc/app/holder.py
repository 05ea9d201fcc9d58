"""A holder, opened: memory, store, token and identity key joined; `holder init`, `login`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from hsm_mpc.agent.own_identity import kept_card, kept_identity
from hsm_mpc.app.peers import pinned_roster
from hsm_mpc.app.protection import protect
from hsm_mpc.card import Card, UnsignedCard
from hsm_mpc.config import HolderConfig, load_holder
from hsm_mpc.errors import (
    BackendError,
    BadConfig,
    BadInput,
    NotReady,
    PinRefused,
)
from hsm_mpc.hsm import canary, giveaways, keys, profiles
from hsm_mpc.hsm.capabilities import Capabilities, Wrapping
from hsm_mpc.hsm.identity import Identity, OwnIdentity
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.hsm.recovery import HESITATION
from hsm_mpc.hsm.selftest import require_capabilities
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import HolderIndex, WalletId
from hsm_mpc.roster import Roster
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.store.epochs import Epochs
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.store.refused_pin import Fingerprint
from hsm_mpc.tags import Tag

__all__ = ["protect"]

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Created:
    """What `holder init` made. Everything is public."""

    name: str
    lab: bool
    token: str
    serial: str
    profile: str
    """By its name, and whether it was tried on the hardware."""
    algorithm: str
    wrapping: str
    """How the token will wrap data keys: aes-gcm, rsa-oaep-sha256 or rsa-oaep-sha1."""
    identity_key: bytes
    card: Path


OTHER_KEY: Final = (
    "it takes part in the wallets that a repair or a rotation has given this one, and in a new one "
    "once everybody pins a roster with it"
)
"""What follows where a roster has another identity key of a holder."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A token that took its PIN."""

    token: str
    serial: str


@dataclass(frozen=True, slots=True)
class OpenHolder:
    """A holder whose token is logged in and whose store is locked for this process."""

    config: HolderConfig
    arena: Arena
    entropy: Entropy
    token: Token
    store: HolderStore

    def index(self) -> HolderIndex:
        """This holder's place in the roster that its operator trusts.

        Raises:
            NotReady: no roster is configured.
            BadConfig: this holder's name is not in it.
        """
        return own_index(self._roster_file(), self.config.name)

    def is_replaced(self) -> bool:
        """Whether that roster has another identity key of this holder: its HSM was lost, and this
        is a new one; or the key was rotated. It has a part in the wallets that are repaired onto
        it, or whose rosters the rotation has changed (steps 6.7.2 and 6.7.9).

        Raises:
            As `index` and `identity`.
        """
        return self.roster().member(self.index()).key != self.identity().key

    def roster(self) -> Roster:
        """The roster that this holder's operator trusts.

        Raises:
            NotReady: no roster is configured.
            BadConfig: the file cannot be read, or is no roster.
        """
        return pinned_roster(self._roster_file())

    def identity(self) -> OwnIdentity:
        """The identity key.

        Raises:
            NotReady: `holder init` was not run.
            Tampered: it was, and the token has lost the key, or is another holder's.
        """
        identity = kept_identity(self.token, self.store)
        if identity is None:
            raise NotReady("this holder has no identity key yet: run hsm-mpc holder init")
        return identity

    def epochs(self) -> Iterator[tuple[WalletId, Epochs]]:
        """What the store has of each wallet, by its id.

        Raises:
            As `index` and `identity`, if there is a wallet at all.
        """
        wallet_ids = self.store.wallet_ids()
        if not wallet_ids:
            return
        index, identity = self.index(), self.identity()
        for wallet_id in wallet_ids:
            yield wallet_id, self.store.wallet(wallet_id, index, identity.sign, identity.verify)

    def _roster_file(self) -> Path:
        if self.config.roster is None:
            raise NotReady("no roster is configured: holder.yaml names none")
        return self.config.roster


def now() -> datetime:
    """The time, for audit lines and records."""
    return datetime.fromtimestamp(time.time(), UTC)


def shielded(work: Callable[[], _Result]) -> _Result:
    """Run `work` where no signal can spill a register that holds a secret."""
    return run_shielded(work)


def load_module(config: HolderConfig) -> Module:
    """The configured module, with the configured profile.

    Raises:
        BackendError, BadConfig: as `Module.load`.
    """
    hsm = config.hsm
    module = Module.load(hsm.module, hsm.environment, hsm.parameters)
    module.profile = None if hsm.profile is None else profiles.named(hsm.profile)
    return module


def find_token(config: HolderConfig) -> Token:
    """The configured token, not logged in.

    Raises:
        BackendError: module not loadable, or token absent.
        BadConfig: the token is there twice.
    """
    token = load_module(config).token(config.hsm.token, config.hsm.serial)
    token.accepted_findings = frozenset(config.hsm.accept_findings)
    return token


def log_in(
    config: HolderConfig, token: Token, store: HolderStore, arena: Arena, *, prompt: bool
) -> None:
    """Log in with the configured PIN, unless the token refused it before.

    Raises:
        PinRefused: it was refused now (and that is on disk), or before and did not change.
        BadInput: it would have to be asked for, and nobody may be asked.
    """
    source = _pin_source(config, prompt)
    changed = store.refused_pin.check(source.fingerprint())
    _try_pin(source, token, store, arena, despite_warning=changed)


def _let_it_recover(config: HolderConfig, token: Token, store: HolderStore, arena: Arena) -> None:
    token.recovery.log_in_again = partial(log_in_again, config, token, store, arena)
    if not PinSource.parse(config.hsm.pin_source).can_be_read_again:
        token.recovery.hesitation = HESITATION


def log_in_again(config: HolderConfig, token: Token, store: HolderStore, arena: Arena) -> None:
    """The token came back without its login: read the PIN once more, and try it as at a start.

    Raises:
        PinRefused: as `log_in`; or the PIN came from a descriptor or a prompt, and is gone.
        BackendError, BadConfig: the token does not answer, or the PIN's file is not there.
    """
    source = PinSource.parse(config.hsm.pin_source)
    if not source.can_be_read_again:
        raise PinRefused(
            f"{token.where}: its login is lost, and the PIN came from {config.hsm.pin_source}: "
            "start this signer by hand"
        )
    log_in(config, token, store, arena, prompt=False)


def _try_pin(
    source: PinSource, token: Token, store: HolderStore, arena: Arena, *, despite_warning: bool
) -> None:
    pin = source.read(arena, f"PIN of token {token.label}: ")
    try:
        shielded(lambda: token.login(pin.secret, despite_warning=despite_warning))
    except PinRefused as refused:
        _remember(store, pin.fingerprint, refused)
        raise
    finally:
        pin.secret.release()
    store.refused_pin.forget()


def _remember(store: HolderStore, source: Fingerprint | None, refused: PinRefused) -> None:
    """The refusal stands on disk before the process ends; whatever happens it stays a refusal."""
    try:
        store.refused_pin.remember(source)
    except BackendError as unwritten:
        message = f"{refused}; and that cannot be written down: {unwritten}: do not start again"
        raise PinRefused(message) from unwritten


def _pin_source(config: HolderConfig, prompt: bool) -> PinSource:
    source = PinSource.parse(config.hsm.pin_source)
    if source.kind == "prompt" and not prompt:
        raise BadInput("the PIN would be asked for on the terminal, and --no-input forbids it")
    return source


@contextmanager
def opened(config_path: Path, *, prompt: bool, create: bool = False) -> Iterator[OpenHolder]:
    """Open everything a holder's verb needs, close it at the end. It may prompt: main thread only.

    Args:
        create: make the store if it is not there (`holder init`).
    """
    config = load_holder(config_path)
    with ExitStack() as stack:
        arena = Arena(config.memory.kib * 1024, config.memory.backend)
        stack.callback(arena.close)
        open_store = HolderStore.create if create else HolderStore.open
        store = stack.enter_context(open_store(config.store))
        token = find_token(config)
        log_in(config, token, store, arena, prompt=prompt)
        _let_it_recover(config, token, store, arena)
        canary.arm(token)
        yield OpenHolder(config, arena, Entropy(token.fill_random), token, store)


def own_index(roster_file: Path, name: str) -> HolderIndex:
    """The index of the holder `name` in a roster file.

    Raises:
        BadConfig: the file cannot be read, is no roster, or has no such holder.
    """
    roster = pinned_roster(roster_file)
    try:
        return roster.index_of(name)
    except BadInput as absent:
        raise BadConfig(f"roster {roster_file}: {absent}") from absent


def init(config_path: Path, prompt: bool) -> Created:
    """`holder init`: capabilities, identity key, canary key, card. What is there already stays.

    Raises:
        Refused: the token lacks a capability, gives keys away that the configuration does not
            accept, or its keys have other attributes than they must.
        BackendError: the token is away, which is never taken for a lack.
    """
    with opened(config_path, prompt=prompt, create=True) as holder:
        capabilities = require_capabilities(holder.token)
        giveaways.require_accepted(holder.token)
        identity = _identity_made(holder, capabilities)
        _canary_made(holder.token, capabilities.wrapping)
        unsigned = UnsignedCard(
            holder.config.lab, holder.config.name, identity.key, holder.config.address
        )
        kept = kept_card(holder.store)
        if kept is None or kept.content != unsigned:
            card = Card(unsigned, identity.sign(Tag.CARD, unsigned.to_bytes()))
            fields = {"name": unsigned.name, "identity_key": identity.key.encoded.hex()}
            holder.store.audit.append("holder-init", now(), fields)
            holder.store.audit.checkpoint(now(), identity.sign)
            holder.store.keep_card(card.to_bytes())  # last: without it all of this is done again
        return Created(
            name=holder.config.name,
            lab=holder.config.lab,
            token=holder.token.label,
            serial=holder.token.info().serial_text,
            profile=str(holder.token.profile),
            algorithm=identity.key.algorithm.name,
            wrapping=capabilities.wrapping.value,
            identity_key=identity.key.encoded,
            card=holder.config.store / "card",
        )


def _identity_made(holder: OpenHolder, capabilities: Capabilities) -> OwnIdentity:
    """A token keeps the identity key that it has, whatever else it could do by now."""
    identity = kept_identity(holder.token, holder.store)
    if identity is not None:
        identity.require_attributes()
        return identity
    pair = keys.generate_identity_key(holder.token, capabilities.identity)
    return OwnIdentity(Identity(holder.token, pair))


def _canary_made(token: Token, wrapping: Wrapping) -> None:
    key = keys.find_canary_key(token, wrapping.key_class)
    if key is None:
        key = keys.generate_canary_key(token, wrapping)
    keys.require_attributes(token, key)
    canary.arm(token)


def login(config_path: Path, prompt: bool) -> Opened:
    """`holder login`: somebody vouches for the PIN; it is tried once more, whatever was before."""
    config = load_holder(config_path)
    with ExitStack() as stack:
        arena = Arena(config.memory.kib * 1024, config.memory.backend)
        stack.callback(arena.close)
        store = stack.enter_context(HolderStore.open(config.store))
        token = find_token(config)
        source = _pin_source(config, prompt)
        _try_pin(source, token, store, arena, despite_warning=True)
        return Opened(token.label, token.info().serial_text)
