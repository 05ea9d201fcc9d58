"""A coordinator and a holder say two things in one attempt: two successors of one epoch have the
same attempt in the names of their wrapping keys (step 6.2.2).
"""

from __future__ import annotations

import shutil
from contextlib import suppress

import pytest

from hsm_mpc.agent.succession import dropping
from hsm_mpc.agent.succession.live import LiveEpoch, opened_share
from hsm_mpc.errors import BackendError
from hsm_mpc.hsm.register import Register
from hsm_mpc.ids import EpochHash
from hsm_mpc.store.attempts import AttemptDocument
from tests.agent.faults import failing_from
from tests.agent.making import Making, keks
from tests.agent.refreshing import Refreshing
from tests.agent.rounds import Round
from tests.agent.simulate import World
from tests.agent.two_epochs import in_successor

pytestmark = pytest.mark.usefixtures("shielded")

LIAR = 3


@pytest.fixture
def two(world: World, making: Making) -> tuple[Refreshing, Refreshing]:
    """1 has staged the first, and 2 the second."""
    body = making.certificate().body
    first = Refreshing(world, body, (1, LIAR), making.dones)
    first.made()
    forget(world, first)
    second = Refreshing(world, body, (2, LIAR), making.dones)
    second.made()
    assert first.attempt == second.attempt
    assert first.successor.hash != second.successor.hash
    return first, second


def forget(world: World, refreshing: Refreshing) -> None:
    """The liar acts as if it had never been in this attempt."""
    wallet_id, acting = refreshing.replaced.terms.wallet_id, world.parties[LIAR].acting
    shutil.rmtree(acting.attempts(wallet_id)._folder)
    acting.epochs(wallet_id).drop(refreshing.successor.hash)
    acting.registers.write(wallet_id, Register(refreshing.replaced.hash))


def opens(world: World, index: int, refreshing: Refreshing) -> bool:
    with opened_share(world.parties[index].acting, refreshing.successor):
        return True


def make_room(world: World, making: Making) -> set[EpochHash]:
    """For what a later attempt makes; what is left at 1."""
    own, wallets = world.parties[1].acting, world.parties[1].wallets
    own.attempts(making.wallet_id).keep(b"\xff" * 10, AttemptDocument.PROPOSE, b"a later one")
    dropping.make_room(LiveEpoch.of(own, wallets, making.wallet_id))
    return {each.epoch_hash for each in own.epochs(making.wallet_id).records()}


def lost_where_others_adopt(world: World, making: Making, refreshing: Refreshing) -> None:
    """1 has a share of it that does not open any more."""
    for index in (2, LIAR):
        refreshing.last_dones[index] = refreshing.adopt(index, refreshing.transcript)
    epochs = world.parties[1].acting.epochs(making.wallet_id)
    epochs.blob_path(refreshing.successor.hash).write_bytes(b"noise")


def test_the_end_of_one_leaves_the_key_of_the_other(
    world: World, two: tuple[Refreshing, Refreshing]
) -> None:
    _, second = two
    second.decided(1, 2, LIAR)
    second.retire(1)
    assert opens(world, 1, second)
    assert len(keks(world.parties[1])) == 1


def test_no_wallet_is_lost(world: World, two: tuple[Refreshing, Refreshing]) -> None:
    """Each of both honest holders adopts the one that the other has staged."""
    first, second = two
    first.adopt(2, first.transcript)
    second.adopt(1, second.transcript)
    second.carried_on(1, LIAR)
    second.decided(1, 2, LIAR)
    for index in (1, 2):
        second.retire(index)
        assert opens(world, index, second)
    assert second.certificate is not None
    Round(world, second.certificate, b"pay").commit(1, 2).sign(2)


def test_what_was_acknowledged_opens_beside_what_was_adopted(
    world: World, two: tuple[Refreshing, Refreshing]
) -> None:
    first, second = two
    second.adopt(1, second.transcript)
    assert opens(world, 1, first)
    assert opens(world, 1, second)


