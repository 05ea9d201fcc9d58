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
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.wallet_calls import ShownSuccession
from tests.agent.faults import failing_from
from tests.agent.making import Making, keks
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import Repairing
from tests.agent.rounds import Round
from tests.agent.simulate import World, Worlds

pytestmark = pytest.mark.usefixtures("shielded")

LIAR = 3


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(3)


@pytest.fixture
def making(world: World) -> Making:
    """A 2-of-3 wallet."""
    making = Making.of(world)
    making.active()
    return making


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


def decide(refreshing: Refreshing) -> None:
    dones = [refreshing.adopt(index, refreshing.transcript) for index in (1, 2, LIAR)]
    refreshing.retirement = Retirement(tuple(dones)).to_bytes()


def carry_on(refreshing: Refreshing, *members: int) -> None:
    refreshing.members = members
    refreshing.joined()
    refreshing.carry_on()


def test_the_end_of_one_leaves_the_key_of_the_other(
    world: World, two: tuple[Refreshing, Refreshing]
) -> None:
    _, second = two
    decide(second)
    second.retire(1)
    assert opens(world, 1, second)
    assert len(keks(world.parties[1])) == 1


def test_no_wallet_is_lost(world: World, two: tuple[Refreshing, Refreshing]) -> None:
    """Each of both honest holders adopts the one that the other has staged."""
    first, second = two
    first.adopt(2, first.transcript)
    second.adopt(1, second.transcript)
    carry_on(second, 1, LIAR)
    decide(second)
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
    carry_on(second, 2, LIAR)
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
    own = world.parties[1].acting
    own.attempts(making.wallet_id).keep(b"\xff" * 10, AttemptDocument.PROPOSE, b"a later one")
    monkeypatch.setattr(dropping, "MOST_STAGED", 2)
    dropping.make_room(LiveEpoch.of(own, world.parties[1].wallets, making.wallet_id))
    assert opens(world, 1, second)
    hashes = {each.epoch_hash for each in own.epochs(making.wallet_id).records()}
    assert first.successor.hash not in hashes


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
    own.attempts(making.wallet_id).keep(b"\xff" * 10, AttemptDocument.PROPOSE, b"a later one")
    monkeypatch.setattr(dropping, "MOST_STAGED", 1)
    dropping.make_room(LiveEpoch.of(own, world.parties[1].wallets, making.wallet_id))
    (record,) = own.epochs(making.wallet_id).records()
    assert record.epoch_hash == second.replaced.hash
    assert len(keks(world.parties[1])) == 1


def test_a_repair_takes_no_key_that_is_named_for_the_other(
    world: World, making: Making, two: tuple[Refreshing, Refreshing]
) -> None:
    """The HSM had no room for it, and has some again when the first one is repaired."""
    first, second = two
    for index in (2, LIAR):
        first.last_dones[index] = first.adopt(index, first.transcript)
    own = world.parties[1].acting
    own.epochs(making.wallet_id).blob_path(first.successor.hash).write_bytes(b"noise")
    with failing_from("key.generate"), pytest.raises(BackendError):
        second.adopt(1, second.transcript)
    repaired_in(making, first).summed().recover()
    assert first.adopt(1)
    assert opens(world, 1, first)


def repaired_in(making: Making, refreshing: Refreshing) -> Repairing:
    """The repair of a share of 1."""
    assert refreshing.certificate is not None
    shown = ShownSuccession(refreshing.certificate.to_bytes(), (), b"", ())
    repairing = Repairing(making.world, making, 1, (2, LIAR), (shown,))
    repairing.body = refreshing.successor
    for index, done in refreshing.last_dones.items():
        repairing.dones[index - 1] = done
    return repairing


def test_the_other_takes_no_key_that_is_offered(
    world: World, making: Making, two: tuple[Refreshing, Refreshing]
) -> None:
    first, second = two
    for index in (2, LIAR):
        first.last_dones[index] = first.adopt(index, first.transcript)
    own = world.parties[1].acting
    own.epochs(making.wallet_id).blob_path(first.successor.hash).write_bytes(b"noise")
    repairing = repaired_in(making, first).summed()
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
        carry_on(each, *members)
    assert first.attempt == second.attempt
    with failing_from("register.create"), pytest.raises(BackendError):
        first.adopt(LIAR)
    second.adopt(LIAR)
    carry_on(second, 1, LIAR)
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
    carry_on(older, 1, LIAR)
    assert older.attempt == newer.attempt
    with failing_from("register.create"), pytest.raises(BackendError):
        older.adopt(LIAR)
    newer.adopt(LIAR)
    carry_on(newer, 1, LIAR)
    assert newer.adopt(1, newer.transcript)
