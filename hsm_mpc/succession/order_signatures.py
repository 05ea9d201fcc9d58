"""Who has signed an order: administrators by their places in the policy, or holders by index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import InvalidSignature
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.policy.rules import Administrators
from hsm_mpc.tags import Tag

Keys = Mapping[int, Sequence[VerifyingKey]]
"""Of whoever may sign: one of these keys."""


def keys_of(administrators: Administrators) -> Keys:
    """Of the administrators that a policy names, counted from 0."""
    return {number: [key] for number, key in enumerate(administrators.keys)}


def signature_in(encoded: bytes) -> OrderSignature:
    """One signature of an order. Raises: BadInput: it is none."""
    reader = Reader(encoded, "signature of an order")
    signature = OrderSignature.read(reader)
    reader.end()
    return signature


def check_signed(
    tag: Tag, terms: bytes, signatures: Sequence[OrderSignature], keys: Keys, wanted: int
) -> None:
    """So many different ones have signed, and nobody else.

    Raises:
        InvalidSignature: they have not.
    """
    signers = [signature.admin for signature in signatures]
    if len(signers) < wanted or sorted(set(signers)) != signers:
        raise InvalidSignature(f"order: {wanted} different signatures are wanted, ascending")
    for signature in signatures:
        if not any(_is_signed(tag, terms, key, signature) for key in keys.get(signature.admin, ())):
            raise InvalidSignature(f"order: {signature.admin} may not sign it, or has not")


def _is_signed(tag: Tag, terms: bytes, key: VerifyingKey, signature: OrderSignature) -> bool:
    if key.algorithm is not signature.algorithm:
        return False
    try:
        key.verify(tag, terms, signature.signature)
    except InvalidSignature:
        return False
    return True
