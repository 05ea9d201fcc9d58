"""A holder dies at any step of what an order has it do, and starts again from folder and token.

After each death the same RETIRE finishes it: the ordered epoch alone is left, under one key. The
one that went opens no more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from hsm_mpc.agent.succession.joining import JOINS_WITHIN
from hsm_mpc.hsm.register import Register
from tests.agent.copies import opener, require_closed
from tests.agent.making import Making
from tests.agent.ordering import TWO_OF_THREE, by_administrators, retirement, wished
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World, Worlds
from tests.crash.deaths import Death, DeathError, Moment
from tests.crash.phoenix import Phoenix
from tests.named_steps import nothing_happens

pytestmark = pytest.mark.usefixtures("shielded")

COUNTED, SUSPECT = 1, 3


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(3)


def ordered_over(death: Death, phoenix: Phoenix, refreshing: Refreshing) -> Refreshing:
    """Holders 1 and 2 adopt, 3 has promised a higher attempt; all obey, and one dies in it."""
    world = phoenix.world
    world.later[0] += JOINS_WITHIN + 1
    refreshing.made()
    dones = [refreshing.adopt(index) for index in (1, 2)]
    attempts = refreshing.attempts
    order = by_administrators(wished(refreshing), 0, 1)
    refreshing.begin()
    refreshing.join(SUSPECT)
    refreshing.attempts = attempts
    refreshing.retirement = retirement(order, dones, TWO_OF_THREE)
    copy = opener(phoenix.party, refreshing.replaced)
    phoenix.watch = death.observer
    try:
        refreshing.retire(phoenix.index, refreshing.transcript)
    except DeathError:
        phoenix.restart()
    phoenix.watch = nothing_happens
    for index in (1, 2, 3):
        refreshing.retire(index, refreshing.transcript)
    require_closed(phoenix.party, copy)
    world.now[0] += 2
    following = refreshing.next()
    following.attempts = 0
    return following


@pytest.mark.parametrize(
    ("moment", "apart"),
    [
        pytest.param("before", 4, id="before-some"),
        pytest.param("before", 1, id="before-each", marks=pytest.mark.long),
        pytest.param("after", 1, id="after-each", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("who", [COUNTED, SUSPECT], ids=["counted", "suspect"])
def test_who_obeys_an_order_dies_at_any_change(
    world: World, who: int, moment: Moment, apart: int, report_line: Callable[[str], None]
) -> None:
    making = Making.of(world, policy=TWO_OF_THREE)
    making.active()
    phoenix = Phoenix(world, who)
    refreshing = Refreshing(world, making.certificate().body, (1, 2), making.dones)
    wallet_id = making.wallet_id
    for count in itertools.count(step=apart):
        death = Death.at(moment, count)
        refreshing = ordered_over(death, phoenix, refreshing)
        remains = phoenix.remains()
        assert remains.states == {bytes(wallet_id): "active"}
        register = phoenix.party.acting.registers.read(wallet_id)
        assert register == Register(refreshing.replaced.hash)
        if not death.has_come:
            break
    assert count > 10
    report_line(f"order: died {moment} {count // apart} of the changes of holder {who}")
