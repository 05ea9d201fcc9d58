"""The key of an Ed25519 wallet (section 4): one key, without children (step 4.7)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from hsm_mpc.errors import Refused
from hsm_mpc.groups.ed25519 import verify_ed25519
from hsm_mpc.ids import EpochHash
from hsm_mpc.protocols.frost_ed25519.aggregate import Signing
from hsm_mpc.protocols.frost_ed25519.lists import Task
from hsm_mpc.protocols.frost_ed25519.nonces import PUBLIC_NONCE_BYTES
from hsm_mpc.protocols.frost_ed25519.signers import EpochKey
from hsm_mpc.protocols.list_checks import Allowed
from hsm_mpc.protocols.wallet_key import Wanted
from hsm_mpc.taproot.derivation import Path

_ONLY_PATH: Final = Path()


class Ed25519Key:
    """A `WalletKey`: RFC 9591 under the threshold key itself."""

    nonce_bytes: Final = PUBLIC_NONCE_BYTES

    def __init__(
        self, epoch_hash: EpochHash, n: int, commitments: Sequence[bytes], first: EpochHash
    ) -> None:
        del first  # nothing is derived from it: keys of this scheme have no children
        self._epoch_hash = epoch_hash
        self._n = n
        self._commitments = commitments

    @property
    def threshold(self) -> int:
        """t."""
        return len(self._commitments)

    @cached_property
    def epoch(self) -> EpochKey:
        """With every public share, which a mere verifier does not need."""
        return EpochKey.of(self._epoch_hash, self._n, self._commitments)

    def require_path(self, path: Path) -> None:
        """Raises `Refused`: `no-derivation`: another path than m/0/0, which stands for the key."""
        if path != _ONLY_PATH:
            raise Refused("no-derivation", f"an Ed25519 wallet has one key, and none at {path}")

    def public_key(self, path: Path) -> bytes:
        """Y."""
        self.require_path(path)
        return self._commitments[0]

    def task(self, wanted: Wanted, index: int, allowed: Allowed) -> Task:
        """Sections 4.4 to 4.6."""
        self.require_path(wanted.path)
        return Task(
            wanted.wallet_id,
            wanted.request_id,
            wanted.k,
            index,
            self.epoch,
            wanted.message,
            allowed,
        )

    def aggregation(self, path: Path, message: bytes) -> Signing:
        """Steps 4.3.6 and 4.3.7."""
        self.require_path(path)
        return Signing(self.epoch, message)

    def verify(self, path: Path, message: bytes, signature: bytes) -> None:
        """RFC 8032, strict and without cofactor (step 4.3.7)."""
        verify_ed25519(self.public_key(path), message, signature)
