"""Explores every model and says what differs: `.venv/bin/python -m tests.model [--gate]`.

One line for each: the model, its states, those that owe progress, the steps to what is broken, and
seconds of CPU. Exit 1: rows.py or counter_examples.py says something else of one.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path

from tests.model.counter_examples import COUNTER_EXAMPLES
from tests.model.exploring import Explorer
from tests.model.models import CounterExample, Row
from tests.model.rows import PARTS


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser("tests.model")
    parser.add_argument("--gate", action="store_true", help="just those of the gate")
    options = parser.parse_args()
    every: list[Row | CounterExample] = [row for part in PARTS.values() for row in part]
    every += [each.mended for each in COUNTER_EXAMPLES]
    every = list(dict.fromkeys([*every, *COUNTER_EXAMPLES]))
    differs = 0
    with tempfile.TemporaryDirectory() as folder:
        explorer = Explorer(Path(folder))
        for each in sorted(every, key=lambda each: each.long):
            if not (options.gate and each.long):
                differs += _differs(explorer, each)
    return 1 if differs else 0


def _differs(explorer: Explorer, each: Row | CounterExample) -> bool:
    """Explore one, and print what was found."""
    before = _seconds()
    if isinstance(each, Row):
        outcome, steps, said = explorer.explore(each.model), 0, (each.states, each.owed, 0, "")
        found = (outcome.states, outcome.owed, steps, outcome.broken)
    else:
        trace, outcome = explorer.trace(each.model)
        said = (each.states, outcome.owed, each.steps, each.broken)
        found = (outcome.states, outcome.owed, len(trace), outcome.broken)
    numbers = " ".join(str(number) for number in found)
    mark = "" if found == said else f"   differs from {said}"
    sys.stdout.write(f"{each.model}: {numbers}, {_seconds() - before:.1f} s{mark}\n")
    sys.stdout.flush()
    return found != said


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
