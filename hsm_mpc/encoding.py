"""Fixed-width integers, length-prefixed strings, and a reader that consumes its input exactly.

docs/protocols/conventions.md 1.1. Encoders refuse a value that does not fit (the caller's error);
the reader refuses missing and left-over bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hsm_mpc.errors import BadEncoding, BadInput


def _unsigned(value: int, width: int, byteorder: str) -> bytes:
    if not 0 <= value < 1 << (8 * width):
        raise BadInput(f"{value} does not fit into {width} unsigned bytes")
    return value.to_bytes(width, "little" if byteorder == "little" else "big")


def u8(value: int) -> bytes:
    """One byte."""
    return _unsigned(value, 1, "big")


def u16be(value: int) -> bytes:
    """Two bytes, big-endian."""
    return _unsigned(value, 2, "big")


def u32be(value: int) -> bytes:
    """Four bytes, big-endian."""
    return _unsigned(value, 4, "big")


def u64be(value: int) -> bytes:
    """Eight bytes, big-endian."""
    return _unsigned(value, 8, "big")


def u32le(value: int) -> bytes:
    """Four bytes, little-endian."""
    return _unsigned(value, 4, "little")


def u64le(value: int) -> bytes:
    """Eight bytes, little-endian."""
    return _unsigned(value, 8, "little")


def lv16(value: bytes) -> bytes:
    """`value` behind its length in two bytes (step 1.1.2)."""
    return u16be(len(value)) + value


def lv32(value: bytes) -> bytes:
    """`value` behind its length in four bytes (step 1.1.2)."""
    return u32be(len(value)) + value


def lv32_list(values: Sequence[bytes]) -> bytes:
    """`u16be(count) ‖ Σ LV32(value)`."""
    return u16be(len(values)) + b"".join(lv32(value) for value in values)


class Reader:
    """Reads a byte string from front to back and refuses what is missing or left over.

    Every method raises `BadEncoding` naming `what` is being read.
    """

    __slots__ = ("_at", "_source", "_what")

    def __init__(self, source: bytes, what: str) -> None:
        self._source = source
        self._what = what
        self._at = 0

    def take(self, length: int) -> bytes:
        """Exactly `length` bytes."""
        end = self._at + length
        if end > len(self._source):
            raise BadEncoding(
                f"{self._what}: {length} bytes wanted at offset {self._at}, "
                f"{len(self._source) - self._at} left"
            )
        part = self._source[self._at : end]
        self._at = end
        return part

    def u8(self) -> int:
        return self.take(1)[0]

    def u16be(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32be(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def u64be(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def lv16(self) -> bytes:
        """A string behind its length in two bytes."""
        return self.take(self.u16be())

    def lv32(self) -> bytes:
        """A string behind its length in four bytes."""
        return self.take(self.u32be())

    def lv32_list(self) -> tuple[bytes, ...]:
        """Such strings behind their number in two bytes."""
        return tuple(self.lv32() for _ in range(self.u16be()))

    @property
    def consumed(self) -> int:
        """How many bytes were read so far."""
        return self._at

    def end(self) -> None:
        """Nothing may be left (step 1.1.3)."""
        if self._at != len(self._source):
            left = len(self._source) - self._at
            raise BadEncoding(f"{self._what}: {left} bytes left over")


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Inside, values that a constructor refuses (`BadInput`) are a fault of the bytes read."""
    try:
        yield
    except BadEncoding:
        raise
    except BadInput as error:
        raise BadEncoding(f"{what}: {error}") from error
