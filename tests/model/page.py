"""The tables of docs/protocols/model.md: what rows.py and counter_examples.py say was found."""

from __future__ import annotations

from collections.abc import Iterable

from tests.model.counter_examples import COUNTER_EXAMPLES
from tests.model.exploring import weakened_rules
from tests.model.models import CounterExample, Model, Row
from tests.model.rows import PARTS

_HEADS = ("t-of-n, J, W", "A", "X", "L", "D", "R", "words", "run", "states", "progress")
_COUNTER_HEADS = ("weaker", "what", "model", "run", "breaks", "states", "steps", "with the rule")


def rows() -> str:
    """A table for each part."""
    parts = [f"### {name}\n\n{_table(_HEADS, map(_row, rows))}" for name, rows in PARTS.items()]
    states = sum(row.states for part in PARTS.values() for row in part)
    return "\n".join(["", *parts, f"States of all rows together: {_number(states)}.\n", ""])


def counter_examples() -> str:
    """One table."""
    rules = weakened_rules()
    lines = (_counter_example(each, rules) for each in COUNTER_EXAMPLES)
    return f"\n{_table(_COUNTER_HEADS, lines)}\n"


def _row(row: Row) -> str:
    model = row.model
    words = [word for word in model.words.split() if word != "progress"]
    progress = "–"
    if len(words) < len(model.words.split()):
        progress = f"{_number(row.owed)}, none stuck"
    attempts = ", ".join(str(count) for count in model.attempts)
    befalls = (model.traitors, model.losses, model.restores, model.repairs)
    found = (_number(row.states), progress)
    return _cells(
        [model.holders, attempts, *befalls, " ".join(words) or "–", _run(row.long), *found]
    )


def _counter_example(each: CounterExample, rules: dict[str, str]) -> str:
    what = each.what or rules[each.name.split(",")[0]]
    with_rule = f"{_difference(each.model, each.mended.model)}{_number(each.mended.states)}"
    found = (each.broken, _number(each.states), each.steps, with_rule)
    return _cells([each.name, what, each.model, _run(each.long), *found])


def _difference(weaker: Model, mended: Model) -> str:
    """What is said of the mended model besides its states."""
    said = [] if mended.holders == weaker.holders else [mended.holders]
    said += [] if mended.repairs == weaker.repairs else [f"R {mended.repairs}"]
    said += [word for word in mended.words.split() if word not in weaker.words.split()]
    return f"{'; '.join(said)}: " if said else ""


def _table(heads: tuple[str, ...], lines: Iterable[str]) -> str:
    return "\n".join([_cells(heads), "|---" * len(heads) + "|", *lines]) + "\n"


def _cells(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _run(long: bool) -> str:
    return "long" if long else "gate"
