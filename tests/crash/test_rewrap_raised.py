"""A holder dies at any step of `share rewrap`, and the state is reopened from folder and token.

After each death: one key, named by the record, which opens the share; the wallet signs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.agent.making import Making
from tests.crash.deaths import MOMENTS, Death, DeathError, Moment
from tests.crash.driving import drive, signed
from tests.crash.phoenix import Phoenix
from tests.named_steps import nothing_happens

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.mark.parametrize(
    "moment", ["before", pytest.param("after", marks=pytest.mark.long)], ids=MOMENTS
)
def test_a_rewrap_that_dies_at_any_change(
    phoenix: Phoenix, moment: Moment, report_line: Callable[[str], None]
) -> None:
    making = Making.of(phoenix.world)
    drive(making)
    certificate = making.certificate()
    old_keys = set[bytes]()
    for count in itertools.count():
        before = phoenix.remains().keks
        death = Death.at(moment, count)
        phoenix.watch = death.observer
        try:
            phoenix.world.parties[1].successions.rewrap(making.wallet_id)
        except DeathError:
            phoenix.restart()
        phoenix.watch = nothing_happens
        after = phoenix.remains()
        assert len(after.keks) == 1
        assert old_keys.isdisjoint(after.keks)
        assert after.states == {bytes(making.wallet_id): "active"}
        old_keys |= set(before) - set(after.keks)
        if not death.has_come:
            break
    assert count > 10
    signed(phoenix.world, certificate, b"after all of them")
    report_line(f"rewrap: died {moment} each of {count} changes of one holder")
