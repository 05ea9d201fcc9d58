"""What docs/protocols/model.md says was found by the model of section 6 is found again.

The numbers are in rows.py and counter_examples.py; `python -m tests.model` prints those of today.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.conftest import EXPLORED
from tests.model.counter_examples import COUNTER_EXAMPLES
from tests.model.exploring import Explorer, weakened_rules
from tests.model.models import CounterExample, Model, Row
from tests.model.rows import PARTS

INVARIANTS: Final = {"I1", "I2", "I3", "I4", "I5", "progress"}
ROWS: Final = [row for part in PARTS.values() for row in part]

Params = list[Any]


def params(each: list[Any], is_long: Callable[[Any], bool]) -> Params:
    """One worker has those of the gate, one the long ones: nothing is compiled or held twice."""
    gate = [pytest.mark.xdist_group("model")]
    long = [pytest.mark.xdist_group("long model"), pytest.mark.long]
    return [
        pytest.param(one, marks=long if is_long(one) else gate, id=str(one.model)) for one in each
    ]


@pytest.fixture(scope="session")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    return Explorer(tmp_path_factory.mktemp("model"))


Explored = Callable[[Model, int], None]
"""Told of a model how many states were reached."""


@pytest.fixture
def explored(record_property: Callable[[str, object], None]) -> Explored:
    return lambda model, states: record_property(EXPLORED, f"{states} {model}")


def require(explorer: Explorer, row: Row, explored: Explored) -> None:
    outcome = explorer.explore(row.model)
    found = (outcome.broken, outcome.states, outcome.owed, outcome.stuck)
    assert found == ("", row.states, row.owed, 0)
    explored(row.model, outcome.states)


@pytest.mark.parametrize("row", params(ROWS, lambda row: row.long))
def test_no_reachable_state_breaks_an_invariant(
    explorer: Explorer, row: Row, explored: Explored
) -> None:
    require(explorer, row, explored)


@pytest.mark.parametrize("each", params(list(COUNTER_EXAMPLES), lambda each: each.long))
def test_a_rule_less_breaks_one(
    explorer: Explorer, each: CounterExample, explored: Explored
) -> None:
    steps, outcome = explorer.trace(each.model)
    assert outcome.broken == each.broken
    assert (outcome.states, len(steps)) == (each.states, each.steps)
    explored(each.model, outcome.states)


@pytest.mark.parametrize("each", params(list(COUNTER_EXAMPLES), lambda each: each.mended.long))
def test_with_the_rule_none_is_broken(
    explorer: Explorer, each: CounterExample, explored: Explored
) -> None:
    require(explorer, each.mended, explored)


def test_every_invariant_is_broken_by_some_weaker_rule_of_the_gate() -> None:
    assert {each.broken for each in COUNTER_EXAMPLES if not each.long} == INVARIANTS


def test_every_rule_that_can_be_weakened_is() -> None:
    models = [row.model for row in ROWS] + [each.model for each in COUNTER_EXAMPLES]
    tried = {word for model in models for word in model.words.split()}
    assert [rule for rule in weakened_rules() if rule not in tried] == []


@pytest.mark.xdist_group("model")
def test_a_model_that_is_none_is_refused(explorer: Explorer) -> None:
    small = [*Model(ROWS[0].model.quorum, (1,)).arguments()]
    assert explorer.understands(*small)
    assert not explorer.understands(*small, "no-such-word")
    assert not explorer.understands(*small, "l=4")
    assert not explorer.understands(*small, "a=5")
    anew = ["new=3", "of-new=2", "stay=1"]
    assert explorer.understands(*small, *anew)
    assert not explorer.understands(*small, *anew, "fine")
    assert not explorer.understands(*small, *anew, "y=2")
    assert not explorer.understands(*small, *anew, "stay=4")