def test_a_failed_try_to_adopt_the_other_leaves_what_is_adopted(
    world: World, making: Making, two: tuple[Refreshing, Refreshing]
) -> None:
    first, second = two
    first.adopt(1)
    second.adopt(2)
    second.carried_on(2, LIAR)
    with failing_from("blob.write"), pytest.raises(BackendError):
        second.adopt(1, second.transcript)
    world.restarted(1)
    register = world.parties[1].acting.registers.read(making.wallet_id)
    assert register is not None and register.adopted is not None
    assert register.adopted.epoch_hash == first.successor.hash
    assert opens(world, 1, first)


def test_room_for_another_takes_no_key_of_what_is_adopted(
    world: World,
    making: Making,
    two: tuple[Refreshing, Refreshing],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = two
    second.adopt(1, second.transcript)
    monkeypatch.setattr(dropping, "MOST_STAGED", 2)
    left = make_room(world, making)
    assert opens(world, 1, second)
    assert first.successor.hash not in left


def test_both_may_be_dropped_for_another(
    world: World,
    making: Making,
    two: tuple[Refreshing, Refreshing],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = two
    with failing_from("epoch-certificate.write"), suppress(BackendError):
        second.adopt(1, second.transcript)  # staged, and not adopted
    own = world.parties[1].acting
    hashes = {each.epoch_hash for each in own.epochs(making.wallet_id).records()}
    assert {first.successor.hash, second.successor.hash} < hashes
    monkeypatch.setattr(dropping, "MOST_STAGED", 1)
    assert make_room(world, making) == {second.replaced.hash}
    assert len(keks(world.parties[1])) == 1


def test_a_repair_takes_no_key_that_is_named_for_the_other(
    world: World, making: Making, two: tuple[Refreshing, Refreshing]
) -> None:
    """The HSM had no room for it, and has some again when the first one is repaired."""
    first, second = two
    lost_where_others_adopt(world, making, first)
    with failing_from("key.generate"), pytest.raises(BackendError):
        second.adopt(1, second.transcript)
    in_successor(making, first, 1, (2, LIAR)).summed().recover()
    assert first.adopt(1)
    assert opens(world, 1, first)


def test_the_other_takes_no_key_that_is_offered(
    world: World, making: Making, two: tuple[Refreshing, Refreshing]
) -> None:
    first, second = two
    lost_where_others_adopt(world, making, first)
    repairing = in_successor(making, first, 1, (2, LIAR)).summed()
    second.adopt(1, second.transcript)
    repairing.recover()
    assert opens(world, 1, first)
    assert opens(world, 1, second)


def test_what_carries_on_is_that_of_the_vote(world: World, making: Making) -> None:
    """Two votes are asked for in one attempt, and the first one fails before it is cast."""
    first = Refreshing(world, making.certificate().body, (1, LIAR), making.dones)
    first.made()
    first.adopt(1)
    second = Refreshing(world, first.replaced, (2, LIAR), making.dones, attempts=first.attempts)
    second.made()
    second.adopt(2)
    first.attempts = second.attempts
    for each, members in ((first, (1, LIAR)), (second, (2, LIAR))):
        each.carried_on(*members)
    assert first.attempt == second.attempt
    with failing_from("register.create"), pytest.raises(BackendError):
        first.adopt(LIAR)
    second.adopt(LIAR)
    second.carried_on(1, LIAR)
    assert second.adopt(1, second.transcript)


def test_a_vote_for_what_is_made_anew_has_nothing_that_carries_it_on(
    world: World, making: Making
) -> None:
    """What is made anew, and what carries another one on, in one attempt."""
    older = Refreshing(world, making.certificate().body, (1, LIAR), making.dones)
    older.made()
    older.adopt(1)
    newer = Refreshing(world, older.replaced, (2, LIAR), making.dones, attempts=older.attempts)
    newer.made()
    older.carried_on(1, LIAR)
    assert older.attempt == newer.attempt
    with failing_from("register.create"), pytest.raises(BackendError):
        older.adopt(LIAR)
    newer.adopt(LIAR)
    newer.carried_on(1, LIAR)
    assert newer.adopt(1, newer.transcript)
