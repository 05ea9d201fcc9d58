"""A holder dies at any step of a repair, and the state is reopened from folder and token.

After each death the same calls finish it: the share is there once, under one key; no helper says
two things in one repair.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator

import pytest

from hsm_mpc.agent.succession.dropping import destroy_keys
from hsm_mpc.store.record import NOT_SEALED, EpochState
from tests.agent.making import Making, keks
from tests.agent.repairing import Repairing
from tests.agent.rounds import Round
from tests.agent.simulate import World, Worlds
from tests.agent.two_epochs import adopted_by_two, in_successor
from tests.crash.deaths import Death, DeathError, Moment
from tests.crash.phoenix import Phoenix
from tests.named_steps import nothing_happens

pytestmark = pytest.mark.usefixtures("shielded")

LOST = 3
HELPERS = (1, 2)
AT_WHAT = pytest.mark.parametrize(
    ("moment", "apart"),
    [
        pytest.param("before", 6, id="before-some"),
        pytest.param("before", 1, id="before-each", marks=pytest.mark.long),
        pytest.param("after", 1, id="after-each", marks=pytest.mark.long),
    ],
)
"""How many changes one death is behind the other: each takes a whole repair."""


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(3)


def repaired(repairing: Repairing, nonces: Iterator[int]) -> None:
    """From the offer on, by an order of its own."""
    repairing.ordered(nonce=next(nonces).to_bytes(32, "big"))
    repairing.summed().recover()


def repaired_over(
    death: Death, phoenix: Phoenix, repairing: Repairing, nonces: Iterator[int]
) -> None:
    """Whoever is repaired dies, and starts again; where its share was not sealed, once more."""
    phoenix.watch = death.observer
    try:
        repaired(repairing, nonces)
    except DeathError:
        phoenix.restart()
    phoenix.watch = nothing_happens
    records = phoenix.party.acting.epochs(repairing.making.wallet_id).records()
    sealed = {record.epoch_hash: record.blob_digest for record in records}
    if sealed.get(repairing.body.hash, NOT_SEALED) == NOT_SEALED:
        repaired(repairing, nonces)


@AT_WHAT
def test_the_one_that_lost_its_share_dies_at_any_change(
    world: World, moment: Moment, apart: int, report_line: Callable[[str], None]
) -> None:
    making = Making.of(world)
    making.active()
    phoenix, nonces = Phoenix(world, LOST), itertools.count()
    for count in itertools.count(step=apart):
        for wallet in (phoenix.folder / "wallets").iterdir():
            shutil.rmtree(wallet)
        phoenix.restart()
        repairing = Repairing(world, making, LOST, HELPERS)
        death = Death.at(moment, count)
        repaired_over(death, phoenix, repairing, nonces)
        remains = phoenix.remains()
        assert (len(remains.keks), list(remains.states.values())) == (1, ["active"])
        assert phoenix.party.acting.store.repairs(making.wallet_id).offer() is None
        if not death.has_come:
            break
    assert count > 20
    Round(world, making.certificate(), b"after all of them").commit(1, LOST).sign(LOST)
    report_line(f"repair: who is repaired died {moment} changes up to {count}, {apart} apart")


@AT_WHAT
def test_a_helper_dies_at_any_change(
    world: World, moment: Moment, apart: int, report_line: Callable[[str], None]
) -> None:
    making = Making.of(world)
    making.active()
    world.lost_store(LOST)
    phoenix = Phoenix(world, 1)
    repairing = Repairing(world, making, LOST, HELPERS)
    for count in itertools.count(step=apart):
        repairing.ordered(nonce=count.to_bytes(32, "big"))
        death = Death.at(moment, count)
        phoenix.watch = death.observer
        said = []
        for asks in (repairing.split, lambda index: repairing.summed().collect(index)):
            try:
                said.append(asks(1))
            except DeathError:
                phoenix.restart()
                phoenix.watch = nothing_happens
                said.append(asks(1))
        phoenix.watch = nothing_happens
        assert said == [repairing.split(1), repairing.collect(1)]
        phoenix.remains()
        if not death.has_come:
            break
    assert count > 8
    repairing.recover()
    report_line(f"repair: a helper died {moment} changes up to {count}, {apart} apart")


@AT_WHAT
def test_the_one_that_is_repaired_onto_another_hsm_dies_at_any_change(
    world: World, moment: Moment, apart: int, report_line: Callable[[str], None]
) -> None:
    making = Making.of(world)
    making.active()
    phoenix, nonces = Phoenix(world, LOST), itertools.count()
    for count in itertools.count(step=apart):
        phoenix.on_another_hsm()
        for helper in HELPERS:  # it is the first time, once more
            world.parties[helper].acting.store.repairs(making.wallet_id).put_lineage(b"")
        repairing = Repairing(world, making, LOST, HELPERS)
        death = Death.at(moment, count)
        repaired_over(death, phoenix, repairing, nonces)
        remains = phoenix.remains()
        assert (len(remains.keks), list(remains.states.values())) == (1, ["active"])
        acting = phoenix.party.acting
        assert acting.store.repairs(making.wallet_id).offer() is None
        lineage = acting.lineage(repairing.body.terms)
        assert lineage.newest.roster.member(LOST).key == acting.identity.key
        for helper in HELPERS:  # what proves it is there, whenever it has died
            world.parties[helper].repairs.amend(making.wallet_id, lineage.pending[0])
        if not death.has_come:
            break
    assert count > 20
    Round(world, making.certificate(), b"after all of them").commit(1, LOST).sign(LOST)
    report_line(f"repair: who has another HSM died {moment} changes up to {count}, {apart} apart")


@AT_WHAT
def test_the_one_that_lacks_the_newer_of_two_dies_at_any_change(
    world: World, moment: Moment, apart: int, report_line: Callable[[str], None]
) -> None:
    making = Making.of(world)
    making.active()
    refreshing = adopted_by_two(making)
    phoenix, nonces = Phoenix(world, LOST), itertools.count()
    h = refreshing.successor.hash
    for count in itertools.count(step=apart):
        acting = phoenix.party.acting
        for record in acting.epochs(making.wallet_id).records():
            if record.epoch_hash == h:
                destroy_keys(acting, making.wallet_id, record)
                acting.epochs(making.wallet_id).drop(h)
        repairing = in_successor(making, refreshing)
        death = Death.at(moment, count)
        repaired_over(death, phoenix, repairing, nonces)
        acting = phoenix.party.acting
        states = {each.epoch_hash: each.state for each in acting.epochs(making.wallet_id).records()}
        assert states == {refreshing.replaced.hash: EpochState.ACTIVE, h: EpochState.STAGED}
        assert len(keks(phoenix.party)) == 2
        assert acting.store.repairs(making.wallet_id).offer() is None
        if not death.has_come:
            break
    assert count > 20
    assert refreshing.adopt(LOST)
    report_line(
        f"repair: who lacks the newer of two died {moment} changes up to {count}, {apart} apart"
    )
