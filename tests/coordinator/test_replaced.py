"""A holder that has lost its HSM is repaired onto another one (step 6.7.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from hsm_mpc.client.history import History, verified_history
from hsm_mpc.errors import BackendError, Declined, NotReady, QuorumUnreachable, Refused
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.succession.amendment import Amendment, Repaired
from hsm_mpc.tags import Tag
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle, unbundled
from tests.agent.ordering import TWO_OF_THREE
from tests.agent.simulate import new_token
from tests.coordinator.office import Office, Parts
from tests.coordinator.test_destruction import Honest, failing_at, unheard
from tests.coordinator.test_repair import (
    only_one_epoch_is_left,
    ordered_by,
    refreshed_without,
    signs_in_every_pair,
    with_failing_refresh,
)
from tests.softhsm import throw_away

Replace = Callable[[Office, int], None]


@pytest.fixture
def replace_hsm(hsm_module: Module, pin_arena: Arena) -> Iterator[Replace]:
    """A holder's HSM and disk are lost, and it has a new one of each."""
    tokens: list[Token] = []

    def replaced(office: Office, index: int) -> None:
        tokens.append(run_shielded(partial(new_token, hsm_module, pin_arena)))
        run_shielded(partial(office.world.replaced, index, tokens[-1]))

    yield replaced
    for token in tokens:
        throw_away(token)


def history(office: Office) -> History:
    """As anybody verifies it who pins the first roster and nothing else."""
    keys = KeyBook(office.world.roster, {})
    return verified_history(office.client.chain("treasury"), keys, int(time.time()))


def roster_of(office: Office, index: int) -> bytes:
    """The roster in force of the wallet, as this holder has it."""
    terms = office.client.show("treasury").body.terms
    roster = office.world.parties[index].acting.lineage(terms).newest.roster
    return bytes(roster.hash)


def test_administrators_order_that_a_holder_gets_its_share_on_another_hsm(
    office: Office, replace_hsm: Replace
) -> None:
    """Who has not helped, and clients, take the new key by the signatures of all helpers."""
    office.made(policy_file=TWO_OF_THREE)
    replace_hsm(office, 2)
    plan = office.client.plan_repair("treasury", 2)
    assert plan.order.amends
    with pytest.raises(NotReady, match="administrators"):
        office.client.repair("treasury", 2)
    wallet = office.client.repair("treasury", 2, ordered_by(plan.order, 0, 1))
    assert wallet.newest is not None
    assert wallet.newest.replaced == (2,)
    signs_in_every_pair(office)


@pytest.mark.parametrize("refreshed", [0, pytest.param(2, marks=pytest.mark.long)])
def test_a_holder_on_another_hsm_gets_its_share_again(
    office: Office, replace_hsm: Replace, refreshed: int
) -> None:
    before = office.made()
    for _ in range(refreshed):
        office.client.refresh("treasury", ())
    replace_hsm(office, 2)
    with pytest.raises((Declined, QuorumUnreachable)):
        office.signed(office.client.show("treasury"), b"pay", (1, 2))
    wallet = office.client.repair("treasury", 2)
    assert (wallet.body.epoch, wallet.body.group_key) == (refreshed + 1, before.body.group_key)
    assert wallet.newest is not None
    assert wallet.newest.replaced == (2,)
    assert wallet.body.terms.roster_hash != before.body.terms.roster_hash
    signs_in_every_pair(office)
    for index in office.world.parties:
        only_one_epoch_is_left(office, index, wallet.body)
        assert roster_of(office, index) == wallet.body.terms.roster_hash
    with pytest.raises(Refused) as refused:
        office.client.repair("treasury", 2)
    assert refused.value.rule == "share-opens"
    run_shielded(partial(office.world.restarted, 2))
    again = office.client.refresh("treasury", ())
    assert again.newest is not None
    assert again.newest.replaced == ()
    signs_in_every_pair(office)
    links = history(office).links
    assert [link.replaced for link in links[-3:]] == [(), ("h2",), ()]
    assert [link.lost for link in links[-3:]] == [("h2",), (), ()]


