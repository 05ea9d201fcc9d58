"""Which parts of the arena are free: first fit, neighbours joined. Offsets only; no memory here."""

from __future__ import annotations

import bisect


class FreeList:
    """The free extents of `length` bytes. Not thread-safe: the arena holds its lock."""

    __slots__ = ("_extents",)

    def __init__(self, length: int) -> None:
        self._extents = [(0, length)]  # (offset, length), ascending, never adjacent

    @property
    def total(self) -> int:
        """All free bytes together."""
        return sum(length for _, length in self._extents)

    def take(self, length: int) -> int | None:
        """The offset of `length` bytes that are free no longer; None: no gap is that long."""
        for position, (offset, available) in enumerate(self._extents):
            if available == length:
                del self._extents[position]
                return offset
            if available > length:
                self._extents[position] = (offset + length, available - length)
                return offset
        return None

    def give_back(self, offset: int, length: int) -> None:
        """`length` bytes at `offset`, once taken, are free again."""
        position = bisect.bisect_left(self._extents, (offset, 0))
        if position < len(self._extents) and self._extents[position][0] == offset + length:
            length += self._extents.pop(position)[1]
        if position and sum(self._extents[position - 1]) == offset:
            before, length_before = self._extents[position - 1]
            self._extents[position - 1] = (before, length_before + length)
        else:
            self._extents.insert(position, (offset, length))
