"""`wallet repair` at the relay and at the client: a holder gets its lost share again (6.7)."""

from __future__ import annotations

import shutil
from functools import partial
from itertools import combinations

import pytest

from hsm_mpc.errors import (
    BackendError,
    BadInput,
    Declined,
    NotReady,
    QuorumUnreachable,
    Refused,
)
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wire.calls import Call, CoordinatorMethod, HolderMethod, parts_of
from tests.agent.making import keks
from tests.coordinator.office import Office, Parts
from tests.coordinator.test_destruction import Honest, failing_at


def lose_store(office: Office, index: int) -> None:
    """Everything of every wallet is gone from this holder's disk; its HSM has its keys still."""
    store = office.world.parties[index].acting.store
    for wallet in (store._folder / "wallets").iterdir():
        shutil.rmtree(wallet)
    run_shielded(partial(office.world.restarted, index))


def lose_keys(office: Office, index: int) -> None:
    """The wrapping keys are gone from this holder's HSM; its disk is whole."""
    party = office.world.parties[index]
    for key_id in keks(party):
        for handle in objects.matching(party.acting.token, {Attribute.ID: key_id}):
            objects.destroy(party.acting.token, handle)
    run_shielded(partial(office.world.restarted, index))


def signs_in_every_pair(office: Office, name: str = "treasury") -> None:
    wallet = office.client.show(name)
    for pair in combinations((1, 2, 3), 2):
        office.signed(wallet, b"pay", pair)


@pytest.mark.parametrize("lose", [lose_store, lose_keys])
@pytest.mark.parametrize("refreshed", [0, 1, 2])
def test_a_lost_share_is_there_again(office: Office, lose: object, refreshed: int) -> None:
    before = office.made()
    for _ in range(refreshed):
        office.client.refresh("treasury", ())
    lose(office, 2)  # type: ignore[operator]
    with pytest.raises((Declined, QuorumUnreachable)):
        office.signed(office.client.show("treasury"), b"pay", (1, 2))
    wallet = office.client.repair("treasury", 2)
    assert wallet.body.epoch == refreshed + 1
    assert wallet.body.group_key == before.body.group_key
    assert wallet.newest is not None
    assert (wallet.newest.retired, wallet.newest.waiting_for) == (True, ())
    signs_in_every_pair(office)
    assert all(len(keks(party)) == 1 for party in office.world.parties.values())
    office.client.refresh("treasury", ())
    signs_in_every_pair(office)


def test_a_holder_that_was_repaired_may_be_away_at_the_next_refresh(office: Office) -> None:
    """What is sealed to it then is sealed to its new delivery key, also by a coordinator that has
    lost its registry and learnt of the repair from the holder.
    """
    office.made()
    lose_store(office, 3)
    with_failing_refresh(office, 3)
    assert office.client.show("treasury").body.epoch == 0
    with Office.opened(office.world, office.folder / "new") as lost:
        lost.recovery.from_all()
        lost.links[3].down = True
        lost.client.refresh("treasury", (3,))
        lost.links[3].down = False
        wallet = lost.registry.named("treasury")
        assert wallet is not None
        lost.refresher.advance(wallet)
        signs_in_every_pair(lost)


def with_failing_refresh(office: Office, lost: int) -> None:
    """The share is repaired, and the refresh that follows cannot begin."""
    office.links[1].tamper = failing_at(HolderMethod.JOIN)
    with pytest.raises(BackendError):
        office.client.repair("treasury", lost)
    office.links[1].tamper = None


def test_a_repair_that_was_interrupted_is_finished_by_the_same_command(office: Office) -> None:
    office.made()
    lose_store(office, 2)
    for method in (HolderMethod.OFFER, HolderMethod.SPLIT, HolderMethod.COLLECT):
        index = 2 if method is HolderMethod.OFFER else 1
        office.links[index].tamper = failing_at(method)
        with pytest.raises(BackendError):
            office.client.repair("treasury", 2)
        office.links[index].tamper = None
    assert office.client.repair("treasury", 2).body.epoch == 1
    with pytest.raises(Refused) as refused:
        office.client.repair("treasury", 2)
    assert refused.value.rule == "share-opens"