def test_it_may_be_lost_again_and_another_one_too(office: Office, replace_hsm: Replace) -> None:
    office.made()
    for lost in (2, 2, 3):
        replace_hsm(office, lost)
        office.client.repair("treasury", lost)
        signs_in_every_pair(office)
    assert [link.replaced for link in history(office).links] == [(), ("h2",), ("h2",), ("h3",)]


def test_everybody_hears_of_it_before_the_refresh(office: Office, replace_hsm: Replace) -> None:
    office.made()
    replace_hsm(office, 2)
    with_failing_refresh(office, 2)
    assert office.client.show("treasury").body.epoch == 0
    assert len({roster_of(office, index) for index in (1, 2, 3)}) == 1
    signs_in_every_pair(office)
    assert office.client.refresh("treasury", ()).body.epoch == 1
    signs_in_every_pair(office)


def test_who_does_not_hear_of_it_learns_it_from_the_next_succession(
    four: Office, replace_hsm: Replace
) -> None:
    replace_hsm(four, 2)
    four.links[3].tamper = failing_at(HolderMethod.AMEND)
    four.links[4].down = True
    with_failing_refresh(four, 2)
    four.links[3].tamper = None
    assert roster_of(four, 3) != roster_of(four, 1)
    refreshed_without(four, 4)
    assert roster_of(four, 3) == roster_of(four, 1)
    assert roster_of(four, 4) != roster_of(four, 1)
    wallet = four.registry.named("treasury")
    assert wallet is not None
    four.refresher.advance(wallet)  # by its certificate
    assert roster_of(four, 4) == roster_of(four, 1)
    newest = four.client.show("treasury")
    for signers in ((1, 2), (2, 3), (2, 4), (3, 4)):
        four.signed(newest, b"pay", signers)
    only_one_epoch_is_left(four, 4, newest.body)


def test_two_are_replaced_one_after_the_other_in_one_epoch(
    four: Office, replace_hsm: Replace
) -> None:
    for lost in (2, 3):
        replace_hsm(four, lost)
        with_failing_refresh(four, lost)
    assert four.client.show("treasury").body.epoch == 0
    wallet = four.client.refresh("treasury", ())
    assert wallet.newest is not None
    assert wallet.newest.replaced == (2, 3)
    for signers in ((1, 2), (2, 3), (3, 4)):
        four.signed(wallet, b"pay", signers)
    assert history(four).links[-1].replaced == ("h2", "h3")


def test_a_lost_answer_of_who_is_repaired_is_asked_for_again(
    office: Office, replace_hsm: Replace
) -> None:
    """What amends the roster is with the holder that was repaired, too."""
    office.made()
    replace_hsm(office, 3)

    office.links[3].tamper = unheard(HolderMethod.RECOVER)
    with pytest.raises(BackendError):
        office.client.repair("treasury", 3)
    office.links[3].tamper = None
    assert office.client.repair("treasury", 3).body.epoch == 1
    signs_in_every_pair(office)


