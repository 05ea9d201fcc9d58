"""The audit log of a holder as bytes: hash-chained lines, checkpoints, verification (3.4.15).

A line in the file is `line SP line_hash LF`: line = JSON in UTF-8 with sorted keys and no spaces,
with its `seq` (from 1), `time` and `event`; line_hash = TH(audit, previous line_hash ‖ LV32(line))
in lower-case hex. Nothing here touches a disk: store/audit_log.py writes.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from hsm_mpc.encoding import lv32, u64be
from hsm_mpc.errors import BadInput, HsmMpcError, Tampered
from hsm_mpc.ids import checked_name
from hsm_mpc.tags import Tag, tagged_hash

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]

Sign = Callable[[Tag, bytes], bytes]
"""`IdSign_i(tag, message)`: the signature (step 1.6.2)."""

Verify = Callable[[Tag, bytes, bytes], None]
"""`IdVerify(tag, message, signature)`: raises an `HsmMpcError` unless it is of this holder."""

LINE_CAP = 64 << 10  # bytes of JSON in one line
CHECKPOINT = "checkpoint"
ROTATED = "identity-rotated"
"""Another key of this holder signs from now on (hsm_mpc/audit_keys.py)."""

Learn = Callable[["Line"], None]
"""Told of every line, before a signature in it is checked."""

_OWN_FIELDS = frozenset({"seq", "time", "event"})
_HASH_WIDTH = 66  # SP, 64 hex digits, LF


@dataclass(frozen=True, slots=True)
class Tail:
    """Where a log ends: the last sequence number and line_hash."""

    seq: int
    line_hash: bytes

    def signed_message(self) -> bytes:
        """What a checkpoint right behind this line signs."""
        return u64be(self.seq) + self.line_hash


EMPTY = Tail(0, bytes(32))


@dataclass(frozen=True, slots=True)
class Line:
    """A line whose place in the chain was checked."""

    tail: Tail  # the log's end when this line is its last
    record: Mapping[str, Json]
    in_file: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What verification found. Nothing but the signature of a checkpoint protects lines before it.

    Nothing protects those that follow the last one, but for a chain that is whole.
    """

    tail: Tail
    checkpoint: Line | None  # the last one
    following: int  # lines after it; all lines when there is none
    unfinished: int  # bytes of a torn write at the end, which are no line


def append_line(tail: Tail, event: str, time: datetime, fields: Mapping[str, Json]) -> Line:
    """The line that follows `tail`, as it must stand in the file.

    Raises: BadInput: an event that is no name, a time without zone, a field that is not JSON or is
        called seq, time or event, or more than `LINE_CAP` bytes.
    """
    if time.tzinfo is None:
        raise BadInput("audit line: a time without a time zone")
    if taken := sorted(_OWN_FIELDS & fields.keys()):
        raise BadInput(f"audit line: {taken[0]} is not a field to be given")
    record: Mapping[str, Json] = {
        **fields,
        "seq": tail.seq + 1,
        "time": time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "event": checked_name(event, "audit event"),
    }
    try:
        line = _canonical(record)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"audit line: {error}") from error
    if len(line) > LINE_CAP:
        raise BadInput(f"audit line: {len(line)} bytes, at most {LINE_CAP}")
    line_hash = _line_hash(tail, line)
    return Line(Tail(tail.seq + 1, line_hash), record, line + _hash_part(line_hash))


def append_checkpoint(tail: Tail, time: datetime, sign: Sign) -> Line:
    """The checkpoint that follows `tail` and signs it: sequence number and line_hash of that line.

    Raises: BadInput as `append_line`; what `sign` raises.
    """
    signature = sign(Tag.CHECKPOINT, tail.signed_message())
    return append_line(tail, CHECKPOINT, time, {"signature": signature.hex()})


