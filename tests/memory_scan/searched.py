"""The memory of one process, searched again and again: each time only where it has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.memory_scan.memory import PAGE, Run, pages
from tests.memory_scan.needles import LONGEST_PIECE, Needle
from tests.memory_scan.search import Search


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of a secret, and where it lies."""

    needle: Needle
    mapping: str
    """What the kernel calls it."""
    address: int


class Searched:
    """What can be read of a process, and which pages of it are known to hold nothing."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.everything: list[Run] = []
        """As it was at the last look."""
        self._clean: dict[int, bytes] = {}
        self._unchanged: dict[int, bytes | None] = {}
        """Runs as they were at the last look, without a find."""

    def is_clean(self) -> None:
        """What is there now cannot hold what will be looked for."""
        self._clean = dict(_pages_of(pages(self.pid)))

    def found(self, search: Search) -> list[Found]:
        """Read everything, search what has changed since it was last found to be clean."""
        self.everything = list(pages(self.pid))
        changed = [run for run in self.everything if run.content != self._unchanged.get(run.start)]
        self._unchanged = {run.start: run.content for run in self.everything}
        found, suspect = [], set()
        for run in changed:
            in_run = list(self._found(search, run))
            self._clean.update(_pages_of([run]))
            for each in in_run:
                suspect |= {_page(each.address), _page(each.address + LONGEST_PIECE)}
                self._unchanged.pop(run.start, None)  # to be searched again
            found += in_run
        for page in suspect:
            self._clean.pop(page, None)
        return found

    def _found(self, search: Search, run: Run) -> Iterator[Found]:
        """Pieces in the changed pages of a run, or at their borders."""
        content = run.content or b""
        for low, high in self._changed(run):
            low, high = max(0, low - LONGEST_PIECE), min(len(content), high + LONGEST_PIECE)
            for needle, at in search.found(content, low, high):
                yield Found(needle, run.name, run.start + at)

    def _changed(self, run: Run) -> Iterator[tuple[int, int]]:
        """The changed pages of a run, neighbours joined, as offsets."""
        start = None
        for address, page in _pages_of([run]):
            at = address - run.start
            if self._clean.get(address) == page:
                if start is not None:
                    yield start, at
                start = None
            elif start is None:
                start = at
        if start is not None:
            yield start, len(run.content or b"")


def brought_along(*besides: int) -> Iterator[tuple[str, int]]:
    """Name and pid of what was started by this process or its children, but for `besides`."""
    waiting = [os.getpid()]
    while waiting:
        for child in _children(waiting.pop()):
            if child not in besides:
                waiting.append(child)
                yield Path(f"/proc/{child}/comm").read_text("utf-8").strip(), child


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text("utf-8").split()
    ]


def _page(address: int) -> int:
    return address - address % PAGE


def _pages_of(runs: Iterable[Run]) -> Iterator[tuple[int, bytes]]:
    for run in runs:
        content = run.content or b""
        for at in range(0, len(content), PAGE):
            yield run.start + at, content[at : at + PAGE]
