"""One partial signature: made in place at the signer, verified by anybody.

Steps 4.3.5, 4.3.6, 4.4.2, 4.4.4 and 4.6.
"""

from __future__ import annotations

from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort, Tampered
from hsm_mpc.groups.ed25519 import ED25519, SCALAR_BYTES
from hsm_mpc.protocols.frost_ed25519.nonces import SECRET_NONCE_BYTES
from hsm_mpc.protocols.frost_ed25519.session import Session
from hsm_mpc.secure.arena import Secret, opened, publish_at, release_all


def sign_partial(session: Session, index: int, secret_nonce: Secret, share: Secret) -> bytes:
    """The partial signature of holder `index`, 32 public bytes, verified before they are released.

    Consumes both secrets: `secret_nonce` (d ‖ e, 64 bytes) and `share` (x, 32 bytes) are changed in
    place, wiped and given back, whatever happens.

    Raises:
        BadInput: `index` is not among the signers; d, e or x is no scalar or 0.
        ProtocolAbort: ρ, c·λ or a sum on the way is 0 (steps 4.4.4, 1.8.4).
        Tampered: x is not the share that the epoch certifies (step 4.4.2), or the result does not
            verify: a fault, or memory that somebody wrote (step 4.6).
    """
    with opened(secret_nonce, share) as (d, x):
        try:
            if (secret_nonce.size, share.size) != (SECRET_NONCE_BYTES, SCALAR_BYTES):
                raise BadInput("a secret nonce has 64 bytes and a share 32")
            e = d + SCALAR_BYTES
            _require_scalars(d, e, x)
            position = session.signers.position(index)
            if ED25519.public_point_at(x) != session.signers.public_shares[position]:
                raise Tampered("the opened share is not the one that the epoch certifies")  # 4.4.2
            binding, factor = session.binding_factors[position], session.share_factor(index)
            if binding == 0 or factor == 0:  # step 4.4.4
                raise ProtocolAbort("a binding factor, or the challenge times λ, is 0")
            ED25519.multiply_public_at(e, binding)
            ED25519.add_at(e, d)
            ED25519.multiply_public_at(x, factor)
            ED25519.add_at(x, e)
            right = _right_side(session, index)
            if not ED25519.is_canonical_nonzero_at(x) or ED25519.public_point_at(x) != right:
                raise Tampered("a partial signature of our own does not verify: not released")
            return publish_at(x, SCALAR_BYTES)  # released by step 4.6
        finally:
            release_all((secret_nonce, share))  # wiped when this window closes


def verify_partial(session: Session, index: int, signature: bytes) -> None:
    """Whether 32 bytes are the partial signature of holder `index` in this session (step 4.3.6).

    Raises:
        BadInput: `index` is not among the signers.
        ProtocolAbort: they are not. Who is to blame is whoever's envelope they came in: the
            equation alone proves nothing about who made them (step 3.5.1).
    """
    try:
        holds = _equation_holds(session, index, signature)
    except BadEncoding as error:
        raise ProtocolAbort(f"partial signature of holder {index}: {error}", [index]) from error
    if not holds:
        raise ProtocolAbort(f"the partial signature of holder {index} is wrong", [index])


def _equation_holds(session: Session, index: int, signature: bytes) -> bool:
    """z·B − c·λ·Y_i = D_i + ρ_i·E_i (step 4.3.6)."""
    position = session.signers.position(index)
    public_share = session.signers.public_shares[position]
    scalar = ED25519.parse_scalar(signature)
    factor = session.share_factor(index)
    rest = ED25519.multiply_with_base(public_share, -factor, scalar)
    return rest == session.effective[position]


def _right_side(session: Session, index: int) -> bytes | None:
    """D_i + ρ_i·E_i + c·λ·Y_i: what z·B is to be, while z is a secret still (step 4.6)."""
    position = session.signers.position(index)
    share = (session.share_factor(index), session.signers.public_shares[position])
    effective = session.effective[position]
    return ED25519.linear_combination([share] if effective is None else [share, (1, effective)])


def _require_scalars(d: int, e: int, x: int) -> None:
    """All three are scalars other than 0, so a wiped nonce never signs."""
    if not (ED25519.is_canonical_nonzero_at(d) and ED25519.is_canonical_nonzero_at(e)):
        raise BadInput("a secret nonce is no scalar, or 0: it was used before")
    if not ED25519.is_canonical_nonzero_at(x):
        raise BadInput("a share is no scalar, or 0")
