"""Repair at holders while two epochs live: what helpers sign in, and what r votes for (6.7.1)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.errors import BackendError, NotReady, ProtocolAbort, Refused
from hsm_mpc.hsm.register import Register
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.amendment import Rotated
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.wallet_calls import ShownSuccession
from tests.agent.faults import failing_from
from tests.agent.making import Making, keks
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import Repairing, rule_of
from tests.agent.rounds import Round
from tests.agent.simulate import World
from tests.agent.two_epochs import (
    HELPERS,
    LOST,
    Rivals,
    adopted_by_two,
    in_successor,
    refreshing,
)

__all__ = ["refreshing"]

pytestmark = pytest.mark.usefixtures("shielded")


def test_a_share_of_the_newer_epoch_is_adopted_without_what_made_it(
    making: Making, refreshing: Refreshing
) -> None:
    world = making.world
    with pytest.raises(NotReady):
        refreshing.adopt(LOST)
    repairing = in_successor(making, refreshing)
    before = world.parties[LOST].acting.registers.read(making.wallet_id)
    repairing.summed().recover()
    acting = world.parties[LOST].acting
    states = {r.epoch_hash: r.state for r in acting.epochs(making.wallet_id).records()}
    assert states == {
        refreshing.replaced.hash: EpochState.ACTIVE,
        repairing.body.hash: EpochState.STAGED,
    }
    assert acting.registers.read(making.wallet_id) == before  # it has voted for nothing
    assert len(keks(world.parties[LOST])) == 2
    for pair in ((1, LOST), (2, LOST)):
        Round(world, making.certificate(), b"pay").commit(*pair).sign(LOST)
    dones = [refreshing.last_dones[1], refreshing.last_dones[2], refreshing.adopt(LOST)]
    refreshing.retirement = Retirement(tuple(dones)).to_bytes()
    for index in (1, 2, LOST):
        refreshing.retire(index)
    assert len(keks(world.parties[LOST])) == 1
    assert refreshing.certificate is not None
    Round(world, refreshing.certificate, b"pay").commit(1, LOST).sign(LOST)


@pytest.mark.parametrize("lose", [World.lost_store, World.lost_hsm])
def test_the_older_epoch_comes_first(
    making: Making, refreshing: Refreshing, lose: Callable[[World, int], None]
) -> None:
    """Its HSM votes in it; and who has adopted the newer one helps in both, as it signs in both."""
    lose(making.world, LOST)
    newer = in_successor(making, refreshing)
    assert rule_of(newer.offer) == "other-epoch"
    Repairing(making.world, making, LOST, HELPERS).summed().recover()
    with pytest.raises(NotReady):
        refreshing.adopt(LOST)
    lineage = making.world.parties[LOST].acting.lineage(newer.body.terms)
    for amendment in lineage.pending:
        for helper in HELPERS:
            newer.desk(helper).amend(making.wallet_id, amendment)
    newer.offer()
    key = making.world.parties[LOST].acting.identity.key
    newer.order = newer.countersigned(newer.wished(nonce=b"2" * 32, known_key=key))
    newer.summed().recover()
    assert refreshing.adopt(LOST)


def test_nobody_helps_where_the_end_is_decided(making: Making, refreshing: Refreshing) -> None:
    world, h = making.world, refreshing.replaced.hash
    assert world.parties[1].repairs.documents(making.wallet_id, h)
    dones = [*refreshing.last_dones.values(), refreshing.adopt(LOST, refreshing.transcript)]
    refreshing.retirement = Retirement(tuple(dones)).to_bytes()
    refreshing.retire(1)
    documents = world.parties[1].repairs.documents
    assert rule_of(lambda: documents(making.wallet_id, h)) == "other-epoch"
    assert documents(making.wallet_id, refreshing.successor.hash)


def test_whose_repaired_share_was_made_anew_is_reached_by_its_newest_key(
    making: Making, refreshing: Refreshing
) -> None:
    """Its blob is lost before it adopts, so it makes the share from the transcript, with another
    delivery key than that of the repair.
    """
    repaired = in_successor(making, refreshing).summed().recover()[1]
    epochs = making.world.parties[LOST].acting.epochs(making.wallet_id)
    h = refreshing.successor.hash
    assert epochs.kept(h, EpochDocument.DONE) == repaired
    epochs.blob_path(h).write_bytes(b"noise")
    making.world.restarted(LOST)
    refreshing.last_dones[LOST] = refreshing.adopt(LOST, refreshing.transcript)
    dones = [refreshing.last_dones[index] for index in (1, 2, LOST)]
    refreshing.retirement = Retirement(tuple(dones)).to_bytes()
    refreshing.retire(LOST)
    epochs = making.world.parties[LOST].acting.epochs(making.wallet_id)
    assert epochs.kept(h, EpochDocument.DONE) == refreshing.last_dones[LOST] != repaired


def test_who_has_voted_for_a_rival_is_repaired_in_what_is_carried_on(
    world: World, making: Making
) -> None:
    """Its vote stays, until a higher attempt carries the other on."""
    rivals = Rivals.of(world, making)
    carried = rivals.carried
    rivals.carry_on(carried, *HELPERS)
    for index in HELPERS:
        carried.last_dones[index] = carried.adopt(index, carried.transcript)
    with pytest.raises(ProtocolAbort, match="the own delivery key does not stand"):
        carried.adopt(LOST, carried.transcript)
    registers = world.parties[LOST].acting.registers
    voted = registers.read(making.wallet_id)
    repairing = in_successor(making, carried)
    repairing.ordered(nonce=b"2" * 32)
    repairing.summed().recover()
    assert registers.read(making.wallet_id) == voted
    dones = [*carried.last_dones.values(), carried.adopt(LOST)]
    carried.retirement = Retirement(tuple(dones)).to_bytes()
    for index in (1, 2, LOST):
        carried.retire(index)
    assert registers.read(making.wallet_id) == Register(carried.successor.hash)
    assert len(keks(world.parties[LOST])) == 1


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("failing", ["record.write", "key.destroy"])
def test_an_interrupted_repair_takes_nothing_from_the_rival_that_was_decided(
    world: World, making: Making, failing: str, *, restarted: bool
) -> None:
    """Its share is sealed and not yet said to be there; then the other successor is decided, and
    its retirement is interrupted, too. What is left of the repair is finished first.
    """
    rivals = Rivals.of(world, making)
    carried, other = rivals.carried, rivals.other
    rivals.carry_on(carried, *HELPERS)
    carried.last_dones[2] = carried.adopt(2, carried.transcript)  # of that attempt 1 does not hear
    repairing = in_successor(making, carried)
    repairing.ordered(nonce=b"2" * 32)
    repairing.summed()
    with failing_from("epoch-renewed.write"), pytest.raises(BackendError):
        repairing.recover()
    rivals.decide_the_other()
    with failing_from(failing), pytest.raises(BackendError):
        other.retire(LOST)
    if restarted:
        world.restarted(LOST)
    else:
        with suppress(Refused):
            world.parties[LOST].repairs.documents(making.wallet_id, other.replaced.hash)
    other.retire(LOST)
    acting = world.parties[LOST].acting
    assert acting.registers.read(making.wallet_id) == Register(other.successor.hash)
    (record,) = acting.epochs(making.wallet_id).records()
    assert (record.epoch_hash, record.state) == (other.successor.hash, EpochState.ACTIVE)
    assert len(keks(world.parties[LOST])) == 1
    assert acting.store.repairs(making.wallet_id).offer() is None
    assert other.certificate is not None
    Round(world, other.certificate, b"pay").commit(2, LOST).sign(LOST)


def test_a_disk_from_before_the_first_epoch_was_active_signs_in_the_live_one_alone(
    world: World, tmp_path: Path
) -> None:
    making = Making.of(world)
    making.done()
    wallets = world.parties[LOST].acting.store._folder / "wallets"
    shutil.copytree(wallets, tmp_path / "old")
    for index in world.parties:
        making.activate(index)
    first = Refreshing(world, making.certificate().body, (1, 2, LOST), making.dones)
    first.drive()
    shutil.rmtree(wallets)
    shutil.copytree(tmp_path / "old", wallets)
    world.restarted(LOST)
    in_successor(making, first).summed().recover()
    acting = world.parties[LOST].acting
    (record,) = acting.epochs(making.wallet_id).records()
    assert (record.epoch_hash, record.state) == (first.successor.hash, EpochState.ACTIVE)
    assert world.parties[LOST].repairs.documents(making.wallet_id, first.successor.hash)


def test_who_has_not_heard_that_all_have_confirmed_helps_in_nothing_yet(world: World) -> None:
    making = Making.of(world)
    making.done()
    for index in HELPERS:
        making.activate(index)
    refreshing = adopted_by_two(making)
    documents = world.parties[LOST].repairs.documents
    with pytest.raises(NotReady):
        documents(making.wallet_id, refreshing.successor.hash)
    assert documents(making.wallet_id, refreshing.replaced.hash)


def test_who_lost_the_share_that_it_voted_for_takes_amendments_in_the_other_epoch(
    making: Making, refreshing: Refreshing
) -> None:
    """Until it is repaired in both: people may take a day for each."""
    world = making.world
    refreshing.adopt(LOST, refreshing.transcript)
    world.lost_store(LOST)
    Repairing(world, making, LOST, HELPERS).summed().recover()
    world.parties[1].rotations.begin()
    _, rotate = world.parties[1].rotations.offered()
    amendment = Rotated(Rotate.from_bytes(rotate)).to_bytes()
    assert world.parties[LOST].repairs.amend(making.wallet_id, amendment)
    h, documents = refreshing.successor.hash, world.parties[LOST].repairs.documents
    assert rule_of(lambda: documents(making.wallet_id, h)) == "other-epoch"


def test_only_the_newest_epoch_may_have_come_to_no_end(making: Making) -> None:
    """A chain that leaves out how an earlier one ended proves nothing of those behind it."""
    first = Refreshing(making.world, making.certificate().body, (1, 2, 3), making.dones)
    first.drive()
    second = first.next()
    second.drive()
    making.world.lost_store(LOST)
    repairing = in_successor(making, second)
    (last,) = repairing.successions
    assert first.certificate is not None
    ended = ShownSuccession(first.certificate.to_bytes(), (), first.retirement, ())
    repairing.successions = (replace(ended, retirement=b""), last)
    with pytest.raises(ProtocolAbort):
        repairing.offer()
    repairing.successions = (ended, last)
    assert repairing.offer()
