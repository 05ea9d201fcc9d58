"""`wallet repair` while two epochs of a wallet live: a share of each is wanted (step 6.7.1)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError, BadInput, NotReady, Refused
from hsm_mpc.hsm.module import Module
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.wire.calls import HolderMethod
from tests.agent.simulate import World
from tests.coordinator.office import Office
from tests.coordinator.test_destruction import Honest, failing_at, unheard
from tests.coordinator.test_repair import (
    lose_blobs,
    lose_keys,
    lose_store,
    only_one_epoch_is_left,
    refreshed_without,
    signs_in_every_pair,
)
from tests.coordinator.test_replaced import Replace, replace_hsm

__all__ = ["replace_hsm"]


def whole_again(office: Office, lost: int, epoch: int) -> None:
    """The same command has given it its share, and everybody is in the epoch after that."""
    wallet = office.client.repair("treasury", lost)
    assert wallet.body.epoch == epoch
    signs_in_every_pair(office)
    for index in office.world.parties:
        only_one_epoch_is_left(office, index, wallet.body)
    assert office.client.refresh("treasury", ()).body.epoch == epoch + 1
    signs_in_every_pair(office)


@pytest.mark.parametrize(
    "lose",
    [
        lose_store,
        pytest.param(lose_keys, marks=pytest.mark.long),
        pytest.param(lose_blobs, marks=pytest.mark.long),
    ],
)
def test_who_was_away_and_lost_its_share_keeps_no_epoch_alive(
    office: Office, lose: Callable[[Office, int], None]
) -> None:
    """W = 3 of 3: without it the old epoch would never end."""
    office.made()
    refreshed_without(office, 3)
    lose(office, 3)
    whole_again(office, 3, 2)


def test_who_was_away_and_lost_its_hsm_keeps_no_epoch_alive(
    office: Office, replace_hsm: Replace
) -> None:
    office.made()
    refreshed_without(office, 3)
    replace_hsm(office, 3)
    whole_again(office, 3, 2)


def test_who_has_voted_unheard_and_lost_its_store_is_repaired_in_both(office: Office) -> None:
    """Its DONE came to nobody, so it is asked for again; its HSM remembers what it adopted."""
    office.made()
    refreshed_without(office, 3)
    office.links[3].tamper = unheard(HolderMethod.ADOPT)
    with pytest.raises(NotReady):
        office.client.refresh("treasury", ())
    office.links[3].tamper = None
    lose_store(office, 3)
    whole_again(office, 3, 2)


def test_who_has_voted_unheard_and_lost_its_store_is_repaired_by_two_commands(
    office: Office,
) -> None:
    """The first one comes to the share of the older epoch only. The next one finds that it opens,
    and goes on with the newer: the HSM alone remembers that vote meanwhile.
    """
    office.made()
    refreshed_without(office, 3)
    office.links[3].tamper = unheard(HolderMethod.ADOPT)
    with pytest.raises(NotReady):
        office.client.refresh("treasury", ())
    lose_store(office, 3)
    office.links[3].tamper = failing_the_second(HolderMethod.RECOVER)
    with pytest.raises(BackendError):
        office.client.repair("treasury", 3)
    office.links[3].tamper = None
    whole_again(office, 3, 2)


def failing_the_second(method: HolderMethod) -> Callable[..., tuple[bytes, ...]]:
    """A link that is down when this is asked for the second time."""
    asked: list[HolderMethod] = []

    def tamper(each: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        asked.append(each)
        if each is method and asked.count(method) == 2:
            raise BackendError("nobody answers")
        return honest(parts)

    return tamper


def test_who_was_repaired_and_left_behind_is_repaired_once_more(
    office: Office, replace_hsm: Replace
) -> None:
    """Its answer is lost, so nobody knows its new key, and the others go on without it: they deal
    to a key that only the lost HSM has.
    """
    office.made()
    replace_hsm(office, 3)
    office.links[3].tamper = unheard(HolderMethod.RECOVER)
    with pytest.raises(BackendError):
        office.client.repair("treasury", 3)
    office.links[3].tamper = None
    refreshed_without(office, 3)
    whole_again(office, 3, 2)


def test_who_missed_a_new_key_hears_of_it_before_an_epoch_ends(
    hsm_module: Module, pin_arena: Arena, tmp_path: Path, replace_hsm: Replace
) -> None:
    """W = 5 of 5: holder 5 votes by it, and holder 4, who was away meanwhile, sees that vote."""
    with (
        World.made(hsm_module, pin_arena, tmp_path, 5) as world,
        Office.opened(world, tmp_path / "coordinator") as office,
    ):
        office.made(t=3)
        refreshed_without(office, 5)
        replace_hsm(office, 5)
        office.links[4].tamper = failing_at(HolderMethod.AMEND)
        with pytest.raises(NotReady):
            office.client.repair("treasury", 5)
        office.links[4].tamper = None
        wallet = office.client.refresh("treasury", ())
        assert wallet.body.epoch == 2
        for index in world.parties:
            only_one_epoch_is_left(office, index, wallet.body)


def test_the_lost_hsm_is_not_put_back_and_a_third_one_is_repaired(
    office: Office, replace_hsm: Replace
) -> None:
    """The second one is lost before it adopts the epoch that others have made meanwhile."""
    office.made()
    world = office.world
    first = world.parties[3].acting
    replace_hsm(office, 3)
    office.links[3].tamper = failing_at(HolderMethod.ADOPT)
    assert office.client.repair("treasury", 3).body.epoch == 1
    office.links[3].tamper = None

    def put_back() -> None:
        second = world.parties[3].acting
        second.store.close()
        shutil.rmtree(second.store._folder)
        store = HolderStore.create(second.store._folder)
        world.parties[3] = world.party(3, first.token, first.identity, store, second.arena)

    run_shielded(put_back)
    with pytest.raises(BadInput, match="wants a new one"):
        office.client.repair("treasury", 3)
    replace_hsm(office, 3)
    whole_again(office, 3, 2)


@pytest.mark.parametrize("method", [HolderMethod.RECOVER, HolderMethod.ADOPT])
def test_an_answer_of_either_epoch_may_be_lost(office: Office, method: HolderMethod) -> None:
    office.made()
    refreshed_without(office, 3)
    lose_store(office, 3)
    asked: list[HolderMethod] = []

    def twice_unheard(
        each: HolderMethod, parts: Sequence[bytes], honest: Honest
    ) -> tuple[bytes, ...]:
        answer = honest(parts)
        asked.append(each)
        if each is method and asked.count(method) <= 2:
            raise BackendError("the answer is lost")
        return answer

    office.links[3].tamper = twice_unheard
    with pytest.raises((BackendError, NotReady)):
        office.client.repair("treasury", 3)
    with suppress(BackendError):
        office.client.repair("treasury", 3)
    assert asked.count(method) >= 2
    office.client.show("treasury")
    office.links[3].tamper = None
    with suppress(Refused):  # nothing is left to be repaired
        office.client.repair("treasury", 3)
    assert office.client.show("treasury").body.epoch == 2
    signs_in_every_pair(office)


def test_who_has_adopted_the_newer_one_waits_for_the_end_of_the_other(office: Office) -> None:
    """It has voted: nothing of the old one needs it any more."""
    office.made()
    refreshed_without(office, 3)
    office.links[3].down = True
    lose_keys(office, 2)
    with pytest.raises(NotReady) as waits:
        office.client.repair("treasury", 2)
    assert waits.value.waiting_for == ("h3",)
