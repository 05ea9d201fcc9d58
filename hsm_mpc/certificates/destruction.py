"""The end of a wallet: what is asked, and what each holder says when it has done so (6.10)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from hsm_mpc.certificates.reason import check_reason, read_reason
from hsm_mpc.encoding import Reader, decoding, lv16, u16be, u64be
from hsm_mpc.ids import EpochHash, WalletId


@dataclass(frozen=True, slots=True)
class Destroy:
    """A wallet whose wrapping keys shall go from every HSM, for ever.

    Raises:
        BadInput: from the constructor: a reason that is empty, too long, or steers a terminal.
    """

    wallet_id: WalletId
    epoch_hash: EpochHash
    """The newest epoch that its holders have."""
    reason: str
    """For those who are asked, and for those who ask later."""
    deadline: int
    """`expiry` of step 6.10.1: seconds since 1970 UTC; it bounds the consents."""
    nonce: bytes

    def __post_init__(self) -> None:
        check_reason(self.reason)

    @property
    def digest(self) -> bytes:
        """SHA-256(DESTROY), 32 bytes."""
        return hashlib.sha256(self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        """`wallet_id ‖ h ‖ LV16(reason) ‖ u64be(expiry) ‖ nonce[32]`."""
        named = self.wallet_id + self.epoch_hash
        return named + lv16(self.reason.encode()) + u64be(self.deadline) + self.nonce

    @classmethod
    def from_bytes(cls, source: bytes) -> Destroy:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "destroy")
        wallet_id, h = WalletId(reader.take(16)), EpochHash(reader.take(32))
        reason = read_reason(reader, "destroy")
        deadline, nonce = reader.u64be(), reader.take(32)
        reader.end()
        with decoding("destroy"):
            return cls(wallet_id, h, reason, deadline, nonce)


@dataclass(frozen=True, slots=True)
class DestroyedKey:
    """A wrapping key that is gone. `at` is in seconds since 1970 UTC."""

    kek_digest: bytes
    at: int


@dataclass(frozen=True, slots=True)
class WalletDestroyed:
    """Payload of a holder's DESTROYED: none of its wrapping keys of this wallet is left."""

    destroy_digest: bytes
    """SHA-256 of the DESTROY that it obeyed."""
    keys: tuple[DestroyedKey, ...]
    """Those that opened a share of it."""

    def to_bytes(self) -> bytes:
        """`SHA-256(DESTROY)[32] ‖ u16be(count) ‖ Σ( kek_digest[32] ‖ u64be(destroyed_at) )`."""
        keys = b"".join(key.kek_digest + u64be(key.at) for key in self.keys)
        return self.destroy_digest + u16be(len(self.keys)) + keys

    @classmethod
    def from_bytes(cls, source: bytes) -> WalletDestroyed:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "destroyed")
        digest, count = reader.take(32), reader.u16be()
        keys = tuple(DestroyedKey(reader.take(32), reader.u64be()) for _ in range(count))
        reader.end()
        return cls(digest, keys)
