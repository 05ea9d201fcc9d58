"""Looks for many pieces at once: the 8 bytes at every offset are looked up in one table."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final

from tests.memory_scan.needles import Needle

_HEAD_BYTES: Final = 8
"""What every piece has at least."""


class Search:
    """The pieces that are looked for; more of them do not make it slower."""

    def __init__(self) -> None:
        self._by_head: dict[int, list[Needle]] = {}
        self._heads: set[int] = set()

    def add(self, needles: Iterable[Needle]) -> None:
        """Look for these too."""
        for needle in needles:
            head = int.from_bytes(needle.piece[:_HEAD_BYTES], sys.byteorder)
            self._by_head.setdefault(head, []).append(needle)
            self._heads.add(head)

    def found(self, content: bytes, low: int, high: int) -> Iterator[tuple[Needle, int]]:
        """What lies between two offsets, and at which."""
        for head in self._heads_in(content, low, high):
            for needle in self._by_head[head]:
                at = content.find(needle.piece, low, high)
                while at >= 0:
                    yield needle, at
                    at = content.find(needle.piece, at + 1, high)

    def _heads_in(self, content: bytes, low: int, high: int) -> set[int]:
        heads: set[int] = set()
        for start in range(low, min(low + _HEAD_BYTES, high)):
            end = high - (high - start) % _HEAD_BYTES
            heads |= self._heads.intersection(memoryview(content)[start:end].cast("Q"))
        return heads
