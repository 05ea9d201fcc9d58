"""A disk that was put back to before the vote that its HSM remembers (steps 6.2.1 and 6.5.5)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm_mpc.errors import Tampered
from hsm_mpc.hsm.register import Register
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World, Worlds

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(3)


@pytest.fixture
def refreshing(world: World) -> Refreshing:
    making = Making.of(world)
    making.active()
    return Refreshing(world, making.certificate().body, (1, 2), making.dones)


def put_back(world: World, folder: Path, action: Callable[[], object]) -> None:
    """Whatever holder 1 writes during the action is gone from its disk afterwards."""
    wallets = world.parties[1].acting.store._folder / "wallets"
    shutil.copytree(wallets, folder)
    action()
    shutil.rmtree(wallets)
    shutil.copytree(folder, wallets)
    world.restarted(1)


def register_of(world: World, refreshing: Refreshing) -> Register:
    register = world.parties[1].acting.registers.read(refreshing.replaced.terms.wallet_id)
    assert register is not None
    return register


def joined_above(refreshing: Refreshing) -> None:
    """Holder 1 has promised more than the attempt under way."""
    refreshing.attempts += 1
    refreshing.asked_to_join(1)
    refreshing.attempts -= 1


def require_given_again(world: World, refreshing: Refreshing) -> None:
    """Holder 1 joins nothing before the attempt that has its vote is shown to it once more; then
    the next one carries that on, and retires the epoch.
    """
    voted = register_of(world, refreshing)
    refreshing.attempts += 2
    with pytest.raises(Tampered, match="older than what was adopted"):
        refreshing.asked_to_join(1)
    assert register_of(world, refreshing).adopted == voted.adopted
    refreshing.attempts -= 2
    promised = register_of(world, refreshing)
    refreshing.adopt(1, refreshing.transcript)
    assert register_of(world, refreshing) == promised
    wanted, refreshing.certificate = refreshing.successor, None
    refreshing.attempts += 2
    refreshing.drive(absent=(3,))
    assert refreshing.successor == wanted
    assert register_of(world, refreshing).epoch_hash == wanted.hash


def test_a_vote_below_the_promise_is_given_again_to_a_disk_that_lost_it(
    world: World, refreshing: Refreshing, tmp_path: Path
) -> None:
    refreshing.made()

    def voted() -> None:
        refreshing.adopt(1)
        joined_above(refreshing)

    put_back(world, tmp_path / "copy", voted)
    require_given_again(world, refreshing)


def test_what_carries_a_vote_on_is_given_again_to_a_disk_that_lost_it(
    world: World, refreshing: Refreshing, tmp_path: Path
) -> None:
    """The certificate is on the old disk, and not why it may be adopted in a later attempt."""
    refreshing.made()
    refreshing.adopt(1)
    refreshing.joined()
    refreshing.carry_on()

    def voted() -> None:
        refreshing.adopt(1)
        joined_above(refreshing)

    put_back(world, tmp_path / "copy", voted)
    require_given_again(world, refreshing)
