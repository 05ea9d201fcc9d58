"""A wallet on Ed25519 as one who only wants signatures sees it."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.taproot.derivation import Path
from tests.coordinator.office import Office


@dataclass(frozen=True)
class Wallet:
    """An office and its wallet, of which any two holders sign."""

    office: Office
    verified: VerifiedWallet

    @property
    def public_key(self) -> bytes:
        """The wallet's one key: 32 bytes as in RFC 8032."""
        return self.verified.key.public_key(Path())

    def sign(self, message: bytes) -> bytes:
        """A signature that a quorum made through the coordinator.

        Raises:
            Declined: the policy does not allow it.
        """
        return self.office.signed(self.verified, message).signature
