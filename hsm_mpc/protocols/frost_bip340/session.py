"""The values that all signers of one signature share (step 3.1.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import BadInput
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1
from hsm_mpc.protocols.frost_bip340.nonces import AggregateNonce
from hsm_mpc.protocols.frost_bip340.signers import SignerSet
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey, is_odd
from hsm_mpc.tags import Tag, tagged_hash

_GENERATOR: Final = SECP256K1.parse_point(
    bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
)


@dataclass(frozen=True, slots=True)
class Session:
    """One message under one key by one set of signers with one list of nonces. All of it public."""

    signers: SignerSet
    key: TweakedKey
    nonce_factor: int
    """b: how much of the second nonces enters."""
    nonce: bytes
    """R, compressed."""
    challenge: int
    """e."""
    cancelled: bool
    """Whether R_1 + b·R_2 = O, for which R = G stands: the sum of its right partial signatures is
    no signature."""

    @classmethod
    def of(
        cls, signers: SignerSet, key: TweakedKey, nonces: AggregateNonce, message: bytes
    ) -> Session:
        """Step 3.1.5; a message has any length.

        Raises:
            BadInput: b or e is 0.
        """
        binding = signers.encoded_ids + nonces.to_bytes() + key.x_only + message
        b = _hash_to_scalar(Tag.BIP445_NONCECOEF, binding)
        effective = _effective(nonces, b)
        nonce = effective or _GENERATOR
        e = _hash_to_scalar(Tag.BIP340_CHALLENGE, nonce[1:] + key.x_only + message)
        return cls(signers, key, b, nonce, e, effective is None)

    @property
    def nonce_sign(self) -> int:
        """f: 1 if R has an even y, else −1."""
        return -1 if is_odd(self.nonce) else 1

    def share_factor(self, index: int) -> int:
        """c = e·λ·gQ·gacc mod q: how much of holder `index`'s share enters (step 3.4.10)."""
        return self.challenge * self.signers.factor(index) * self.key.sign * self.key.gacc % ORDER


def _effective(nonces: AggregateNonce, factor: int) -> bytes | None:
    """R_1 + b·R_2."""
    if nonces.second is None:
        return nonces.first
    if nonces.first is None:
        return SECP256K1.multiply(nonces.second, factor)
    return SECP256K1.add_multiple(nonces.first, nonces.second, factor)


def _hash_to_scalar(tag: Tag, message: bytes) -> int:
    scalar = int.from_bytes(tagged_hash(tag, message), "big") % ORDER
    if scalar == 0:
        raise BadInput(f"{tag.value} gives 0")
    return scalar
