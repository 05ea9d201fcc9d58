"""Two epochs of a 2-of-3 wallet live, and one holder lacks its share of the newer one (6.7.1)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hsm_mpc.wire.wallet_calls import ShownSuccession
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import Repairing
from tests.agent.simulate import World

LOST = 3
HELPERS = (1, 2)


@pytest.fixture
def refreshing(making: Making) -> Refreshing:
    """Two have adopted a successor, and the third was away: W = 3, so the first epoch lives."""
    return adopted_by_two(making)


def adopted_by_two(making: Making) -> Refreshing:
    refreshing = Refreshing(making.world, making.certificate().body, HELPERS, making.dones)
    refreshing.made()
    for index in HELPERS:
        refreshing.last_dones[index] = refreshing.adopt(index)
    return refreshing


def in_successor(
    making: Making, refreshing: Refreshing, lost: int = LOST, helpers: tuple[int, ...] = HELPERS
) -> Repairing:
    """The repair of a share of the newer epoch."""
    assert refreshing.certificate is not None
    shown = ShownSuccession(refreshing.certificate.to_bytes(), (), refreshing.retirement, ())
    repairing = Repairing(making.world, making, lost, helpers, (shown,))
    repairing.body = refreshing.successor
    for index, done in refreshing.last_dones.items():
        repairing.dones[index - 1] = done
    return repairing


@dataclass
class Rivals:
    """Two successors of one epoch: holder 3 was repaired after the first was dealt, and so cannot
    make its share of it from what was dealt to the delivery key before; it has adopted the other.
    """

    carried: Refreshing
    """Dealt by 1 and 2; 1 has adopted it."""
    other: Refreshing
    """Dealt by 2 and 3."""

    @classmethod
    def of(cls, world: World, making: Making) -> Rivals:
        carried = Refreshing(world, making.certificate().body, HELPERS, making.dones)
        carried.made()
        carried.last_dones[1] = carried.adopt(1)
        world.lost_store(LOST)
        _, repaired = Repairing(world, making, LOST, HELPERS).summed().recover()
        dones = [*making.dones[:2], repaired]
        other = Refreshing(world, carried.replaced, (2, LOST), dones, attempts=carried.attempts + 1)
        other.made()
        other.adopt(LOST)
        carried.first_dones = dones
        return cls(carried, other)

    def carry_on(self, refreshing: Refreshing, *members: int) -> None:
        """In an attempt above all before."""
        refreshing.attempts = max(self.carried.attempts, self.other.attempts)
        refreshing.carried_on(*members)

    def decide_the_other(self) -> None:
        """All three have adopted it; nobody has ended the epoch before for it yet."""
        self.carry_on(self.other, 1, LOST)
        self.other.decided(1, 2, LOST)
