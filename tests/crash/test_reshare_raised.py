"""A holder dies at any step of a resharing, and the state is reopened from its folder and token.

Whoever it is, the same calls bring it to the end: who stays and who comes have one share, which
opens, who leaves has none; no key is left that nobody names, and the epoch before opens no more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.agent.copies import opener, require_closed
from tests.agent.resharing import Sharing, making_among
from tests.agent.rounds import Round
from tests.agent.simulate import World, Worlds
from tests.crash.deaths import Death, DeathError, Moment
from tests.crash.phoenix import Phoenix, clear
from tests.named_steps import nothing_happens

pytestmark = pytest.mark.usefixtures("shielded")

BEFORE, AFTER = ("h1", "h2"), ("h1", "h3")
STAYS, LEAVES, COMES = 1, 2, 3

ROLES = {STAYS: "stays", LEAVES: "leaves", COMES: "comes"}
AT_WHAT = pytest.mark.parametrize(
    ("index", "moment", "apart"),
    [
        pytest.param(STAYS, "before", 7, id="stays-before-some"),
        pytest.param(COMES, "before", 7, id="comes-before-some"),
        pytest.param(LEAVES, "before", 1, id="leaves-before-each"),
        pytest.param(STAYS, "before", 1, id="stays-before-each", marks=pytest.mark.long),
        pytest.param(COMES, "before", 1, id="comes-before-each", marks=pytest.mark.long),
        *(
            pytest.param(index, "after", 1, id=f"{role}-after-each", marks=pytest.mark.long)
            for index, role in ROLES.items()
        ),
    ],
)
"""Who dies, and how many changes one death is behind the other: each takes a wallet and a
resharing.
"""


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(3)


def about_to_share(phoenix: Phoenix) -> Sharing:
    """A wallet of the first two, as if there had never been another."""
    world = phoenix.world
    for index in world.parties:
        if index != phoenix.index:
            clear(world.parties[index])
            world.restarted(index)
    clear(phoenix.party)
    phoenix.restart()
    making = making_among(world, BEFORE)
    making.active()
    return Sharing.of(world, making, AFTER, 2)


def shared_over(death: Death, phoenix: Phoenix, sharing: Sharing) -> None:
    """It dies once, and starts again; the same is asked of all until nobody waits for anything."""
    phoenix.watch = death.observer
    try:
        sharing.drive()
    except DeathError:
        phoenix.restart()
        phoenix.watch = nothing_happens
        sharing.drive()
    phoenix.watch = nothing_happens
    phoenix.restart()


def require_done(phoenix: Phoenix, sharing: Sharing) -> None:
    remains = phoenix.remains()
    wallet_id, h = bytes(sharing.replaced.terms.wallet_id), bytes(sharing.successor.hash)
    stays = phoenix.index != LEAVES
    assert remains.states == ({wallet_id: "active"} if stays else {})
    assert remains.registers == ({wallet_id: h} if stays else {})
    assert len(remains.keks) == stays
    assert phoenix.party.acting.attempts(sharing.replaced.terms.wallet_id).all() == ()
    assert sharing.successor.group_key == sharing.replaced.group_key
    assert sharing.certificate is not None
    round_ = Round(sharing.new, sharing.certificate, b"after it").commit(1, 2)
    assert round_.signature({k: round_.sign(k) for k in (1, 2)})


@AT_WHAT
def test_a_holder_dies_at_any_change(
    world: World,
    index: int,
    moment: Moment,
    apart: int,
    report_line: Callable[[str], None],
) -> None:
    phoenix = Phoenix(world, index)
    for count in itertools.count(step=apart):
        sharing = about_to_share(phoenix)
        copy = None if index == COMES else opener(phoenix.party, sharing.replaced)
        death = Death.at(moment, count)
        shared_over(death, phoenix, sharing)
        if copy is not None:
            require_closed(phoenix.party, copy)
        require_done(phoenix, sharing)
        if not death.has_come:
            break
    assert count > 20
    report_line(f"resharing: who {ROLES[index]} died {moment} changes up to {count}, {apart} apart")
