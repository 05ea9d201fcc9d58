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
from tests.crash.deaths import WHICH_STEPS, Moment
from tests.crash.driving import BOTH, drive, signed
from tests.crash.mortal import DiedError, Place


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


@WHICH_STEPS
@pytest.mark.parametrize("moment", ["before", pytest.param("after", marks=pytest.mark.long)])
def test_a_refresh_killed_at_any_step(
    place: Place, moment: Moment, questions: bool, report_line: Callable[[str], None]
) -> None:
    world, (mortal, other) = place
    making = Making.of(world)
    drive(making)
    refreshing = Refreshing(world, making.certificate().body, BOTH, making.dones)
    key, wallet_id = refreshing.replaced.group_key, bytes(refreshing.replaced.terms.wallet_id)
    for number in itertools.count():
        other.call("wait", JOINS_WITHIN + 1)
        mortal.call("die_at", moment, number, questions)
        died = refreshed(place, refreshing)
        mortal.kill()  # a death that has not come does not come, and each refresh begins alike
        mortal.start()
        for each in (mortal, other):
            remains = each.remains()
            assert remains.states == {wallet_id: "active"}
            assert remains.registers == {wallet_id: bytes(refreshing.successor.hash)}
        assert refreshing.successor.group_key == key
        assert refreshing.certificate is not None
        signed(world, refreshing.certificate, b"after step %d" % number)
        if not died:
            break
        refreshing = refreshing.next()
    assert number > 100
    report_line(f"refresh: killed {moment} each of {number} steps of one holder")
