"""What a resharing makes of a wallet, and the plan that people consent to (steps 6.8.1, 1.6.7)."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.reason import read_short_reason
from hsm_mpc.encoding import Reader, decoding, lv16, lv32, u64be
from hsm_mpc.errors import BadInput
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import Roster


@dataclass(frozen=True, slots=True)
class Resharing:
    """Who holds the key from the next epoch on, and how many of them sign.

    Raises:
        BadInput: from the constructor: sizes that are not of this roster.
    """

    sizes: QuorumSizes
    """n', t', J', W'."""
    roster: Roster
    """ROSTER': it follows the one in force."""

    def __post_init__(self) -> None:
        if self.sizes.n != self.roster.n:
            raise BadInput(f"resharing: sizes for {self.sizes.n} of {self.roster.n} holders")

    def to_bytes(self) -> bytes:
        """`u16be(t') ‖ u16be(J') ‖ u16be(W') ‖ LV32(ROSTER')`."""
        return self.sizes.without_n() + lv32(self.roster.to_bytes())

    @classmethod
    def from_bytes(cls, source: bytes) -> Resharing:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "resharing")
        t, join, adopt = reader.u16be(), reader.u16be(), reader.u16be()
        roster = Roster.from_bytes(reader.lv32())
        reader.end()
        with decoding("resharing"):
            return cls(QuorumSizes(roster.n, t, join, adopt), roster)


@dataclass(frozen=True, slots=True)
class ReshareOrder:
    """What every holder's operator is asked before: of which wallet's epoch, to whom, and why.

    `deadline` is in seconds since 1970 UTC and bounds the consents. All attempts to carry it out
    fall under it. It names wallet and epoch: a consent to it is of use for no other one.
    """

    wallet_id: WalletId
    epoch_hash: EpochHash
    reason: str
    deadline: int
    resharing: Resharing

    def to_bytes(self) -> bytes:
        """`wallet_id ‖ h_e ‖ LV16(reason) ‖ u64be(deadline) ‖ LV32(resharing)`."""
        return (
            self.wallet_id
            + self.epoch_hash
            + lv16(self.reason.encode("utf-8"))
            + u64be(self.deadline)
            + lv32(self.resharing.to_bytes())
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> ReshareOrder:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "resharing")
        order = cls(
            WalletId(reader.take(16)),
            EpochHash(reader.take(32)),
            read_short_reason(reader, "resharing"),
            reader.u64be(),
            Resharing.from_bytes(reader.lv32()),
        )
        reader.end()
        return order
