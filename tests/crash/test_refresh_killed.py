"""SIGKILL of one holder before and after every step of a refresh.

The relay and the other holder live on, and the relay goes on with the messages that it has. After
each death: both are in the new epoch alone, no key is left that nobody names, and it signs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from hsm_mpc.agent.succession.joining import JOINS_WITHIN
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.crash.deaths import MOMENTS, Moment
from tests.crash.driving import BOTH, drive, signed
from tests.crash.mortal import DiedError, Place

A_SAMPLE = 16
"""In the gate a kill comes at every so manieth change; `--long` takes them all."""
FOLLOW = 10
"""So many refreshes of one wallet follow each other."""


def refreshed(place: Place, refreshing: Refreshing) -> bool:
    """A refresh to its end, whoever dies; whether somebody did."""
    died = False
    while True:
        try:
            refreshing.drive()
        except DiedError:
            died = True
            for mortal in place[1]:
                if not mortal.lives:
                    mortal.start()
        else:
            return died


def wallet_of(place: Place, number: int) -> Refreshing:
    """The only one that both have, in epoch 0: a long history takes long to read at each start."""
    world, both = place
    for each in both:
        each.call("clear")
        each.kill()
        each.start()
    making = Making.of(world, f"w{number}")
    drive(making)
    return Refreshing(world, making.certificate().body, BOTH, making.dones)


def kills_at_steps(place: Place, moment: Moment, every: int, questions: bool) -> int:
    """One refresh after the other, each with a death some steps later; how many came."""
    world, (mortal, other) = place
    refreshing = wallet_of(place, 0)
    for count in itertools.count():
        if count % FOLLOW == FOLLOW - 1:
            refreshing = wallet_of(place, count)
        key, wallet_id = refreshing.replaced.group_key, bytes(refreshing.replaced.terms.wallet_id)
        other.call("wait", JOINS_WITHIN + 1)
        mortal.call("die_at", moment, every * count, questions)
        died = refreshed(place, refreshing)
        mortal.kill()  # a death that has not come does not come, and each refresh begins alike
        mortal.start()
        for each in (mortal, other):
            remains = each.remains()
            assert remains.states == {wallet_id: "active"}
            assert remains.registers == {wallet_id: bytes(refreshing.successor.hash)}
        assert refreshing.successor.group_key == key
        assert refreshing.certificate is not None
        signed(world, refreshing.certificate, b"after step %d" % count)
        if not died:
            return count
        refreshing = refreshing.next()
    raise AssertionError


def test_a_refresh_killed_at_some_steps(place: Place, report_line: Callable[[str], None]) -> None:
    kills = kills_at_steps(place, "before", A_SAMPLE, questions=False)
    assert kills > 10
    report_line(f"refresh: killed before {kills} of the changes of one holder, {A_SAMPLE} apart")


@pytest.mark.long
@pytest.mark.parametrize("questions", [False, True], ids=["changes", "changes-and-questions"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_refresh_killed_at_any_step(
    place: Place, moment: Moment, questions: bool, report_line: Callable[[str], None]
) -> None:
    kills = kills_at_steps(place, moment, 1, questions)
    assert kills > 150
    report_line(f"refresh: killed {moment} each of {kills} steps of one holder")
