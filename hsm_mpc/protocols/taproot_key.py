"""The key of a taproot wallet (sections 3 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Final

from hsm_mpc.groups.secp256k1 import verify_bip340
from hsm_mpc.ids import EpochHash
from hsm_mpc.protocols.frost_bip340.aggregate import Signing
from hsm_mpc.protocols.frost_bip340.lists import Task
from hsm_mpc.protocols.frost_bip340.nonces import PUBLIC_NONCE_BYTES
from hsm_mpc.protocols.frost_bip340.signers import EpochKey
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.protocols.list_checks import Allowed
from hsm_mpc.protocols.wallet_key import Wanted
from hsm_mpc.taproot.derivation import ExtendedKey, Path, chain_code_of
from hsm_mpc.taproot.output import SpendingKey

_PATHS_KEPT: Final = 1024


class TaprootKey:
    """A `WalletKey`: BIP 445 under the key of each path."""

    nonce_bytes: Final = PUBLIC_NONCE_BYTES

    def __init__(
        self, epoch_hash: EpochHash, n: int, commitments: Sequence[bytes], first: EpochHash
    ) -> None:
        self._epoch_hash = epoch_hash
        self._n = n
        self._commitments = commitments
        self.root = ExtendedKey(commitments[0], chain_code_of(first))
        self.spending_key = lru_cache(_PATHS_KEPT)(self._spending_key)
        """The key of the address at a path."""
        self._tweaked = lru_cache(_PATHS_KEPT)(self._tweaked_key)

    @property
    def threshold(self) -> int:
        """t."""
        return len(self._commitments)

    @cached_property
    def epoch(self) -> EpochKey:
        """With every public share, which a mere verifier does not need."""
        return EpochKey.of(self._epoch_hash, self._n, self._commitments)

    def require_path(self, path: Path) -> None:
        """Every path of two steps leads to a key (step 5.1.3)."""

    def public_key(self, path: Path) -> bytes:
        """The x-only output key."""
        return self.spending_key(path).output_key

    def task(self, wanted: Wanted, index: int, allowed: Allowed) -> Task:
        """Derived here, never received (section 5.2)."""
        return Task(
            wanted.wallet_id,
            wanted.request_id,
            wanted.k,
            index,
            self.epoch,
            self._tweaked(wanted.path),
            wanted.message,
            allowed,
        )

    def aggregation(self, path: Path, message: bytes) -> Signing:
        """Sections 3.5 and 7."""
        return Signing(self.epoch, self._tweaked(path), message)

    def verify(self, path: Path, message: bytes, signature: bytes) -> None:
        """BIP 340."""
        verify_bip340(self.public_key(path), message, signature)

    def _spending_key(self, path: Path) -> SpendingKey:
        return SpendingKey.derive(self.root, path)

    def _tweaked_key(self, path: Path) -> TweakedKey:
        return TweakedKey.of(self.root.key, self.spending_key(path).tweaks)
