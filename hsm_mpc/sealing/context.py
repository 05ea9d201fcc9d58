"""What a sealed blob is bound to: compared whole with what the caller expects, at every opening."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from hsm_mpc.errors import BadInput
from hsm_mpc.ids import EpochHash, HolderIndex, WalletId

WALLET_ID_BYTES: Final = 16
EPOCH_HASH_BYTES: Final = 32
_BYTE: Final = range(1, 256)
_EPOCH: Final = range(1 << 32)
_GENERATION: Final = range(1, 1 << 16)


@dataclass(frozen=True, slots=True)
class Pair:
    """The other holder of an ECDSA pair state, and which of their set-ups it is (step 1.11.2)."""

    peer: HolderIndex
    generation: int

    def __post_init__(self) -> None:
        _require(self.peer in _BYTE, "peer", "1 to 255")
        _require(self.generation in _GENERATION, "generation", "1 to 65535")


@dataclass(frozen=True, slots=True)
class Context:
    """The wallet, holder and epoch of a share; with `pair`, those of a pair state (step 1.11.3).

    `epoch_hash` fixes commitments, roster, policy and quorum sizes. The moment of sealing stands
    beside this, authenticated but never compared.
    """

    wallet_id: WalletId
    holder: HolderIndex
    scheme: int
    """A `Scheme`, or the byte of a parameter set that this version does not know."""
    epoch: int
    threshold: int
    epoch_hash: EpochHash
    pair: Pair | None = None

    def __post_init__(self) -> None:
        _require(len(self.wallet_id) == WALLET_ID_BYTES, "wallet_id", "16 bytes")
        _require(self.holder in _BYTE, "holder", "1 to 255")
        _require(self.scheme in _BYTE, "scheme", "1 to 255")
        _require(self.epoch in _EPOCH, "epoch", "0 to 4294967295")
        _require(self.threshold in _BYTE, "threshold", "1 to 255")
        _require(len(self.epoch_hash) == EPOCH_HASH_BYTES, "epoch_hash", "32 bytes")

    def differences(self, expected: Context) -> tuple[str, ...]:
        """The names of the fields in which the two differ."""
        return tuple(
            field.name
            for field in fields(self)
            if getattr(self, field.name) != getattr(expected, field.name)
        )


def _require(holds: bool, field: str, rule: str) -> None:
    if not holds:
        raise BadInput(f"context of a sealed blob: {field} is {rule}")
