"""The process that is scanned while it signs: a holder's signing desk, and what becomes of leases.

    LD_BIND_NOW=1 python -m tests.memory_scan.signing_target FOLDER MODULE BACKEND BEHAVIOUR

Two holders of one wallet are in it; the first one's secrets are looked for. It never learns what
the scanner knows. BEHAVIOUR is `careful`, or `leaking`: then it keeps a copy of each secret.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.signing import SigningDesk
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.errors import BadInput, HsmMpcError, ProtocolAbort, Tampered
from hsm_mpc.groups import libsecp256k1
from hsm_mpc.protocols.frost_bip340 import lists, nonces, partial
from hsm_mpc.protocols.frost_bip340.nonces import PUBLIC_NONCE_BYTES, PublicNonce
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.protocols.leases import LIFETIME
from hsm_mpc.protocols.signing_messages import PartialPayload
from hsm_mpc.requests import Request
from hsm_mpc.secure.arena import Arena, Secret, publish
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.secure.mapping import Backend
from hsm_mpc.secure.process import harden, run_shielded
from hsm_mpc.taproot.derivation import Path as KeyPath
from hsm_mpc.wire.envelope import parse_envelope
from tests.memory_scan import signing_secrets
from tests.memory_scan.checkpoints import (
    around_the_content,
    checkpoint,
    replaced,
    stop_opened,
    stop_unwrapped,
    stopping_after,
    tell,
)
from tests.memory_scan.scene import SigningFolder
from tests.memory_scan.signing_secrets import Factors
from tests.memory_scan.signing_world import (
    payload_of,
    resigned,
    with_known_pattern,
    world_again,
)

THREADS: Final = 4
SIGNATURES: Final = 4
"""By each thread."""

OTHER_PATH: Final = KeyPath(index=7)
NO_POINTS: Final = b"\x02" + b"\xff" * (PUBLIC_NONCE_BYTES - 1)
FAILURES: Final = (ProtocolAbort, Tampered, BadInput)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with a COMMIT of each holder."""

    request: Request
    own: bytes
    other: bytes


Around = Callable[[], AbstractContextManager[None]]
Spoil = Callable[[Asked], Asked]


