"""A holder dies at any step of a refresh, and the state is reopened from its folder and its token.

After each death: the same public key, one active epoch, no key that nobody names, and the epoch
before opens no more, although the test has its blob.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from hsm_mpc.agent.succession.joining import JOINS_WITHIN
from tests.agent.copies import opener, require_closed
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.crash.deaths import MOMENTS, Death, DeathError, Moment
from tests.crash.driving import BOTH, drive
from tests.crash.phoenix import Phoenix
from tests.named_steps import nothing_happens

A_SAMPLE = 15
"""In the gate a death comes at every so manieth step; `--long` takes them all."""

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def refreshing(phoenix: Phoenix) -> Refreshing:
    """Of a wallet that both have, in epoch 0."""
    making = Making.of(phoenix.world)
    drive(making)
    body = making.certificate().body
    return Refreshing(phoenix.world, body, members=BOTH, first_dones=making.dones)


def refreshed(phoenix: Phoenix, refreshing: Refreshing, *deaths: Death) -> Refreshing:
    """A refresh through these deaths, the first of them now; the succession after it."""
    copy = opener(phoenix.party, refreshing.replaced)
    phoenix.world.later[0] += JOINS_WITHIN + 1
    waiting = iter([death.observer for death in deaths])
    phoenix.watch = next(waiting)
    died = False
    while True:
        try:
            if died:
                phoenix.restart(next(waiting, nothing_happens))
            refreshing.drive()
        except DeathError:
            died = True
        else:
            break
    phoenix.watch = nothing_happens
    phoenix.restart()
    after = refreshing.next()
    phoenix.world.now[0] += after.attempts  # their counters would run ahead of it
    after.attempts = 0
    require_closed(phoenix.party, copy)
    remains = phoenix.remains()
    wallet_id = bytes(after.replaced.terms.wallet_id)
    assert remains.states == {wallet_id: "active"}
    assert remains.registers == {wallet_id: bytes(after.replaced.hash)}
    assert after.replaced.group_key == refreshing.replaced.group_key
    assert phoenix.party.acting.attempts(after.replaced.terms.wallet_id).all() == ()
    return after


def deaths_at_steps(
    phoenix: Phoenix, refreshing: Refreshing, moment: Moment, every: int, questions: bool
) -> int:
    """One refresh after the other, each with a death some steps later; how many came."""
    for count in itertools.count():
        death = Death.at(moment, every * count, questions)
        refreshing = refreshed(phoenix, refreshing, death)
        if not death.has_come:
            return count
    raise AssertionError


def test_a_refresh_that_dies_at_some_steps(
    phoenix: Phoenix, refreshing: Refreshing, report_line: Callable[[str], None]
) -> None:
    came = deaths_at_steps(phoenix, refreshing, "before", A_SAMPLE, questions=False)
    assert came > 8
    report_line(f"refresh: died before {came} of the changes of one holder, {A_SAMPLE} apart")


@pytest.mark.long
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_refresh_that_dies_at_any_step(
    phoenix: Phoenix,
    refreshing: Refreshing,
    moment: Moment,
    report_line: Callable[[str], None],
) -> None:
    came = deaths_at_steps(phoenix, refreshing, moment, 1, questions=True)
    assert came > 100
    report_line(f"refresh: died {moment} each of {came} steps of one holder")


@pytest.mark.long
def test_a_refresh_that_dies_twice(
    phoenix: Phoenix, refreshing: Refreshing, report_line: Callable[[str], None]
) -> None:
    chosen, both = random.Random(0), 0
    for _ in range(300):
        deaths = Death.at("before", chosen.randrange(130)), Death.at("before", chosen.randrange(60))
        refreshing = refreshed(phoenix, refreshing, *deaths)
        both += deaths[1].has_come
    assert both > 100
    report_line(f"refresh: died at {both} pairs of steps of one holder")