def test_the_operators_of_helpers_and_of_the_lost_are_asked(office: Office) -> None:
    office.made()
    lose_store(office, 3)
    office.world.asking = frozenset({1, 3})
    for index in (1, 3):
        run_shielded(partial(office.world.restarted, index))
    for waiting_for in (("h1", "h3"), ("h3",)):
        with pytest.raises(NotReady, match="holder admit") as not_yet:
            office.client.repair("treasury", 3)
        assert not_yet.value.waiting_for == waiting_for
        consents = office.world.parties[int(waiting_for[0][1])].ceremonies.consents
        (plan,) = consents.waiting()
        run_shielded(partial(consents.agree, plan.digest))
    assert office.client.repair("treasury", 3).body.epoch == 1
    assert office.registry.plans("treasury") == ()


def test_helpers_that_answer_are_taken_and_too_few_are_told_of(office: Office) -> None:
    office.made()
    lose_store(office, 3)
    office.links[1].down = True
    with pytest.raises(QuorumUnreachable) as few:
        office.client.repair("treasury", 3)
    assert few.value.waiting_for == ("h1",)


def test_nothing_is_repaired_while_an_epoch_waits_for_its_end(office: Office) -> None:
    office.made()
    office.links[3].down = True
    office.client.refresh("treasury", (3,))
    lose_keys(office, 2)
    with pytest.raises(NotReady) as waits:
        office.client.repair("treasury", 2)
    assert "h3" in waits.value.waiting_for


@pytest.mark.parametrize("whose", [b"", b"\0\4", b"\0\1\0\2"])
def test_a_repair_is_of_one_holder_of_the_roster(office: Office, whose: bytes) -> None:
    office.made()
    call = Call(CoordinatorMethod.REPAIR, (b"treasury", whose)).to_bytes()
    with pytest.raises(BadInput, match="one holder"):
        parts_of(office.service.answer(call))


def test_who_lost_its_store_before_the_end_of_an_epoch_came_to_it(office: Office) -> None:
    """The proof of that end is believed when it is told of the wallet, and the old key goes."""
    office.made()
    office.links[3].tamper = failing_at(HolderMethod.RETIRE)
    office.client.refresh("treasury", ())
    lose_store(office, 3)
    office.links[3].tamper = None
    wallet = office.client.repair("treasury", 3)
    assert (wallet.body.epoch, wallet.newest and wallet.newest.waiting_for) == (2, ())
    signs_in_every_pair(office)
    assert len(keks(office.world.parties[3])) == 1


def test_who_lost_its_store_before_it_could_say_that_its_key_is_gone(office: Office) -> None:
    office.made()

    def unheard(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is HolderMethod.RETIRE:
            raise BackendError("the answer is lost")
        return answer

    office.links[3].tamper = unheard
    office.client.refresh("treasury", ())
    lose_store(office, 3)
    office.links[3].tamper = None
    wallet = office.client.repair("treasury", 3)
    assert (wallet.body.epoch, wallet.newest and wallet.newest.waiting_for) == (2, ())
    signs_in_every_pair(office)


def test_a_lost_answer_of_who_is_repaired_is_asked_for_again(office: Office) -> None:
    office.made()
    lose_store(office, 3)

    def unheard(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is HolderMethod.RECOVER:
            raise BackendError("the answer is lost")
        return answer

    office.links[3].tamper = unheard
    with pytest.raises(BackendError):
        office.client.repair("treasury", 3)
    office.links[3].tamper = None
    assert office.client.repair("treasury", 3).body.epoch == 1
    signs_in_every_pair(office)


def test_a_key_that_was_rewrapped_and_then_lost_is_repaired(office: Office) -> None:
    made = office.made()
    wallet_id = made.body.terms.wallet_id
    run_shielded(partial(office.world.parties[2].successions.rewrap, wallet_id))
    lose_keys(office, 2)
    assert office.client.repair("treasury", 2).body.epoch == 1
    signs_in_every_pair(office)


def test_a_refresh_that_has_to_wait_is_said_beside_the_repair(office: Office) -> None:
    office.made()
    office.client.refresh("treasury", ())
    lose_store(office, 3)
    office.world.seconds_between_refreshes = 3600
    run_shielded(partial(office.world.restarted, 1))
    with pytest.raises(Refused, match="the share is repaired, and not refreshed yet") as refused:
        office.client.repair("treasury", 3)
    assert refused.value.rule == "refresh-interval"
    signs_in_every_pair(office)


def test_a_helper_that_tells_lies_of_the_wallet_is_no_helper(office: Office) -> None:
    office.made()
    lose_store(office, 3)

    def lies(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        return (b"version: 1\n", *answer[1:]) if method is HolderMethod.DOCUMENTS else answer

    office.links[1].tamper = lies
    with pytest.raises(QuorumUnreachable) as few:
        office.client.repair("treasury", 3)
    assert few.value.waiting_for == ("h1",)
