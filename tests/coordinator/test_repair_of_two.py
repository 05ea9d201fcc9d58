"""`wallet repair` while two epochs of a wallet live: a share of each is wanted (step 6.7.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from hsm_mpc.errors import BackendError, NotReady, Refused
from hsm_mpc.wire.calls import HolderMethod
from tests.coordinator.office import Office
from tests.coordinator.test_destruction import Honest
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


def test_who_was_repaired_and_left_behind_is_repaired_once_more(
    office: Office, replace_hsm: Replace
) -> None:
    """Its answer is lost, so nobody knows its new key, and the others go on without it: they deal
    to a key that only the lost HSM has.
    """
    office.made()
    replace_hsm(office, 3)

    def unheard(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is HolderMethod.RECOVER:
            raise BackendError("the answer is lost")
        return answer

    office.links[3].tamper = unheard
    with pytest.raises(BackendError):
        office.client.repair("treasury", 3)
    office.links[3].tamper = None
    refreshed_without(office, 3)
    whole_again(office, 3, 2)


@pytest.mark.parametrize("method", [HolderMethod.RECOVER, HolderMethod.ADOPT])
def test_an_answer_of_either_epoch_may_be_lost(office: Office, method: HolderMethod) -> None:
    office.made()
    refreshed_without(office, 3)
    lose_store(office, 3)
    asked: list[HolderMethod] = []

    def unheard(each: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        asked.append(each)
        if each is method and asked.count(method) <= 2:
            raise BackendError("the answer is lost")
        return answer

    office.links[3].tamper = unheard
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
    """It has voted: a share of the old epoch would be one too many."""
    office.made()
    refreshed_without(office, 3)
    office.links[3].down = True
    lose_keys(office, 2)
    with pytest.raises(NotReady) as waits:
        office.client.repair("treasury", 2)
    assert waits.value.waiting_for == ("h3",)
