"""The program of this folder: compiled, and run on one model."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.model.rows import Model

SOURCES: Final = Path(__file__).parent
FLAGS: Final = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-flto")
MOST_STATES: Final = 100_000_000
"""Of one row. A state takes about 30 bytes, with `progress` about 80."""


@dataclass(frozen=True)
class Outcome:
    """`broken` names an invariant, or `progress`, or is empty. With it, not all states are known.

    `owed` states owe completion, and from `stuck` of them it cannot be reached.
    """

    states: int
    capped: bool
    broken: str
    proven: int
    finished: int
    after_catch_up: int
    owed: int
    stuck: int


class Explorer:
    """The program, compiled into `folder`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        assert compiler is not None, "no cc, which builds tests/model; mend: install gcc"
        self._program = folder / "model"
        sources = sorted(str(path) for path in SOURCES.glob("*.c"))
        command = [compiler, *FLAGS, "-o", str(self._program), *sources]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def explore(self, model: Model) -> Outcome:
        """All states of it, or those up to the first in which an invariant does not hold."""
        return self._run(model)[1]

    def trace(self, model: Model) -> list[str]:
        """The steps of a shortest way to the violation."""
        lines, outcome = self._run(model, "trace")
        assert outcome.broken
        return [line for line in lines if not line.startswith(" ")]

    def _run(self, model: Model, *more: str) -> tuple[list[str], Outcome]:
        command = [str(self._program), *model.arguments(), f"most={MOST_STATES}", *more]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        *lines, last = done.stdout.splitlines()
        return lines, Outcome(**json.loads(last))
