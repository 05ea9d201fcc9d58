"""Which tests reach which lines of the product, and how long each takes."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest

from tests.mutation.checks import Check
from tests.mutation.trials import Trial, function_of, results

_MOST_CANDIDATES: Final = 400
_SLOWEST: Final = 600.0
"""Seconds that a test may take while it is traced."""


@dataclass(frozen=True, slots=True)
class Reached:
    """By one test that passes."""

    test: str
    seconds: float
    lines: Mapping[str, frozenset[int]]
    """By the module's path from the project's folder."""


class Recorder:
    """A pytest plugin that traces the lines of `folders`, and writes a line of JSON per test."""

    def __init__(self, root: Path, folders: Sequence[str], into: Path) -> None:
        self._root = f"{root}/"
        self._folders = tuple(self._root + folder for folder in folders)
        self._into = into
        self._lines: dict[str, set[int]] = defaultdict(set)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._lines.clear()
        started = time.monotonic()
        sys.settrace(self._enter)
        threading.settrace(self._enter)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            lines = {file: sorted(lines) for file, lines in self._lines.items()}
            with (self._into / str(os.getpid())).open("a") as file:
                print(json.dumps([item.nodeid, time.monotonic() - started, lines]), file=file)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._step if frame.f_code.co_filename.startswith(self._folders) else None

    def _step(self, frame: FrameType, event: str, argument: object) -> Any:
        self._lines[frame.f_code.co_filename.removeprefix(self._root)].add(frame.f_lineno)
        return self._step


def recorded(
    root: Path, place: Path, folders: Sequence[str], tests: Iterable[str]
) -> list[Reached]:
    """What the tests in the files and folders `tests` reach of the modules in `folders`."""
    into = place / "recorded"
    into.mkdir()
    files = sorted(
        file.relative_to(root).as_posix()
        for each in tests
        for file in (root / each).rglob("test_*.py")
    )
    trials = [Trial("", tuple(files[half::2])) for half in (0, 1)]
    passed: set[str] = set()
    recorder = Recorder(root, folders, into)
    for result in results(root, place, trials, [recorder], limit=_SLOWEST):
        passed |= result.passed
    found = []
    for file in sorted(into.iterdir()):
        for line in file.read_text().splitlines():
            test, seconds, lines = json.loads(line)
            if function_of(test) in passed:
                reached = {path: frozenset(numbers) for path, numbers in lines.items()}
                found.append(Reached(test, seconds, reached))
    return found


def candidates(check: Check, reached: Iterable[Reached]) -> tuple[str, ...]:
    """The tests that reach `check`: those of its module's own test files first, then the cheap."""
    package, *rest = Path(check.path).with_suffix("").parts[1:]
    own = f"tests/{package}/test_{'_'.join(rest)}"
    reaching = [
        each
        for each in reached
        if not each.lines.get(check.path, frozenset()).isdisjoint(check.lines)
    ]
    reaching.sort(key=lambda each: (not each.test.startswith(own), each.seconds))
    return tuple(each.test for each in reaching[:_MOST_CANDIDATES])
