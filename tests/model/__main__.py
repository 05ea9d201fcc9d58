"""Explores every model and writes its tables: `.venv/bin/python -m tests.model`.

    --new          just those that the page has no line of
    --gate         just those of the gate

Writes docs/protocols/refresh-model.md after each. One core; all of them take about an hour.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.model.exploring import Explorer, Outcome
from tests.model.page import (
    PAGE,
    key_of_counter_example,
    key_of_row,
    line_of_counter_example,
    line_of_row,
    replaced,
    tables,
)
from tests.model.rows import COUNTER_EXAMPLES, PARTS, CounterExample, Row


class Lines:
    """Those that the page has, and those that were found since."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._old = PAGE.read_text("utf-8").splitlines()
        self._found: dict[Row | CounterExample, str] = {}

    def find(self, each: Row | CounterExample) -> Outcome:
        """Explore it; its line stands in the tables from now on."""
        outcome = self._explorer.explore(each.model)
        if isinstance(each, Row):
            self._found[each] = line_of_row(each, outcome)
        else:
            steps = len(self._explorer.trace(each.model))
            self._found[each] = line_of_counter_example(each, outcome, steps)
        return outcome

    def known(self, each: Row | CounterExample) -> bool:
        return self.of(each) != _key(each)

    def of(self, each: Row | CounterExample) -> str:
        """Its line; just how it begins where nothing is known."""
        if each in self._found:
            return self._found[each]
        key = _key(each)
        return next((line for line in self._old if line.startswith(key)), key)


def _key(each: Row | CounterExample) -> str:
    return key_of_row(each) if isinstance(each, Row) else key_of_counter_example(each)


def main() -> int:
    """See above. Exit 1: a row broke an invariant, a counter-example another than it is said to."""
    parser = argparse.ArgumentParser("tests.model")
    parser.add_argument("--new", action="store_true")
    parser.add_argument("--gate", action="store_true")
    options = parser.parse_args()
    every = [*(row for rows in PARTS.values() for row in rows), *COUNTER_EXAMPLES]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        lines = Lines(Explorer(Path(folder)))
        for each in sorted(every, key=lambda each: each.long):
            if (options.new and lines.known(each)) or (options.gate and each.long):
                continue
            outcome = lines.find(each)
            expected = each.broken if isinstance(each, CounterExample) else ""
            if outcome.broken != expected or outcome.capped:
                wrong += 1
                sys.stdout.write(f"not as expected: {outcome}\n")
            sys.stdout.write(lines.of(each) + "\n")
            sys.stdout.flush()
            page = PAGE.read_text("utf-8")
            PAGE.write_text(replaced(page, tables(lines.of, lines.of)), "utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
