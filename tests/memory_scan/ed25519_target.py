"""The process that is scanned while it signs with an Ed25519 wallet.

    LD_BIND_NOW=1 python -m tests.memory_scan.ed25519_target FOLDER MODULE BACKEND BEHAVIOUR

As signing_target.py, for the other scheme.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.protocols.frost_ed25519 import lists
from hsm_mpc.protocols.frost_ed25519 import partial as partial_signatures
from hsm_mpc.protocols.frost_ed25519.session import Session
from hsm_mpc.secure import sodium, sodium_ed25519
from hsm_mpc.secure.arena import Secret, move_bytes, publish
from hsm_mpc.secure.entropy import Entropy
from tests.memory_scan import ed25519_secrets
from tests.memory_scan.checkpoints import (
    around_the_content,
    checkpoint,
    replaced,
    tell,
)
from tests.memory_scan.ed25519_secrets import pattern
from tests.memory_scan.signer import Signer, Stop, run


@contextmanager
def followed(holder: ActingHolder) -> Iterator[None]:
    """Draw known patterns, and tell what the scanner needs for each nonce and each signature."""
    numbers = count()

    def drawing(entropy: Entropy, share: Secret, into: Secret) -> object:
        if entropy is not holder.entropy:
            return draw(entropy, share, into)
        number = next(numbers)
        tell(f"nonce {number}")
        return draw(_with_pattern(entropy, number), share, into)

    def signing(session: Session, index: int, *secrets: Secret) -> object:
        nonce = listed_here.nonce
        rho, factor = _factors(session, index)
        tell(f"factors {nonce} {rho} {factor}")
        return sign(session, index, *secrets)

    def checked(task: Any, lease: Any, listed: Any) -> Session:
        listed_here.nonce = lease.public_nonce.hex()
        session: Session = check(task, lease, listed)
        return session

    listed_here = threading.local()
    with (
        replaced(lists, "draw_nonce", drawing) as draw,
        replaced(lists, "checked_session", checked) as check,
        replaced(lists, "sign_partial", signing) as sign,
    ):
        yield


def _factors(session: Session, index: int) -> tuple[int, int]:
    """ρ and c·λ of holder `index`."""
    rho = session.binding_factors[session.signers.position(index)]
    return rho, session.share_factor(index)


def _with_pattern(entropy: Entropy, number: int) -> Entropy:
    """Generators of one nonce; the token is asked all the same."""
    known = Entropy()

    def from_hsm(pointer: int, length: int) -> None:
        entropy.hsm_fill(pointer, length)
        move_bytes(pointer, pattern("hsm", number, length), length)

    known.hsm_fill = from_hsm
    known.os_fill = lambda pointer, length: move_bytes(
        pointer, pattern("system", number, length), length
    )
    return known


STEPS: Final[tuple[Stop, ...]] = (
    (sodium, "sha256", "drawn"),
    (sodium, "sha512", "hashed"),
    (sodium_ed25519, "reduce", "reduced"),
    (sodium_ed25519, "is_scalar", "found a scalar"),
    (sodium_ed25519, "point_of", "multiplied with B"),
    (sodium_ed25519, "multiply", "multiplied"),
    (sodium_ed25519, "add", "added"),
)
"""What reads a secret or writes one: module, function, and what has happened then."""


@contextmanager
def leaking() -> Iterator[None]:
    """Keep a copy of everything, as if C code or Python had made it."""
    kept: list[bytes] = []

    def keep(secret: Secret) -> None:
        kept.append(publish(secret))

    def keeping(session: Session, index: int, *secrets: Secret) -> object:
        share = publish(secrets[1])
        nonce = ed25519_secrets.secrets_of_nonce(share, 0)
        products = ed25519_secrets.secrets_of_products(share, nonce, *_factors(session, index))
        kept.extend(nonce.values())
        kept.extend(products.values())
        signature = sign(session, index, *secrets)
        checkpoint("copies kept")
        return signature

    with around_the_content(keep, keep), replaced(lists, "sign_partial", keeping) as sign:
        yield


def abort_in_every_way(signer: Signer) -> None:
    signer.abort("own COMMIT replaced", spoil=signer.with_own_replaced)
    signer.abort("nonce no point", spoil=signer.with_nonce_no_point)
    signer.abort(
        "result wrong",
        around=lambda: replaced(partial_signatures, "_right_side", lambda *_: None),
    )


if __name__ == "__main__":
    run(followed, STEPS, leaking, abort_in_every_way)
