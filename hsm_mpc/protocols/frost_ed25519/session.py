"""The values that all signers share (steps 4.3.2 to 4.3.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.groups.ed25519 import ED25519, ORDER, hash_to_scalar
from hsm_mpc.protocols.frost_ed25519.nonces import CONTEXT, PublicNonce
from hsm_mpc.protocols.frost_ed25519.signers import SignerSet, identifier

_RHO: Final = CONTEXT + b"rho"
_MSG: Final = CONTEXT + b"msg"
_COM: Final = CONTEXT + b"com"


@dataclass(frozen=True, slots=True)
class Session:
    """One message under one key by one set of signers with one list of nonces. All of it public."""

    signers: SignerSet
    binding_factors: tuple[int, ...]
    """ρ_i, parallel to the signers: how much of e_i enters."""
    effective: tuple[bytes | None, ...]
    """D_i + ρ_i·E_i, parallel to the signers."""
    nonce: bytes
    """R."""
    challenge: int
    """c."""

    @classmethod
    def of(cls, signers: SignerSet, nonces: Sequence[PublicNonce], message: bytes) -> Session:
        """Steps 4.3.2 to 4.3.4; nonces parallel to the signers, a message of any length.

        Raises:
            ProtocolAbort: R is the identity (step 4.4.3). No culprit: that is the caller's to say.
        """
        prefix = _RHO + binding_prefix(signers, nonces, message)
        factors = tuple(hash_to_scalar(prefix + identifier(index)) for index in signers.indices)
        effective = tuple(
            ED25519.linear_combination(((1, nonce.hiding), (factor, nonce.binding)))
            for nonce, factor in zip(nonces, factors, strict=True)
        )
        total = ED25519.combine(point for point in effective if point is not None)
        if total is None:
            raise ProtocolAbort("the nonces of the list cancel out")
        challenge = hash_to_scalar(total + signers.threshold_key + message)
        return cls(signers, factors, effective, total, challenge)

    def share_factor(self, index: int) -> int:
        """c·λ mod L: how much of holder `index`'s share enters (step 4.3.5)."""
        return self.challenge * self.signers.factor(index) % ORDER


def binding_prefix(signers: SignerSet, nonces: Sequence[PublicNonce], message: bytes) -> bytes:
    """Y ‖ H4(m) ‖ H5(enc(list)), 160 bytes: what all binding factors hash (step 4.3.3)."""
    encoded = b"".join(
        identifier(index) + nonce for index, nonce in zip(signers.indices, nonces, strict=True)
    )
    listed = hashlib.sha512(_COM + encoded).digest()
    return signers.threshold_key + hashlib.sha512(_MSG + message).digest() + listed
