"""The process that is scanned while it signs: a holder's signing desk, and what becomes of leases.

    LD_BIND_NOW=1 python -m tests.memory_scan.signing_target FOLDER MODULE BACKEND BEHAVIOUR

Two holders of one wallet are in it; the first one's secrets are looked for. It never learns what
the scanner knows. BEHAVIOUR is `careful`, or `leaking`: then it keeps a copy of each secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.groups import libsecp256k1
from hsm_mpc.protocols.frost_bip340 import lists, nonces
from hsm_mpc.protocols.frost_bip340 import partial as partial_signatures
from hsm_mpc.protocols.frost_bip340.nonces import PublicNonce
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.secure.arena import Secret, publish
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.taproot.derivation import Path as KeyPath
from tests.memory_scan import signing_secrets
from tests.memory_scan.checkpoints import (
    around_the_content,
    checkpoint,
    replaced,
    tell,
)
from tests.memory_scan.signer import Signer, Stop, run
from tests.memory_scan.signing_secrets import Factors
from tests.memory_scan.signing_world import with_known_pattern

OTHER_PATH: Final = KeyPath(index=7)


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


@contextmanager
def followed_in_a_pattern(holder: ActingHolder) -> Iterator[None]:
    """As `followed`, with nonces drawn from what the scanner knows."""
    with_known_pattern(holder.entropy)
    with followed(holder):
        yield


def factors_of(session: Session, index: int) -> Factors:
    return Factors(session.nonce_factor, session.nonce_sign, session.share_factor(index))


STEPS: Final[tuple[Stop, ...]] = (
    (libsecp256k1, "tagged_sha256", "hashed"),
    (libsecp256k1, "point_of", "multiplied with G"),
    (libsecp256k1, "multiply", "multiplied"),
    (libsecp256k1, "add", "added"),
    (libsecp256k1, "negate", "negated"),
    (nonces, "_exclusive_or", "joined"),
)
"""What reads a secret or writes one: module, function, and what has happened then."""


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


def abort_in_every_way(signer: Signer) -> None:
    key: Any = signer.wallet.key
    other_key = key._tweaked(OTHER_PATH)
    signer.abort("own COMMIT replaced", spoil=signer.with_own_replaced)
    signer.abort("nonce no point", spoil=signer.with_nonce_no_point)
    signer.abort(
        "output key changed",
        around=lambda: replaced(key, "_tweaked", lambda _: other_key),
    )
    signer.abort(
        "result wrong",
        around=lambda: replaced(partial_signatures, "_right_side", lambda *_: None),
    )


if __name__ == "__main__":
    run(followed_in_a_pattern, STEPS, leaking, abort_in_every_way)