class Chain:
    """Reads a log from its beginning and checks every line; after that it tells where it ended.

    Raises while it is read: Tampered: a line that is not what its place in the chain wants, or a
    log that does not hold the line that `floor` names (its tail was cut, or it was written anew).
    """

    __slots__ = ("_floor", "_log", "size", "tail", "unfinished")

    def __init__(self, log: BinaryIO, floor: Tail = EMPTY) -> None:
        self._log = log
        self._floor = floor
        self.tail = EMPTY
        self.size = 0  # bytes of whole lines
        self.unfinished = 0  # bytes behind them

    def __iter__(self) -> Iterator[Line]:
        while in_file := self._log.readline(LINE_CAP + _HASH_WIDTH):
            if not in_file.endswith(b"\n"):
                self._end(in_file)
                break
            line = _parse(self.tail, in_file)
            self.tail = line.tail
            self.size += len(in_file)
            if line.tail.seq == self._floor.seq and line.tail != self._floor:
                raise Tampered(f"audit log: line {line.tail.seq} is not the one written there")
            yield line
        if self.tail.seq < self._floor.seq:
            raise Tampered(
                f"audit log: ends at line {self.tail.seq}, line {self._floor.seq} was written"
            )

    def _end(self, rest: bytes) -> None:
        self.unfinished = len(rest)
        if self._log.read(1):
            raise Tampered(f"audit log: line {self.tail.seq + 1} is too long")


def _nothing(line: Line) -> None:
    del line


def verify(
    log: BinaryIO, verify_signature: Verify, floor: Tail = EMPTY, learn: Learn = _nothing
) -> Verified:
    """Check every line and every checkpoint's signature.

    `floor` is a place that the log must still hold: of its state file, or an exported checkpoint.
    Raises: Tampered.
    """
    chain = Chain(log, floor)
    return _verify(chain, verify_signature, learn)


def export(
    log: BinaryIO,
    out: BinaryIO,
    verify_signature: Verify,
    floor: Tail = EMPTY,
    learn: Learn = _nothing,
) -> Verified:
    """`verify`, and write the whole lines to `out`. Raises: Tampered; what `out` raises."""
    return _verify(Chain(log, floor), verify_signature, learn, out.write)


def last_lines(log: BinaryIO, count: int, floor: Tail = EMPTY) -> tuple[Line, ...]:
    """The last `count` lines of a log whose chain is whole. Raises: Tampered."""
    return tuple(deque(Chain(log, floor), maxlen=count))


def _verify(
    chain: Chain,
    verify_signature: Verify,
    learn: Learn,
    each: Callable[[bytes], object] = len,
) -> Verified:
    checkpoint, before = None, EMPTY
    for line in chain:
        learn(line)
        if line.record["event"] == CHECKPOINT:
            _check_signature(before, line, verify_signature)
            checkpoint = line
        before = line.tail
        each(line.in_file)
    following = chain.tail.seq - (checkpoint.tail.seq if checkpoint else 0)
    return Verified(chain.tail, checkpoint, following, chain.unfinished)


def _check_signature(before: Tail, line: Line, verify_signature: Verify) -> None:
    try:
        signature = bytes.fromhex(str(line.record["signature"]))
        verify_signature(Tag.CHECKPOINT, before.signed_message(), signature)
    except (HsmMpcError, KeyError, ValueError) as error:
        raise Tampered(f"audit log: checkpoint {line.tail.seq} is not signed by the key") from error


def _parse(before: Tail, in_file: bytes) -> Line:
    """The line right behind `before`. Raises: Tampered."""
    line, seq = in_file[:-_HASH_WIDTH], before.seq + 1
    line_hash = _line_hash(before, line)
    if in_file[-_HASH_WIDTH:] != _hash_part(line_hash):
        raise Tampered(f"audit log: the chain breaks at line {seq}")
    try:
        record = json.loads(line)
        canonical = _canonical(record) == line
    except (ValueError, RecursionError) as error:
        raise Tampered(f"audit log: line {seq} is not JSON of ours") from error
    if not (canonical and _is_record(record, seq)):
        raise Tampered(f"audit log: line {seq} is not JSON of ours")
    return Line(Tail(seq, line_hash), record, in_file)


def _is_record(record: object, seq: int) -> bool:
    return (
        isinstance(record, dict)
        and (type(record.get("seq")), record.get("seq")) == (int, seq)
        and isinstance(record.get("time"), str)
        and isinstance(record.get("event"), str)
    )


def _line_hash(before: Tail, line: bytes) -> bytes:
    return tagged_hash(Tag.AUDIT, before.line_hash + lv32(line))


def _hash_part(line_hash: bytes) -> bytes:
    return b" " + line_hash.hex().encode("ascii") + b"\n"


def _canonical(record: object) -> bytes:
    text = json.dumps(
        record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")
