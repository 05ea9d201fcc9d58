"""A call that is longer than a frame: cut in pieces, and put together again or refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from hsm_mpc.encoding import lv32, u16be
from hsm_mpc.errors import BackendError, BadEncoding, BadInput
from hsm_mpc.wire import pieces
from hsm_mpc.wire.calls import Call, HolderMethod
from hsm_mpc.wire.pieces import MOST_PIECES, PATIENCE, Assembly, Piece, called, pieces_of


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Link:
    """A holder that puts pieces together and answers with what it was called with."""

    assembly: Assembly = field(default_factory=lambda: Assembly(Clock()))
    asked: list[int] = field(default_factory=list)

    def call(self, method: int, parts: Sequence[bytes], timeout: float) -> tuple[bytes, ...]:
        self.asked.append(method)
        assert timeout == 7.0
        if method != HolderMethod.PIECE:
            return tuple(parts)
        whole = self.assembly.take(Piece.from_bytes(parts[0]))
        return () if whole is None else Call.from_bytes(whole).parts

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of 100 bytes, pieces of 40."""
    monkeypatch.setattr(pieces, "MOST_BYTES", 100)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 40)


def cut(length: int = 100) -> list[Piece]:
    return pieces_of(os.urandom(length))


def test_the_bytes_of_a_piece_are_those_of_the_specification() -> None:
    piece = Piece(b"d" * 32, 1, 3, b"content")
    assert piece.to_bytes() == b"d" * 32 + u16be(1) + u16be(3) + lv32(b"content")
    assert Piece.from_bytes(piece.to_bytes()) == piece


@pytest.mark.parametrize(
    "wrong",
    [
        Piece(b"d" * 32, 3, 3, b""),
        Piece(b"d" * 32, 0, 0, b""),
        Piece(b"d" * 32, 0, MOST_PIECES + 1, b""),
        Piece(b"d" * 32, 0, 1, bytes(pieces.PIECE_BYTES + 1)),
    ],
)
def test_what_is_no_piece_is_refused(wrong: Piece) -> None:
    with pytest.raises(BadEncoding):
        Piece.from_bytes(wrong.to_bytes())


def test_a_piece_has_an_end() -> None:
    with pytest.raises(BadEncoding):
        Piece.from_bytes(Piece(b"d" * 32, 0, 1, b"content").to_bytes() + b"x")


@pytest.mark.usefixtures("small")
def test_a_short_call_goes_as_it_is_and_a_long_one_in_pieces() -> None:
    short, long, link = [b"s" * 50], [b"l" * 90, b"m" * 30], Link()
    assert called(link, HolderMethod.OFFER, short, 7.0) == tuple(short)
    assert link.asked == [HolderMethod.OFFER]
    assert called(link, HolderMethod.OFFER, long, 7.0) == tuple(long)
    assert link.asked[1:] == [HolderMethod.PIECE] * 4


@pytest.mark.usefixtures("small")
def test_a_call_of_too_many_pieces_is_not_begun() -> None:
    link = Link()
    with pytest.raises(BadInput, match="at most 1280"):
        called(link, HolderMethod.OFFER, [bytes(40 * MOST_PIECES)], 7.0)
    assert link.asked == []


@pytest.mark.usefixtures("small")
def test_pieces_may_come_twice_and_in_any_order_but_for_the_last() -> None:
    whole = os.urandom(150)
    first, second, third, last = pieces_of(whole)
    assembly = Assembly(Clock())
    for piece in (second, first, second, third):
        assert assembly.take(piece) is None
    assert assembly.take(last) == whole
    with pytest.raises(BackendError, match="begin it again"):
        assembly.take(last)  # what was put together is not kept


@pytest.mark.usefixtures("small")
def test_pieces_that_do_not_belong_together_are_refused() -> None:
    one, other, last = cut()
    assembly = Assembly(Clock())
    assembly.take(one)
    assembly.take(replace(other, content=b"x" * 40))
    with pytest.raises(BackendError, match="none of that call") as failed:
        assembly.take(last)
    assert failed.value.retryable  # somebody else may have sent them
    assembly.take(replace(one, count=4))
    with pytest.raises(BackendError, match="another count"):
        assembly.take(one)
    assert [assembly.take(each) for each in (one, other)] == [None, None]
    assert assembly.take(last) is not None


@pytest.mark.usefixtures("small")
def test_a_slow_link_takes_its_time() -> None:
    clock = Clock()
    assembly, (first, second, last) = Assembly(clock), cut()
    for piece in (first, second):
        assert assembly.take(piece) is None
        clock.now += PATIENCE - 1
    assert assembly.take(last) is not None


@pytest.mark.usefixtures("small")
def test_few_calls_are_kept_and_not_for_long() -> None:
    clock = Clock()
    assembly, calls = Assembly(clock), [cut() for _ in range(4)]
    for first, second, _ in calls[:3]:
        assembly.take(first)
        assembly.take(second)
    assert assembly.take(calls[2][2]) is not None
    assert assembly.take(calls[1][2]) is not None
    with pytest.raises(BackendError, match="missing"):
        assembly.take(calls[0][2])
    first, second, last = calls[3]
    assembly.take(first)
    clock.now = PATIENCE
    assembly.take(second)
    with pytest.raises(BackendError, match="missing"):
        assembly.take(last)
