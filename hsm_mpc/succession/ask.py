"""ASK (M1): an initiator asks the holders of an epoch to join an attempt to replace it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochKind
from hsm_mpc.encoding import Reader, lv16, lv32, u8, u64be
from hsm_mpc.errors import BadEncoding

LONGEST_REASON: Final = 200
"""Characters."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Payload of ASK, for a refresh. `deadline` is in seconds since 1970 UTC, for people."""

    attempt: Attempt
    reason: str
    deadline: int
    retirement: bytes
    """Payload of the RETIRE that ended the epoch before, which proves it; of epoch 0 empty."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload: PROPOSE names its ASK by it."""
        return hashlib.sha256(self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        """`α ‖ u8(1) ‖ LV16(reason) ‖ u64be(deadline) ‖ LV32(M8) ‖ LV32() ‖ LV32()`.

        The two empty strings say: the same policy, the same roster.
        """
        return (
            self.attempt.to_bytes()
            + u8(EpochKind.REFRESH)
            + lv16(self.reason.encode("utf-8"))
            + u64be(self.deadline)
            + lv32(self.retirement)
            + lv32(b"")
            + lv32(b"")
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> Ask:
        """Inverse of `to_bytes`; `BadEncoding` for anything else, another kind included."""
        reader = Reader(source, "ask")
        attempt, kind = Attempt.read(reader), reader.u8()
        reason, deadline, retirement = reader.lv16(), reader.u64be(), reader.lv32()
        policy, parameters = reader.lv32(), reader.lv32()
        reader.end()
        if kind != EpochKind.REFRESH or policy or parameters:
            raise BadEncoding("ask: it is not for a refresh with the same policy and roster")
        return cls(attempt, _reason(reason), deadline, retirement)


def _reason(encoded: bytes) -> str:
    try:
        reason = encoded.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadEncoding("ask: the reason is no text") from error
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise BadEncoding(f"ask: a reason is up to {LONGEST_REASON} printable characters")
    return reason
