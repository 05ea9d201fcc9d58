"""A disk that was put back to before the vote that its HSM remembers (steps 6.2.1 and 6.5.5)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm_mpc.errors import NotReady, Refused, Tampered
from hsm_mpc.hsm.register import Register
from tests.agent.making import lines
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World, Worlds

pytestmark = pytest.mark.usefixtures("shielded")

TOO_OLD = (
    "this disk is older than what was adopted here: another attempt to adopt that mends it, "
    "or a refresh without this holder"
)


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(3)


@pytest.fixture
def refreshing(world: World) -> Refreshing:
    return Refreshing.of_new_wallet(world)


def put_back(world: World, index: int, folder: Path, action: Callable[[], object]) -> None:
    """Whatever this holder writes during the action is gone from its disk afterwards."""
    wallets = world.parties[index].acting.store._folder / "wallets"
    shutil.copytree(wallets, folder)
    action()
    shutil.rmtree(wallets)
    shutil.copytree(folder, wallets)
    world.restarted(index)


def register_of(refreshing: Refreshing, index: int) -> Register:
    acting = refreshing.world.parties[index].acting
    register = acting.registers.read(refreshing.replaced.terms.wallet_id)
    assert register is not None
    return register


def alarms(world: World, index: int) -> list[object]:
    """What its audit log says aloud: why, of each."""
    logged = lines(world.parties[index])
    return [line["reason"] for line in logged if line["event"] == "alarm"]


def joined_above(refreshing: Refreshing, index: int, ahead: int) -> None:
    """It goes into a higher attempt than the one under way, which goes on."""
    refreshing.attempts += ahead
    try:
        refreshing.asked_to_join(index)
    finally:
        refreshing.attempts -= ahead


def require_too_old(refreshing: Refreshing, index: int) -> None:
    """It joins nothing, and forgets nothing of what it has voted for."""
    voted = register_of(refreshing, index)
    with pytest.raises(Tampered, match=TOO_OLD):
        joined_above(refreshing, index, 2)
    assert register_of(refreshing, index).adopted == voted.adopted


def require_given_again(refreshing: Refreshing, index: int) -> None:
    """It says what it has voted for once more, and promises nothing by that; the next attempt
    carries it on, and retires the epoch.
    """
    before = register_of(refreshing, index)
    refreshing.adopt(index, refreshing.transcript)
    assert register_of(refreshing, index) == before
    wanted, refreshing.certificate = refreshing.successor, None
    refreshing.attempts += 3
    refreshing.members = tuple(sorted({index, 2}))
    refreshing.drive(absent={1, 2, 3} - set(refreshing.members))
    assert refreshing.successor == wanted
    assert register_of(refreshing, index) == Register(wanted.hash)


def test_a_disk_from_before_a_refresh_is_found_at_the_start_and_signs_nothing(
    world: World, refreshing: Refreshing, tmp_path: Path
) -> None:
    """Step 6.6.1: neither the epoch that it has, which is gone, nor the one that it has lost."""
    wallet_id, old = refreshing.replaced.terms.wallet_id, refreshing.replaced.hash

    put_back(world, 1, tmp_path / "copy", lambda: refreshing.drive(absent=(3,)))
    assert "the store has no share of that epoch" in alarms(world, 1)
    wallets = world.parties[1].wallets
    with pytest.raises(Tampered, match="register is of another epoch"):
        wallets.signing(wallet_id, old)
    with pytest.raises(Refused, match="no such epoch"):
        wallets.signing(wallet_id, refreshing.successor.hash)


def test_a_vote_below_the_promise_is_given_again_to_a_disk_that_lost_it(
    world: World, refreshing: Refreshing, tmp_path: Path
) -> None:
    """What it is for comes first: with that the holder joins, whether it has a share or not."""
    refreshing.made()

    def voted() -> None:
        refreshing.adopt(3, refreshing.transcript)
        joined_above(refreshing, 3, 1)

    put_back(world, 3, tmp_path / "copy", voted)
    assert alarms(world, 3) == [TOO_OLD]
    require_too_old(refreshing, 3)
    with pytest.raises(NotReady):
        refreshing.adopt(3)
    joined_above(refreshing, 3, 3)
    require_given_again(refreshing, 3)


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
        joined_above(refreshing, 1, 1)

    put_back(world, 1, tmp_path / "copy", voted)
    assert alarms(world, 1) == [TOO_OLD]
    require_too_old(refreshing, 1)
    require_given_again(refreshing, 1)
