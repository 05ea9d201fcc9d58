"""A call to a holder or a coordinator, and its answer: what any transport carries.

    call   = u8(method) ‖ u16be(count) ‖ Σ LV32(part)
    answer = u8(0) ‖ u16be(count) ‖ Σ LV32(part)
           | u8(1) ‖ LV16(kind) ‖ LV16(rule) ‖ u8(retryable) ‖ LV16(culprits) ‖ LV16(waiting for)
             ‖ LV16(message)

The second form is an unsigned transport status: it says why there is no answer, and never
excludes anybody. `culprits` are the holders that the other side blames, one byte each: a hint for
people; what proves it is the evidence that the other side keeps. `waiting for` names holders that
did not answer, with spaces between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from hsm_mpc.encoding import Reader, lv16, lv32_list, u8
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    BadInput,
    Declined,
    HsmMpcError,
    InvalidSignature,
    NameTaken,
    NotReady,
    PinRefused,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
    Tampered,
)

MOST_BYTES: Final = 4 << 20
_LONGEST_TEXT: Final = 2000
_ANSWERED: Final = 0
_FAILED: Final = 1


class HolderMethod(IntEnum):
    """What a coordinator asks of a holder."""

    CHANNEL = 1
    PROPOSE = 2
    HELLOS = 3
    COMMITMENTS = 4
    CERTIFY = 5
    DONES = 6
    REQUEST = 7
    SIGN = 8
    WALLETS = 9
    BLAME = 10
    JOIN = 11
    DEAL = 12
    STAGE = 13
    ADOPT = 14
    RETIRE = 15
    TRANSCRIPT = 16
    CONSIDER = 17
    DESTROY = 18
    DOCUMENTS = 19
    OFFER = 20
    COUNTERSIGN = 21
    SPLIT = 22
    COLLECT = 23
    RECOVER = 24
    AMEND = 25
    GREET = 26
    RECEIVE = 27
    CONFIRM = 28
    ARRIVE = 29
    ROTATION = 30
    TURN = 31
    TURNED = 32
    COMPLAIN = 33
    JUDGE = 34
    PIECE = 255
    """Of a call that is longer than a frame (wire.pieces)."""


class CoordinatorMethod(IntEnum):
    """What a client asks of a coordinator."""

    CREATE = 1
    LIST = 2
    SHOW = 3
    SIGN = 4
    STATUS = 5
    REFRESH = 6
    SUCCESSIONS = 7
    DESTROY = 8
    REPAIR = 9
    RESHARE = 10
    PLAN_ORDER = 12
    ORDER = 13
    PLAN_REPAIR = 14


@dataclass(frozen=True, slots=True)
class Call:
    """A method's number and its arguments."""

    method: int
    parts: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """The call as the transport carries it."""
        return u8(self.method) + lv32_list(self.parts)

    @classmethod
    def from_bytes(cls, source: bytes) -> Call:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "call")
        call = cls(reader.u8(), reader.lv32_list())
        reader.end()
        return call


def answer_of(parts: Sequence[bytes]) -> bytes:
    """An answer with results."""
    return u8(_ANSWERED) + lv32_list(parts)


def failure_of(error: HsmMpcError) -> bytes:
    """An answer that says why there is none."""
    rule = error.rule if isinstance(error, (Refused, Declined)) else ""
    culprits = error.culprits if isinstance(error, ProtocolAbort) else ()
    waiting_for = error.waiting_for if isinstance(error, (QuorumUnreachable, NotReady)) else ()
    return (
        u8(_FAILED)
        + lv16(error.kind.encode())
        + lv16(rule.encode())
        + u8(error.retryable)
        + lv16(bytes(culprits))
        + lv16(" ".join(waiting_for).encode())
        + lv16(str(error).encode()[:_LONGEST_TEXT])
    )


def parts_of(answer: bytes) -> tuple[bytes, ...]:
    """The results in an answer.

    Raises:
        HsmMpcError: what the other side says went wrong, as the same kind of error.
        BadEncoding: no answer at all.
    """
    reader = Reader(answer, "answer")
    form = reader.u8()
    if form == _ANSWERED:
        parts = reader.lv32_list()
        reader.end()
        return parts
    if form != _FAILED:
        raise BadEncoding(f"answer: unknown form {form}")
    kind, rule, retryable = _text(reader), _text(reader), reader.u8() == 1
    culprits, waiting_for, message = tuple(reader.lv16()), _text(reader).split(), _text(reader)
    reader.end()
    if kind == ProtocolAbort.kind:
        raise ProtocolAbort(message, culprits)
    raise _error(kind, rule, retryable, waiting_for, message)


def _error(
    kind: str, rule: str, retryable: bool, waiting_for: Sequence[str], message: str
) -> HsmMpcError:
    if kind == Refused.kind:
        return Refused(rule, message)
    if kind == Declined.kind:
        return Declined(message, rule)
    if kind == NotReady.kind:
        return NotReady(message, waiting_for)
    if kind == BackendError.kind:
        if waiting_for:
            return QuorumUnreachable(message, waiting_for)
        return BackendError(message, retryable=retryable)
    plain: tuple[type[HsmMpcError], ...] = (
        BadInput,
        BadEncoding,
        InvalidSignature,
        NameTaken,
        PinRefused,
        Tampered,
    )
    known = {each.kind: each for each in plain}
    return known.get(kind, HsmMpcError)(message)


def _text(reader: Reader) -> str:
    return reader.lv16().decode("utf-8", "replace")