def test_who_tells_of_the_same_keys_in_other_words_blocks_nobody(
    office: Office, replace_hsm: Replace
) -> None:
    """Holder 1 signs again what has put holder 3 on another HSM, and says that a succession has
    carried that, and holder 2's new key, which is pending still.
    """
    office.made()
    replace_hsm(office, 3)
    office.client.repair("treasury", 3)
    replace_hsm(office, 2)
    with_failing_refresh(office, 2)
    acting = office.world.parties[1].acting
    before = office.client.show("treasury").body

    def retold(source: bytes) -> bytes:
        ((carried,), pending) = (unbundled(group) for group in unbundled(source))
        amendment = Amendment.from_bytes(carried)
        assert isinstance(amendment, Repaired)
        signatures = [
            replace(each, signature=acting.identity.sign(Tag.REPAIR_ORDER, amendment.order.terms))
            if each.admin == 1
            else each
            for each in amendment.order.signatures
        ]
        again = replace(amendment, order=amendment.order.signed(signatures)).to_bytes()
        assert again != carried
        return bundle([bundle([again]), bundle(pending), bundle([])])

    def lies(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.JOIN:
            raise BackendError("nothing new, please")
        answer = honest(parts)
        if method is HolderMethod.DOCUMENTS:
            return (*answer[:3], run_shielded(partial(retold, answer[3])))
        return answer

    office.links[1].tamper = lies
    with pytest.raises(BackendError):
        office.client.repair("treasury", 2)
    office.links[1].tamper = None
    assert office.client.show("treasury").body == before
    assert office.client.refresh("treasury", ()).body.epoch == before.epoch + 1
    signs_in_every_pair(office)
    assert [link.replaced for link in history(office).links] == [(), ("h3",), ("h2",)]


@pytest.mark.parametrize("is_refreshed", [False, True])
def test_a_coordinator_that_lost_all_learns_of_it_from_any_holder(
    office: Office, replace_hsm: Replace, is_refreshed: bool
) -> None:
    office.made()
    replace_hsm(office, 3)
    with_failing_refresh(office, 3)
    if is_refreshed:
        office.client.refresh("treasury", ())
    for index in (2, 3):
        office.links[index].down = True
    with Office.opened(office.world, office.folder / "new") as lost:
        for index in (2, 3):
            lost.links[index].down = True
        lost.recovery.from_all()
        for index in (2, 3):
            lost.links[index].down = False
        signs_in_every_pair(lost)
        assert lost.client.refresh("treasury", ()).body.epoch == 1 + is_refreshed
        signs_in_every_pair(lost)
        assert history(lost).links[1].replaced == ("h3",)


def test_its_lost_hsm_keeps_no_epoch_alive(office: Office, replace_hsm: Replace) -> None:
    """What it had of the epoch before, nobody destroys any more, and the next refresh goes on."""
    office.made()
    office.links[3].tamper = failing_at(HolderMethod.RETIRE)
    office.client.refresh("treasury", ())
    office.links[3].tamper = None
    replace_hsm(office, 3)
    with_failing_refresh(office, 3)
    before = office.client.show("treasury")
    assert before.newest is not None
    assert before.newest.waiting_for == (3,)
    assert office.client.refresh("treasury", ()).body.epoch == 2
    signs_in_every_pair(office)
    assert "h3" not in history(office).links[0].destroyed


def test_the_operators_of_helpers_and_of_the_lost_are_asked(
    office: Office, replace_hsm: Replace
) -> None:
    office.made()
    office.world.asking = frozenset({1, 2, 3})
    for index in (1, 2):
        run_shielded(partial(office.world.restarted, index))
    replace_hsm(office, 3)
    with pytest.raises(NotReady, match="holder admit") as not_yet:
        office.client.repair("treasury", 3)
    assert not_yet.value.waiting_for == ("h1", "h2", "h3")
    for party in office.world.parties.values():
        (plan,) = party.ceremonies.consents.waiting()
        run_shielded(partial(party.ceremonies.consents.agree, plan.digest))
    assert office.client.repair("treasury", 3).body.epoch == 1
    signs_in_every_pair(office)


def test_who_has_destroyed_a_wallet_and_has_a_share_again_has_not(
    four: Office, replace_hsm: Replace
) -> None:
    """The others have not heard of that end; its HSM is lost then, and it is repaired."""
    for index in (2, 3, 4):
        four.links[index].tamper = failing_at(HolderMethod.DESTROY)
    assert four.client.destroy("treasury", "it moves").destroyed == (1,)
    for index in (2, 3, 4):
        four.links[index].tamper = None
    replace_hsm(four, 1)
    assert four.client.repair("treasury", 1).end.destroyed == ()
    assert four.client.refresh("treasury", ()).body.epoch == 2


def test_the_end_of_a_wallet_is_said_by_the_new_key(office: Office, replace_hsm: Replace) -> None:
    office.made()
    replace_hsm(office, 3)
    with_failing_refresh(office, 3)
    end = office.client.destroy("treasury", "it moves")
    assert (end.destroyed, end.is_final) == ((1, 2, 3), True)
