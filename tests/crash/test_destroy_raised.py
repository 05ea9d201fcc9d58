"""A holder dies at any step of `wallet destroy`, and the state is reopened from folder and token.

After each death: either nothing was decided, and the wallet signs; or its keys are gone, and it has
said so, or will when it is asked again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.agent.destroying import destroy_of, said
from tests.agent.making import Making
from tests.crash.deaths import MOMENTS, Death, DeathError, Moment
from tests.crash.driving import drive, outcome_order, signed
from tests.crash.phoenix import Phoenix
from tests.named_steps import nothing_happens

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.mark.parametrize(
    "moment", ["before", pytest.param("after", marks=pytest.mark.long)], ids=MOMENTS
)
def test_a_destruction_that_dies_at_any_change(
    phoenix: Phoenix, moment: Moment, report_line: Callable[[str], None]
) -> None:
    world, outcomes = phoenix.world, list[str]()
    for count in itertools.count():
        making = Making.of(world, f"w{count}")
        drive(making)
        certificate = making.certificate()
        source = said(world, destroy_of(world, certificate.body))
        death = Death.at(moment, count)
        phoenix.watch = death.observer
        try:
            world.parties[1].destructions.destroy(source)
        except DeathError:
            phoenix.restart()
        phoenix.watch = nothing_happens
        remains = phoenix.remains()
        if remains.states:
            signed(world, certificate, b"it lives")
            outcomes.append("lives")
        else:
            assert (remains.keks, remains.registers) == ((), {})
            outcomes.append("gone")
        first = world.parties[1].destructions.destroy(source)
        assert world.parties[1].destructions.destroy(source) == first
        assert not phoenix.remains().keks
        if not death.has_come:
            break
    assert count > 10
    assert outcome_order(outcomes) == ["lives", "gone"]
    report_line(f"destroy: died {moment} each of {count} changes of one holder")
