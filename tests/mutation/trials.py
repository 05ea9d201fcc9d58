"""Runs tests in forked children, two at once, and judges what became of them.

The parent has pytest and the libraries in memory, but nothing of the project: a child starts in
milliseconds and imports the project without the check that it is to miss.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from tests.mutation import child

LIMIT: Final = 30.0
"""Seconds in which a test ends, or never does."""

_AT_ONCE: Final = 2
_LIBRARIES: Final = (
    "asn1crypto.cms",
    "cffi",
    "coincurve",
    "cryptography.x509",
    "grpc",
    "nacl.bindings",
    "pkcs11",
    "pydantic",
    "typer",
    "yaml",
)


@dataclass(frozen=True, slots=True)
class Trial:
    """Tests, and the name of the check that is missing while they run; "" for none."""

    check: str
    tests: tuple[str, ...]


class Fate(Enum):
    """What came of a trial."""

    NOTICED = "noticed"
    """A test failed, or did not end, or its process died in it."""
    UNNOTICED = "unnoticed"
    """All tests passed."""
    BROKEN = "broken"
    """Nothing was tested: a module does not load, or what tests need cannot be set up."""


@dataclass(frozen=True, slots=True)
class Result:
    """Of one trial."""

    trial: Trial
    fate: Fate
    test: str
    """The function of the test that noticed."""
    passed: frozenset[str]
    """The test functions that passed, with all arguments that they were called with."""


def load_libraries() -> None:
    """Before the first trial: what every child would have to import."""
    for name in _LIBRARIES:
        importlib.import_module(name)


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for what children leave, and for the byte code of what they import."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        before = sys.pycache_prefix, sys.dont_write_bytecode
        sys.pycache_prefix, sys.dont_write_bytecode = f"{name}/pycache", False
        try:
            yield Path(name)
        finally:
            sys.pycache_prefix, sys.dont_write_bytecode = before


def results(
    root: Path,
    place: Path,
    trials: Sequence[Trial],
    plugins: Sequence[object] = (),
    limit: float = LIMIT,
) -> Iterator[Result]:
    """What comes of `trials`, in the order in which they end. `place` is of `workplace`."""
    waiting = list(enumerate(trials))[::-1]
    running: list[_Child] = []
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            number, trial = waiting.pop()
            running.append(_Child(root, place / str(number), trial, plugins, limit))
        time.sleep(0.005)
        for each in [each for each in running if each.has_ended()]:
            running.remove(each)
            yield each.result()


class _Child:
    """One trial under way."""

    def __init__(
        self, root: Path, folder: Path, trial: Trial, plugins: Sequence[object], limit: float
    ) -> None:
        folder.mkdir()
        self._folder = folder
        self._trial = trial
        self._limit = limit
        self._moved = time.monotonic()
        self._size = 0
        self._pid = os.fork()
        if self._pid == 0:
            child.run(root, trial.check, trial.tests, folder, plugins)

    def has_ended(self) -> bool:
        """Whether it is over; a test that takes too long is."""
        ended, _ = os.waitpid(self._pid, os.WNOHANG)
        now = time.monotonic()
        size = self._events().stat().st_size if self._events().exists() else 0
        if size != self._size:
            self._size, self._moved = size, now
        return ended != 0 or now - self._moved > self._limit

    def result(self) -> Result:
        """What its tests have shown; nothing of it is left."""
        with suppress(ProcessLookupError):  # of whatever it started, too
            os.killpg(self._pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        written = self._events().read_text("utf-8") if self._events().exists() else ""
        shutil.rmtree(self._folder, ignore_errors=True)
        return judged(self._trial, [tuple(json.loads(line)) for line in written.splitlines()])

    def _events(self) -> Path:
        return self._folder / "events"


def function_of(test: str) -> str:
    """A test without the arguments that it is called with."""
    return test.partition("[")[0]


def judged(trial: Trial, events: Sequence[tuple[str, str]]) -> Result:
    """The fate of a trial by what its child wrote."""
    of_kind: dict[str, dict[str, None]] = {}
    for kind, test in events:
        of_kind.setdefault(kind, {})[function_of(test)] = None
    failed, errors = list(of_kind.get("failed", ())), of_kind.get("error", {})
    last = events[-1] if events else ("", "")
    if not failed and last[0] == "call":
        failed = [function_of(last[1])]
    passed = frozenset(of_kind.get("passed", ())) - set(failed) - set(errors)
    if failed:
        return Result(trial, Fate.NOTICED, failed[0], passed)
    whole = passed and not errors and last[0] == "end"
    return Result(trial, Fate.UNNOTICED if whole else Fate.BROKEN, "", passed)
