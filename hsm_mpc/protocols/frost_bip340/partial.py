"""One partial signature: made in place at the signer, verified by anybody.

Steps 3.1.6, 3.1.7, 3.4.11 to 3.4.13.
"""

from __future__ import annotations

from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort, Tampered
from hsm_mpc.groups.secp256k1 import SCALAR_BYTES, SECP256K1
from hsm_mpc.protocols.frost_bip340.nonces import SECRET_NONCE_BYTES, PublicNonce
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.secure.arena import Secret, opened, publish_at, release_all


def sign_partial(
    session: Session, index: int, own_nonce: PublicNonce, secret_nonce: Secret, share: Secret
) -> bytes:
    """The partial signature of holder `index`, 32 public bytes, verified before they are released.

    Consumes both secrets: `secret_nonce` (k_1 ‖ k_2, 64 bytes) and `share` (d, 32 bytes) are
    changed in place, wiped and given back, whatever happens.

    Raises:
        BadInput: `index` is not among the signers; k_1, k_2 or d is no scalar or 0 (step 3.1.6).
        ProtocolAbort: c, or a sum on the way, is 0 (steps 3.4.10, 1.8.4).
        Tampered: d is not the share that the epoch certifies (step 3.4.8), or the result does not
            verify: a fault, or memory that somebody wrote (step 3.4.12).
    """
    with opened(secret_nonce, share) as (k1, d):
        try:
            if (secret_nonce.size, share.size) != (SECRET_NONCE_BYTES, SCALAR_BYTES):
                raise BadInput("a secret nonce has 64 bytes and a share 32")
            u = k1 + SCALAR_BYTES
            _require_scalars(k1, u, d)
            public_share = session.signers.public_share(index)
            if SECP256K1.public_point_at(d) != public_share:  # step 3.4.8
                raise Tampered("the opened share is not the one that the epoch certifies")
            factor = session.share_factor(index)
            if factor == 0:
                raise ProtocolAbort("the challenge times the Lagrange factor is 0")  # step 3.4.10
            _add_up(session, factor, k1, u, d)
            right = _right_side(session, factor, own_nonce, public_share)
            if not SECP256K1.is_canonical_nonzero_at(d) or SECP256K1.public_point_at(d) != right:
                raise Tampered("a partial signature of our own does not verify: not released")
            return publish_at(d, SCALAR_BYTES)  # released by step 3.4.12
        finally:
            release_all((secret_nonce, share))  # wiped when this window closes


def _add_up(session: Session, factor: int, k1: int, k2: int, d: int) -> None:
    """At d: s = f·(k_1 + b·k_2) + c·d; at k2: its first term (step 3.4.11)."""
    SECP256K1.multiply_public_at(k2, session.nonce_factor)
    SECP256K1.add_at(k2, k1)
    if session.nonce_sign < 0:
        SECP256K1.negate_at(k2)
    SECP256K1.multiply_public_at(d, factor)
    SECP256K1.add_at(d, k2)


def verify_partial(
    session: Session, index: int, public_nonce: PublicNonce, signature: bytes
) -> None:
    """Whether 32 bytes are the partial signature of holder `index` in this session (step 3.1.7).

    Raises:
        BadInput: `index` is not among the signers.
        ProtocolAbort: they are not. Who is to blame is whoever's envelope they came in: the
            equation alone proves nothing about who made them (step 3.5.1).
    """
    public_share = session.signers.public_share(index)
    factor = session.share_factor(index)
    try:
        holds = _equation_holds(session, factor, signature, public_nonce, public_share)
    except BadEncoding as error:
        raise ProtocolAbort(f"partial signature of holder {index}: {error}", [index]) from error
    if not holds:
        raise ProtocolAbort(f"the partial signature of holder {index} is wrong", [index])


def _equation_holds(
    session: Session, factor: int, signature: bytes, nonce: PublicNonce, public_share: bytes
) -> bool:
    """s·G = f·(N_1 + b·N_2) + c·P, as N_1 + b·N_2 + (f·c·P − f·s·G) = O (step 3.1.7)."""
    sign, b = session.nonce_sign, session.nonce_factor
    scalar = SECP256K1.parse_scalar(signature)
    return SECP256K1.sums_to_identity(
        nonce.first, nonce.second, b, public_share, sign * factor, -sign * scalar
    )


def _right_side(
    session: Session, factor: int, nonce: PublicNonce, public_share: bytes
) -> bytes | None:
    """f·(N_1 + b·N_2) + c·P: what s·G is to be, while s is a secret still (step 3.4.12)."""
    sign, b = session.nonce_sign, session.nonce_factor
    return SECP256K1.linear_combination(
        ((sign, nonce.first), (sign * b, nonce.second), (factor, public_share))
    )


def _require_scalars(k1: int, k2: int, d: int) -> None:
    """Step 3.1.6: all three are scalars other than 0, so a wiped nonce never signs."""
    if not (SECP256K1.is_canonical_nonzero_at(k1) and SECP256K1.is_canonical_nonzero_at(k2)):
        raise BadInput("a secret nonce is no scalar, or 0: it was used before")
    if not SECP256K1.is_canonical_nonzero_at(d):
        raise BadInput("a share is no scalar, or 0")
