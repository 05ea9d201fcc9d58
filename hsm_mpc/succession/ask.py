"""ASK (M1): an initiator asks the holders of an epoch to join an attempt to replace it.

    α ‖ u8(kind) ‖ LV16(reason) ‖ u64be(deadline) ‖ LV32(M8) ‖ LV32() ‖ LV32(resharing or nothing)

M8 is the payload of the RETIRE that ended the epoch before. The first empty string says: the same
policy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochKind
from hsm_mpc.certificates.reason import read_short_reason
from hsm_mpc.certificates.resharing import ReshareOrder, Resharing
from hsm_mpc.encoding import Reader, lv16, lv32, u8, u64be
from hsm_mpc.errors import BadEncoding
from hsm_mpc.ids import EpochHash, WalletId


@dataclass(frozen=True, slots=True)
class Ask:
    """Payload of ASK. `deadline` is in seconds since 1970 UTC, for people."""

    attempt: Attempt
    reason: str
    deadline: int
    retirement: bytes
    """Payload of the RETIRE that ended the epoch before, which proves it; of epoch 0 empty."""
    resharing: Resharing | None = None
    """To whom; None: to those who have it, a refresh."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload: PROPOSE names its ASK by it."""
        return hashlib.sha256(self.to_bytes()).digest()

    @property
    def kind(self) -> EpochKind:
        """Of the epoch that it is to make."""
        return EpochKind.REFRESH if self.resharing is None else EpochKind.RESHARE

    def order(self, wallet_id: WalletId, replaced: EpochHash) -> ReshareOrder | None:
        """What operators consent to before; None: a refresh, which needs no consent."""
        if self.resharing is None:
            return None
        return ReshareOrder(wallet_id, replaced, self.reason, self.deadline, self.resharing)

    def to_bytes(self) -> bytes:
        """The payload."""
        parameters = b"" if self.resharing is None else self.resharing.to_bytes()
        return (
            self.attempt.to_bytes()
            + u8(self.kind)
            + lv16(self.reason.encode("utf-8"))
            + u64be(self.deadline)
            + lv32(self.retirement)
            + lv32(b"")
            + lv32(parameters)
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> Ask:
        """Inverse of `to_bytes`; `BadEncoding` for anything else, another policy included."""
        reader = Reader(source, "ask")
        attempt, kind, reason = Attempt.read(reader), reader.u8(), read_short_reason(reader, "ask")
        deadline, retirement = reader.u64be(), reader.lv32()
        policy, parameters = reader.lv32(), reader.lv32()
        reader.end()
        resharing = Resharing.from_bytes(parameters) if parameters else None
        ask = cls(attempt, reason, deadline, retirement, resharing)
        if kind != ask.kind or policy:
            raise BadEncoding("ask: it is for no refresh or resharing with the same policy")
        return ask
