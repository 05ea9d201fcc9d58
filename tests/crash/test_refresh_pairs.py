"""Two deaths in one refresh of a 2-of-3 wallet, and the states are reopened from folder and token.

After each pair: the same public key, one active epoch with its key, registers of it, and no old
share opens, although the test has copies of all disks.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.simulate import Worlds
from tests.crash.deaths import Death
from tests.crash.pairs import HOLDERS, Pairs

WHO = [*((index, index) for index in HOLDERS), *itertools.combinations(HOLDERS, 2)]
"""Who dies first, and who dies then: one twice, or two of them."""
MOST_EFFECTS = 45
"""Steps of one holder, about, that leave something else behind."""
PARTS = 2

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def pairs(worlds: Worlds, stores: Path) -> Pairs:
    return Pairs(worlds(len(HOLDERS)), stores / "copies")


def died(pairs: Pairs, who: tuple[int, int], first: int, second: int) -> tuple[bool, bool]:
    """Which of these two deaths came; of one holder the second counts from its new start."""
    deaths = Death.before_effect(first), Death.before_effect(second)
    dying: dict[int, list[Death]] = {}
    for index, death in zip(who, deaths, strict=True):
        dying.setdefault(index, []).append(death)
    pairs.refresh(dying)
    return deaths[0].has_come, deaths[1].has_come


def every_pair(pairs: Pairs, who: tuple[int, int], part: int) -> Iterator[tuple[int, int]]:
    """Those whose first number is of this part, as long as both deaths come."""
    for first in itertools.count(part, PARTS):
        for second in itertools.count():
            came = died(pairs, who, first, second)
            if not came[0]:
                return
            if not came[1]:
                break
            yield first, second


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("who", WHO)
def test_a_refresh_in_which_holders_die_at_any_two_steps(
    pairs: Pairs, who: tuple[int, int], part: int, report_line: Callable[[str], None]
) -> None:
    came = sum(1 for _ in every_pair(pairs, who, part))
    assert came > 100
    report_line(f"refresh of three: {came} pairs of steps at which holders {who} died")


def test_a_refresh_in_which_holders_die_at_some_two_steps(
    pairs: Pairs, report_line: Callable[[str], None]
) -> None:
    chosen, came = random.Random(0), 0
    for who in WHO * 3:
        numbers = chosen.randrange(MOST_EFFECTS), chosen.randrange(MOST_EFFECTS // 2)
        came += all(died(pairs, who, *numbers))
    assert came > 8
    report_line(f"refresh of three: {came} pairs of steps at which two died, or one twice")
