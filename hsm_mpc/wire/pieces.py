"""A call that is longer than a frame goes in pieces; the answer to the last one is its answer.

    piece = SHA-256(call)[32] ‖ u16be(number, from 0) ‖ u16be(count) ‖ LV32(bytes)

So a holder is told of a wallet with thousands of epochs. What is in the pieces proves itself, or
not, as in any other call; the digest only tells which pieces belong together.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hsm_mpc.encoding import Reader, lv32, u16be
from hsm_mpc.errors import BackendError, BadEncoding, BadInput
from hsm_mpc.wire.calls import MOST_BYTES, Call, HolderMethod
from hsm_mpc.wire.transport import Transport

PIECE_BYTES: Final = 2 << 20
MOST_PIECES: Final = 32
"""Of one call: 64 MiB, about 12 000 epochs of a 3-of-5 wallet."""
CALLS_AT_ONCE: Final = 2
"""Whose pieces are kept; of more the oldest goes."""
PATIENCE: Final = 60.0
"""Seconds without a piece, after which those of a call that is not complete go with the next one of
any call."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One of the pieces of one call."""

    digest: bytes
    number: int
    count: int
    content: bytes

    def to_bytes(self) -> bytes:
        """As above."""
        return self.digest + u16be(self.number) + u16be(self.count) + lv32(self.content)

    @classmethod
    def from_bytes(cls, source: bytes) -> Piece:
        """Inverse of `to_bytes`; `BadEncoding` for anything else, or for too many pieces."""
        reader = Reader(source, "piece")
        piece = cls(reader.take(32), reader.u16be(), reader.u16be(), reader.lv32())
        reader.end()
        if not piece.number < piece.count <= MOST_PIECES or len(piece.content) > PIECE_BYTES:
            raise BadEncoding(f"piece: number {piece.number} of {piece.count} pieces")
        return piece


def called(
    link: Transport, method: int, parts: Sequence[bytes], timeout: float
) -> tuple[bytes, ...]:
    """As `link.call`, however long the call is.

    Args:
        timeout: seconds, for each piece.

    Raises:
        BadInput: it is longer than `MOST_PIECES` pieces.
    """
    call = Call(method, tuple(parts)).to_bytes()
    if len(call) <= MOST_BYTES:
        return link.call(method, parts, timeout)
    answer: tuple[bytes, ...] = ()
    for piece in pieces_of(call):
        answer = link.call(HolderMethod.PIECE, [piece.to_bytes()], timeout)
    return answer


def pieces_of(call: bytes) -> list[Piece]:
    """Raises: BadInput: it is too long."""
    contents = [call[at : at + PIECE_BYTES] for at in range(0, len(call), PIECE_BYTES)]
    if len(contents) > MOST_PIECES:
        raise BadInput(f"a call of {len(call)} bytes; at most {MOST_PIECES * PIECE_BYTES}")
    digest, count = hashlib.sha256(call).digest(), len(contents)
    return [Piece(digest, number, count, content) for number, content in enumerate(contents)]


@dataclass
class _Incomplete:
    """The pieces of one call that are there."""

    last: float
    """When the last piece came: a slow link may take as long as it wants for all of them."""
    count: int
    contents: dict[int, bytes] = field(default_factory=dict)


class Assembly:
    """Puts calls together; used by several threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: monotonic, in seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: dict[bytes, _Incomplete] = {}

    def take(self, piece: Piece) -> bytes | None:
        """The whole call, once its last piece comes; None: more of them are to come.

        Raises:
            BackendError: it was the last one, and others are missing, or are none of that call:
                all of them are wanted again. Whoever dials may have sent them, and not this caller.
        """
        with self._lock:
            call = self._begun(piece)
            if piece.count != call.count:
                del self._calls[piece.digest]
                raise BackendError("pieces of that call in another count are here: begin it again")
            call.last = self._clock()
            call.contents[piece.number] = piece.content
            if piece.number != call.count - 1:
                return None
            del self._calls[piece.digest]
        if len(call.contents) < call.count:
            raise BackendError("pieces of that call are missing: begin it again")
        whole = b"".join(call.contents[number] for number in range(call.count))
        if hashlib.sha256(whole).digest() != piece.digest:
            raise BackendError("pieces that are none of that call are here: begin it again")
        return whole

    def _begun(self, piece: Piece) -> _Incomplete:
        now = self._clock()
        self._calls = {
            digest: call for digest, call in self._calls.items() if now - call.last < PATIENCE
        }
        if piece.digest not in self._calls:
            while len(self._calls) >= CALLS_AT_ONCE:
                del self._calls[next(iter(self._calls))]
            self._calls[piece.digest] = _Incomplete(now, piece.count)
        return self._calls[piece.digest]
