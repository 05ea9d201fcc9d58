"""docs/protocols/refresh-model.md: its tables, which `python -m tests.model` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from tests.model.exploring import Outcome
from tests.model.rows import COUNTER_EXAMPLES, PARTS, CounterExample, Model, Row

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "protocols" / "refresh-model.md"
BEGIN: Final = "<!-- explored -->\n"
END: Final = "<!-- end of what was explored -->\n"

_HEADS: Final = ("t-of-n, J, W", "A", "X", "L", "D", "R", "words", "run", "states", "progress")
_COUNTER_HEADS: Final = ("weaker", "what", "model", "run", "breaks", "states", "steps")


def _cells(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _table(heads: tuple[str, ...], rows: Iterable[str]) -> str:
    return "\n".join([_cells(heads), "|---" * len(heads) + "|", *rows]) + "\n"


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _run(long: bool) -> str:
    return "long" if long else "gate"


def _befalls(model: Model) -> tuple[object, ...]:
    attempts = ", ".join(str(count) for count in model.attempts)
    return attempts, model.traitors, model.losses, model.restores, model.repairs


def key_of_row(row: Row) -> str:
    """How its line begins, up to what was found."""
    words = " ".join(word for word in row.model.words.split() if word != "progress") or "–"
    return _cells((row.model.quorum, *_befalls(row.model), words, _run(row.long)))


def line_of_row(row: Row, outcome: Outcome) -> str:
    """Its line, with what was found."""
    progress = "–"
    if "progress" in row.model.words.split():
        progress = f"{_number(outcome.owed)}, none stuck"
    return f"{key_of_row(row)} {_number(outcome.states)} | {progress} |"


def key_of_counter_example(each: CounterExample) -> str:
    """How its line begins, up to what was found."""
    a, x, losses, d, r = _befalls(each.model)
    model = f"{each.model.quorum}; A {a}, X {x}, L {losses}, D {d}, R {r}; {each.model.words or '–'}"
    return _cells((each.name, each.words, model, _run(each.long), each.broken))


def line_of_counter_example(each: CounterExample, outcome: Outcome, steps: int) -> str:
    """Its line, with what was found."""
    return f"{key_of_counter_example(each)} {_number(outcome.states)} | {steps} |"


def line_on_page(key: str) -> str:
    """The line of the page that begins so."""
    lines = PAGE.read_text("utf-8").splitlines()
    found = [line for line in lines if line.startswith(key)]
    assert len(found) == 1, f"the page has {len(found)} lines that begin {key}"
    return found[0]


def tables(
    line_for_row: Callable[[Row], str], line_for_counter_example: Callable[[CounterExample], str]
) -> str:
    """All of them, each line as it is asked for."""
    parts = [
        f"### {name}\n\n{_table(_HEADS, map(line_for_row, rows))}" for name, rows in PARTS.items()
    ]
    counter = _table(_COUNTER_HEADS, map(line_for_counter_example, COUNTER_EXAMPLES))
    return "\n".join([*parts, f"### Counter-examples\n\n{counter}"])


def replaced(page: str, explored: str) -> str:
    """The page with other tables."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{explored}\n{END}{after}"