class Signer:
    """The first holder at its desk, with a clock that only the test moves."""

    def __init__(self, folder: SigningFolder, softhsm: str, backend: Backend) -> None:
        self.arena = Arena(1024 * 1024, backend)
        mapping = self.arena._mapping
        checkpoint(f"pages {mapping.address} {mapping.length}")
        self.now = 0.0
        self.certificate = Certificate.from_bytes(folder.certificate.read_bytes())
        self.world = world_again(folder, softhsm, self.arena)
        self.other = self.world.parties[2]
        self.party = self.world.parties[1]
        with_known_pattern(self.party.acting.entropy)
        self.desk = SigningDesk(self.party.acting, self.party.wallets, lambda: self.now)
        terms = self.certificate.body.terms
        self.wallet = self.party.wallets.signing(terms.wallet_id, self.certificate.body.hash)
        self.channels = self.world.channels()
        checkpoint("logged in")

    def asked(self, around: Around = nullcontext) -> Asked:
        """REQUEST → COMMIT."""
        request, sent = self.world.requested(self.certificate, os.urandom(40))
        (other,) = self.other.desk.request(sent)
        with around():
            (own,) = self.desk.request(sent)
        return Asked(request, own, other)

    def signed(self, asked: Asked, around: Around = nullcontext) -> None:
        """SIGN → PARTIAL."""
        sign = self.world.listed(self.certificate, asked.request, (asked.own, asked.other))
        with around():
            (answer,) = self.desk.sign(sign, self.channels)
        released = PartialPayload.from_bytes(parse_envelope(answer).payload)
        nonce = payload_of(asked.own).public_nonce
        tell(f"partial {nonce.hex()} {released.signature.hex()}")

    def sign(self, around: Around = nullcontext) -> None:
        """Both, and a checkpoint after each."""
        asked = self.asked(around)
        checkpoint("committed")
        self.signed(asked, around)
        checkpoint("released")

    def let_expire(self) -> None:
        """A lease that nobody comes back for."""
        self.asked()
        checkpoint("committed")
        self.now += LIFETIME
        self.desk.expire()
        checkpoint("expired")

    def sign_often(self) -> None:
        """As a busy signer does: from several threads, nobody looking."""

        def work() -> None:
            for _ in range(SIGNATURES):
                self.signed(self.asked())

        threads = [threading.Thread(target=run_shielded, args=(work,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        checkpoint("many signed")

    def abort_in_every_way(self) -> None:
        key: Any = self.wallet.key
        other_key = key._tweaked(OTHER_PATH)
        self.abort("own COMMIT replaced", spoil=self.with_own_replaced)
        self.abort("nonce no point", spoil=self.with_nonce_no_point)
        self.abort(
            "output key changed",
            around=lambda: replaced(key, "_tweaked", lambda _: other_key),
        )
        self.abort("result wrong", around=lambda: replaced(partial, "_right_side", lambda *_: None))

    def abort(
        self,
        name: str,
        spoil: Spoil = lambda asked: asked,
        around: Around = nullcontext,
    ) -> None:
        """Spoil a SIGN; a checkpoint while the exception lives, and one afterwards."""

        def work() -> None:
            asked = spoil(self.asked())
            try:
                self.signed(asked, around)
            except HsmMpcError as failure:
                kind = next(each for each in FAILURES if isinstance(failure, each))
                checkpoint(f"{name}: {kind.__name__}")
            else:
                checkpoint(f"{name}: signed")

        run_shielded(work)
        checkpoint(f"{name}: over")

    def with_own_replaced(self, asked: Asked) -> Asked:
        nonce = payload_of(asked.other).public_nonce
        return replace(asked, own=resigned(self.party, asked.own, nonce))

    def with_nonce_no_point(self, asked: Asked) -> Asked:
        return replace(asked, other=resigned(self.other, asked.other, NO_POINTS))


@contextmanager
def followed(holder: ActingHolder) -> Iterator[None]:
    """Tell what the scanner needs for each nonce and each signature, all of it public."""

    def drawing(entropy: Entropy, share: Secret, public: bytes, into: Secret) -> object:
        if entropy is holder.entropy:
            tell(f"nonce {public.hex()}")
        return draw(entropy, share, public, into)

    def signing(session: Session, index: int, nonce: PublicNonce, *secrets: Secret) -> object:
        factors = factors_of(session, index)
        tell(f"factors {nonce.hex()} {factors.b} {factors.f} {factors.c}")
        return sign(session, index, nonce, *secrets)

    with (
        replaced(lists, "draw_nonce", drawing) as draw,
        replaced(lists, "sign_partial", signing) as sign,
    ):
        yield


def factors_of(session: Session, index: int) -> Factors:
    return Factors(session.nonce_factor, session.nonce_sign, session.share_factor(index))


@contextmanager
def stopping_everywhere() -> Iterator[None]:
    """A checkpoint after each call that reads a secret or writes one."""
    steps: tuple[tuple[Any, str, str], ...] = (
        (libsecp256k1, "tagged_sha256", "hashed"),
        (libsecp256k1, "point_of", "multiplied with G"),
        (libsecp256k1, "multiply", "multiplied"),
        (libsecp256k1, "add", "added"),
        (libsecp256k1, "negate", "negated"),
        (nonces, "_exclusive_or", "joined"),
    )
    with ExitStack() as stack:
        for module, function, name in steps:
            stack.enter_context(stopping_after(module, function, name))
        stack.enter_context(around_the_content(stop_unwrapped, stop_opened))
        yield


@contextmanager
def leaking() -> Iterator[None]:
    """Keep a copy of everything, as if C code or Python had made it."""
    kept: list[bytes] = []

    def keep(secret: Secret) -> None:
        kept.append(publish(secret))

    def keeping(session: Session, index: int, nonce: PublicNonce, *secrets: Secret) -> object:
        secret_nonce, share = (publish(secret) for secret in secrets)
        halves = {"k_1": secret_nonce[:32], "k_2": secret_nonce[32:]}
        factors = factors_of(session, index)
        kept.extend(halves.values())
        kept.extend(signing_secrets.secrets_of_randomness(share).values())
        kept.extend(signing_secrets.secrets_of_products(share, halves, factors).values())
        signature = sign(session, index, nonce, *secrets)
        checkpoint("copies kept")
        return signature

    with around_the_content(keep, keep), replaced(lists, "sign_partial", keeping) as sign:
        yield


def main() -> None:
    path, softhsm, backend, behaviour = sys.argv[1:]
    checkpoint("started")
    harden()
    signer = run_shielded(
        lambda: Signer(SigningFolder(Path(path)), softhsm, cast("Backend", backend))
    )
    with followed(signer.party.acting):
        if behaviour == "leaking":
            run_shielded(lambda: signer.sign(leaking))
        else:
            go_all_ways(signer)


def go_all_ways(signer: Signer) -> None:
    run_shielded(lambda: signer.sign(stopping_everywhere))
    checkpoint("thread over")
    run_shielded(signer.sign)
    run_shielded(signer.let_expire)
    signer.sign_often()
    signer.abort_in_every_way()
    gc.collect()
    checkpoint("all over")
    signer.arena.close()
    checkpoint("arena closed")


if __name__ == "__main__":
    main()
