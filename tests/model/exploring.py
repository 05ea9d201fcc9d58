"""The program of this folder: compiled, and run on one model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.model.models import Model

SOURCES: Final = Path(__file__).parent
FLAGS: Final = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-flto")
MOST_STATES: Final = 100_000_000
"""Of one row. A state takes about 40 bytes, with `progress` about 100."""

_RULE: Final = re.compile(r'^    R\((\w+), "([^"]+)"\)', re.MULTILINE)


def weakened_rules() -> dict[str, str]:
    """Each rule of state.h that can be weakened, and what it is then."""
    return dict(_RULE.findall((SOURCES / "state.h").read_text("utf-8")))


@dataclass(frozen=True)
class Outcome:
    """`broken` names an invariant, or `progress`, or is empty. With it, not all states are known.

    `owed` states owe completion, and from `stuck` of them it cannot be reached. In `proven` states
    the last succession has its proof of retirement, in `finished` ones all live holders are past
    it; in `after_catch_up` a quorum opens one epoch only once some have caught up.
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
    """The program, compiled into `folder`. What it has explored it does not explore again."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        assert compiler is not None, "no cc, which builds tests/model; mend: install gcc"
        self._program = folder / "model"
        self._known: dict[Model, Outcome] = {}
        sources = sorted(str(path) for path in SOURCES.glob("*.c"))
        command = [compiler, *FLAGS, "-o", str(self._program), *sources]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def explore(self, model: Model) -> Outcome:
        """All states of it, or those up to the first in which an invariant does not hold."""
        if model not in self._known:
            self._known[model] = self._run(model)[1]
        return self._known[model]

    def trace(self, model: Model) -> tuple[list[str], Outcome]:
        """The same, and the steps of a shortest way to what is broken."""
        lines, outcome = self._run(model, "trace")
        return [line for line in lines if not line.startswith(" ")], outcome

    def understands(self, *words: str) -> bool:
        """Whether the program takes them."""
        command = [str(self._program), *words]
        return subprocess.run(command, capture_output=True).returncode == 0

    def _run(self, model: Model, *more: str) -> tuple[list[str], Outcome]:
        command = [str(self._program), *model.arguments(), f"most={MOST_STATES}", *more]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        *lines, last = done.stdout.splitlines()
        outcome = Outcome(**json.loads(last))
        assert not outcome.capped, f"{model}: more than {MOST_STATES} states"
        return lines, outcome
