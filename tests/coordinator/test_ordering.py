"""`wallet order` at the relay and at the client: an epoch ends without the holder that is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest

from hsm_mpc.agent.repair import chain as repair_chain
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.client import history, verified
from hsm_mpc.client.history import verified_history
from hsm_mpc.client.ordering import AskedOrder
from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.coordinator import recovery
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
    Tampered,
)
from hsm_mpc.hsm.module import Module
from hsm_mpc.ids import EpochHash
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.store import names
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.wire.calls import CoordinatorMethod, HolderMethod
from hsm_mpc.wire.channels import KeyBook
from tests.agent.making import keks
from tests.agent.ordering import TWO_OF_THREE, by_administrators
from tests.agent.simulate import LAB_POLICY, World, new_token
from tests.coordinator.office import Office, Parts
from tests.coordinator.test_repair import lose_blobs, lose_store
from tests.softhsm import throw_away


@pytest.fixture
def five(hsm_module: Module, pin_arena: Arena, tmp_path: Path) -> Iterator[Office]:
    """A 3-of-5 wallet: W = 5."""
    with (
        World.made(hsm_module, pin_arena, tmp_path, 5) as world,
        Office.opened(world, tmp_path / "coordinator") as office,
    ):
        office.made(t=3)
        yield office


def waiting(office: Office, *away: int) -> VerifiedWallet:
    """The next epoch, which these have not adopted: they do not answer."""
    for index in away:
        office.links[index].down = True
    return office.client.refresh("treasury", away)


def asked(wallet: VerifiedWallet, *suspects: int, margin_accepted: bool = True) -> AskedOrder:
    return AskedOrder(wallet.body.hash, suspects, "it burnt", margin_accepted)


def ordered(office: Office, of: AskedOrder, *admins: int) -> VerifiedWallet:
    """By these administrators, or by the holders that are counted."""
    order = office.client.plan_order("treasury", of).order
    signatures: Sequence[OrderSignature] = by_administrators(order, *admins).signatures
    return office.client.order("treasury", order, signatures)


def ended(wallet: VerifiedWallet) -> tuple[bool, tuple[int, ...]]:
    assert wallet.newest is not None
    return wallet.newest.retired, wallet.newest.waiting_for


def shown_order(wallet: VerifiedWallet) -> Order:
    assert wallet.newest is not None
    assert wallet.newest.order is not None
    return wallet.newest.order


def back(office: Office, *indices: int) -> None:
    """They answer again, and the coordinator asks them."""
    for index in indices:
        office.links[index].down = False
    wallet = office.registry.named("treasury")
    assert wallet is not None
    office.refresher.advance(wallet)


def signs_in_every_pair(office: Office) -> None:
    wallet = office.client.show("treasury")
    for pair in combinations((1, 2, 3), 2):
        assert office.signed(wallet, b"pay", pair).epoch_hash == wallet.body.hash


@pytest.mark.parametrize("admins", [(), (0, 2)], ids=["by holders", "by administrators"])
def test_an_order_ends_the_epoch_and_the_suspect_catches_up(
    office: Office, admins: Sequence[int]
) -> None:
    office.made(policy_file=TWO_OF_THREE if admins else LAB_POLICY)
    waits = waiting(office, 3)
    assert ended(waits) == (False, (3,))
    after = ordered(office, asked(waits, 3), *admins)
    assert ended(after) == (True, (3,))
    order = shown_order(after)
    assert (order.counted, order.suspects, order.reason) == ((1, 2), (3,), "it burnt")
    for index in (1, 2):
        assert len(keks(office.world.parties[index])) == 1
    back(office, 3)
    assert ended(office.client.show("treasury")) == (True, ())
    for party in office.world.parties.values():
        assert len(keks(party)) == 1
    signs_in_every_pair(office)
    assert office.client.refresh("treasury", []).body.epoch == 2
    signs_in_every_pair(office)


def test_an_order_ends_an_epoch_after_so_many_attempts_that_no_more_are_joined(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One holder says for ever that each is overtaken (step 6.5.11): nothing else leads out."""

    def never(
        method: HolderMethod, parts: Parts, honest: Callable[[Parts], tuple[bytes, ...]]
    ) -> tuple[bytes, ...]:
        if method in (HolderMethod.ADOPT, HolderMethod.RETIRE):
            raise Refused("attempt-overtaken", "a higher attempt than this one was joined")
        return honest(parts)

    made = office.made()
    office.links[3].tamper = never
    for _ in range(3):
        waits = office.client.refresh("treasury", [])
        assert ended(waits) == (False, (3,))
    attempts = office.world.parties[1].acting.attempts(made.body.terms.wallet_id)
    proof = attempts.kept(attempts.all()[-1], AttemptDocument.CARRIED)
    assert proof is not None
    monkeypatch.setattr(names, "DOCUMENT_CAP", len(proof))
    with pytest.raises(Refused) as refused:
        office.client.refresh("treasury", [])
    assert refused.value.rule == "too-many-attempts"
    with pytest.raises(Refused) as refused:
        office.client.reshare("treasury", 2, ("h1", "h2", "h3"))
    assert refused.value.rule == "too-many-attempts"
    assert ended(ordered(office, asked(waits, 3))) == (True, (3,))
    with pytest.raises(NotReady) as waiting_for:
        office.client.reshare("treasury", 2, ("h1", "h2"))
    assert waiting_for.value.waiting_for == ("h3",)
    office.links[3].tamper = None
    assert office.client.refresh("treasury", []).body.epoch == 2


def test_the_margin_is_shown_and_none_at_all_is_refused(office: Office) -> None:
    office.made()
    waits = waiting(office, 3)
    with pytest.raises(Refused, match="survive 0 further losses") as refused:
        office.client.plan_order("treasury", asked(waits, 3, margin_accepted=False))
    assert refused.value.rule == "no-margin"
    assert office.client.plan_order("treasury", asked(waits, 3)).order.margin(2) == 0


def test_a_margin_of_one_need_not_be_accepted(five: Office) -> None:
    waits = waiting(five, 5)
    plan = five.client.plan_order("treasury", asked(waits, 5, margin_accepted=False))
    assert (plan.order.counted, plan.order.margin(3)) == ((1, 2, 3, 4), 1)
    after = five.client.order("treasury", plan.order, [])
    assert ended(after) == (True, (5,))
    five.links[1].down = True
    five.signed(after, b"pay", (2, 3, 4))


def test_the_same_order_is_shown_as_long_as_the_same_is_wished_for(office: Office) -> None:
    """People are signing it."""
    office.made()
    waits = waiting(office, 3)
    plan = office.client.plan_order("treasury", asked(waits, 3))
    assert office.client.plan_order("treasury", asked(waits, 3)).to_bytes() == plan.to_bytes()
    other = office.client.plan_order("treasury", replace(asked(waits, 3), reason="stolen"))
    assert other.order.nonce != plan.order.nonce
    assert office.client.plan_order("treasury", asked(waits, 3)).to_bytes() == plan.to_bytes()


def test_a_plan_for_something_else_waits_beside_it(office: Office) -> None:
    office.made()
    office.world.asking = frozenset([1])
    run_shielded(partial(office.world.restarted, 1))
    waits = waiting(office, 3)
    with pytest.raises(NotReady):
        office.client.destroy("treasury", "we move")
    plan = office.client.plan_order("treasury", asked(waits, 3))
    assert len(office.registry.plans("treasury")) == 2
    assert office.client.plan_order("treasury", asked(waits, 3)) == plan


def test_who_comes_back_while_an_order_is_signed_changes_nothing(five: Office) -> None:
    """Who goes is named, and the order is another one."""
    waits = waiting(five, 4, 5)
    plan = five.client.plan_order("treasury", asked(waits, 4, 5))
    assert plan.order.counted == (1, 2, 3)
    back(five, 4)
    again = five.client.plan_order("treasury", asked(waits, 4, 5))
    assert again.order == plan.order
    other = five.client.plan_order("treasury", asked(waits, 5))
    assert other.order.counted == (1, 2, 3, 4)
    five.links[1].down = True
    third = five.client.plan_order("treasury", asked(waits, 1, 5))
    assert third.order.counted == (2, 3, 4)


def test_who_does_not_answer_has_to_be_named(five: Office) -> None:
    waits = waiting(five, 5)
    five.links[4].down = True
    with pytest.raises(NotReady, match="named a suspect") as not_yet:
        five.client.plan_order("treasury", asked(waits, 5))
    assert not_yet.value.waiting_for == ("h4",)
    with pytest.raises(NotReady) as not_yet:
        five.client.plan_order("treasury", asked(waits, 4))
    assert not_yet.value.waiting_for == ("h5",)
    assert five.client.plan_order("treasury", asked(waits, 4, 5)).order.counted == (1, 2, 3)


def test_who_does_not_open_its_share_has_to_be_named(five: Office) -> None:
    """The statement of step 6.5.9: its own share of the new epoch opens now."""
    waits = waiting(five, 5)
    lose_blobs(five, 2)
    with pytest.raises(NotReady) as not_yet:
        five.client.plan_order("treasury", asked(waits, 5))
    assert not_yet.value.waiting_for == ("h2",)
    assert five.client.plan_order("treasury", asked(waits, 2, 5)).order.counted == (1, 3, 4)


@pytest.mark.parametrize(
    ("part", "whose"), [(0, 2), (2, 1), (2, 2), (None, 2)], ids=["policy", "another", "old", "less"]
)
def test_who_tells_something_else_has_not_opened_it(
    five: Office, part: int | None, whose: int
) -> None:
    waits = waiting(five, 5)

    def lying(
        method: HolderMethod, parts: Parts, honest: partial[tuple[bytes, ...]]
    ) -> tuple[bytes, ...]:
        answer = list(honest(parts))
        if method is not HolderMethod.DOCUMENTS:
            return tuple(answer)
        if part is None:
            return tuple(answer[:3])
        other = {0: b"version: 1", 2: five.registry.all()[0].dones[whose - 1]}
        answer[part] = other[part]
        return tuple(answer)

    five.links[2].tamper = lying  # type: ignore[assignment]
    with pytest.raises(NotReady) as not_yet:
        five.client.plan_order("treasury", asked(waits, 5))
    assert not_yet.value.waiting_for == ("h2",)


def test_who_has_another_hsm_since_is_not_counted(
    office: Office, hsm_module: Module, pin_arena: Arena
) -> None:
    """Step 6.6.5: it was repaired in the epoch that goes, and may have forgotten a vote."""
    office.made()
    token = new_token(hsm_module, pin_arena)
    run_shielded(partial(office.world.replaced, 1, token))

    def never(
        method: HolderMethod, parts: Parts, honest: partial[tuple[bytes, ...]]
    ) -> tuple[bytes, ...]:
        if method is HolderMethod.JOIN:
            raise BackendError("it goes away")
        return honest(parts)

    office.links[3].tamper = never  # type: ignore[assignment]
    with pytest.raises(BackendError):
        office.client.repair("treasury", 1)
    waits = waiting(office, 3)
    with pytest.raises(QuorumUnreachable, match="1 holders count") as unreachable:
        office.client.plan_order("treasury", asked(waits, 3))
    assert unreachable.value.waiting_for == ("h1", "h3")
    office.links[3].tamper = None
    back(office, 3)
    assert ended(office.client.show("treasury")) == (True, ())
    throw_away(token)


def test_fewer_than_sign_order_nothing(office: Office) -> None:
    office.made()
    waits = waiting(office, 3)
    with pytest.raises(QuorumUnreachable, match="1 holders count") as unreachable:
        office.client.plan_order("treasury", asked(waits, 2, 3))
    assert unreachable.value.waiting_for == ("h2", "h3")


def test_only_what_waits_is_ordered(office: Office) -> None:
    first = office.made()
    with pytest.raises(Refused) as refused:
        office.client.plan_order("treasury", asked(first, 3))
    assert refused.value.rule == "no-order"
    waits = waiting(office, 3)
    with pytest.raises(BadInput, match=waits.body.hash.hex()):
        office.client.plan_order("treasury", asked(first, 3))
    plan = office.client.plan_order("treasury", asked(waits, 3))
    assert ended(office.client.order("treasury", plan.order, [])) == (True, (3,))
    for again in (
        lambda: office.client.plan_order("treasury", asked(waits, 3)),
        lambda: office.client.order("treasury", plan.order, []),
    ):
        with pytest.raises(Refused) as refused:
            again()
        assert refused.value.rule == "no-order"


def test_what_can_be_no_order_is_not_kept_for_anybody(office: Office) -> None:
    """A client may ask for anything, and the coordinator keeps so many plans and no more."""
    office.made()
    waits = waiting(office, 3)
    with pytest.raises(BadInput, match="holder 9"):
        office.client.plan_order("treasury", asked(waits, 3, 9))
    assert office.registry.plans("treasury") == ()


def test_an_order_about_something_else_is_not_carried(office: Office) -> None:
    office.made()
    waits = waiting(office, 3)
    order = office.client.plan_order("treasury", asked(waits, 3)).order
    for other in (
        replace(order, epoch_hash=EpochHash(b"o" * 32)),
        replace(order, attempt=replace(order.attempt, counter=1)),
    ):
        with pytest.raises(Refused) as refused:
            office.client.order("treasury", other, [])
        assert refused.value.rule == "other-order"
    with pytest.raises(NotReady):
        office.client.order("treasury", replace(order, counted=(1, 2, 3), suspects=()), [])
    with pytest.raises(BadInput):
        office.client.order("treasury", replace(order, successor=EpochHash(b"o" * 32)), [])
    office.links[3].down = False
    with pytest.raises(Refused) as refused:
        office.client.order("treasury", replace(order, counted=(1, 2, 3), suspects=()), [])
    assert refused.value.rule == "other-order"


def test_when_the_last_one_comes_back_nothing_is_ordered(office: Office) -> None:
    office.made()
    waits = waiting(office, 3)
    office.links[3].down = False
    with pytest.raises(Refused) as refused:
        office.client.plan_order("treasury", asked(waits, 3))
    assert refused.value.rule == "no-order"
    assert ended(office.client.show("treasury")) == (True, ())


def test_administrators_that_have_not_signed_order_nothing(office: Office) -> None:
    office.made(policy_file=TWO_OF_THREE)
    waits = waiting(office, 3)
    for admins in ((), (1,)):
        with pytest.raises(InvalidSignature):
            ordered(office, asked(waits, 3), *admins)
    assert ended(office.client.show("treasury")) == (False, (3,))
    assert HolderMethod.RETIRE not in office.links[1].asked
    assert ended(ordered(office, asked(waits, 3), 0, 1)) == (True, (3,))


def test_each_counted_holders_operator_consents(office: Office) -> None:
    """Step 1.6.7: of the same plan, however often it is asked for."""
    office.made()
    office.world.asking = frozenset([1, 2])
    for index in (1, 2):
        run_shielded(partial(office.world.restarted, index))
    waits = waiting(office, 3)
    for index in (1, 2):
        with pytest.raises(NotReady) as not_yet:
            ordered(office, asked(waits, 3))
        assert f"h{index}" in not_yet.value.waiting_for
        consents = office.world.parties[index].ceremonies.consents
        (plan,) = consents.waiting()
        assert isinstance(plan.asked, Order)
        consents.agree(plan.digest)
    assert ended(ordered(office, asked(waits, 3))) == (True, (3,))
    assert office.registry.plans("treasury") == ()


def test_an_order_that_is_declined_is_asked_for_no_more(office: Office) -> None:
    office.made()
    office.world.asking = frozenset([2])
    run_shielded(partial(office.world.restarted, 2))
    waits = waiting(office, 3)
    with pytest.raises(NotReady):
        ordered(office, asked(waits, 3))
    consents = office.world.parties[2].ceremonies.consents
    (plan,) = consents.waiting()
    consents.decline(plan.digest)
    with pytest.raises(Refused) as refused:
        ordered(office, asked(waits, 3))
    assert refused.value.rule == "declined"
    with pytest.raises(NotReady):
        ordered(office, asked(waits, 3))
    assert ended(office.client.show("treasury")) == (False, (3,))


def test_an_order_outlives_a_coordinator_that_lost_everything(
    office: Office, tmp_path: Path
) -> None:
    office.made()
    ordered(office, asked(waiting(office, 3), 3))
    with Office.opened(office.world, tmp_path / "another") as another:
        another.links[3].down = True
        another.recovery.from_all()
        shown = another.client.show("treasury")
        assert ended(shown) == (True, (3,))
        assert shown_order(shown).suspects == (3,)
        back(another, 3)
        assert ended(another.client.show("treasury")) == (True, ())


def test_a_link_that_breaks_costs_a_retry(office: Office) -> None:
    office.made()
    waits = waiting(office, 3)
    plan = office.client.plan_order("treasury", asked(waits, 3))

    def broken(
        method: HolderMethod, parts: Parts, honest: partial[tuple[bytes, ...]]
    ) -> tuple[bytes, ...]:
        if method is HolderMethod.COUNTERSIGN:
            honest(parts)
            raise BackendError("the link broke")
        return honest(parts)

    office.links[2].tamper = broken  # type: ignore[assignment]
    with pytest.raises(QuorumUnreachable):
        office.client.order("treasury", plan.order, [])
    assert ended(office.client.show("treasury")) == (False, (3,))
    office.links[2].tamper = None
    assert ended(office.client.order("treasury", plan.order, [])) == (True, (3,))


def test_after_an_order_a_lost_holder_is_repaired_onto_another_hsm(
    office: Office, hsm_module: Module, pin_arena: Arena
) -> None:
    """What the order was for: the holder never comes back."""
    office.made()
    ordered(office, asked(waiting(office, 3), 3))
    with pytest.raises(NotReady):
        office.client.refresh("treasury", [])
    token = new_token(hsm_module, pin_arena)
    run_shielded(partial(office.world.replaced, 3, token))
    office.links[3].down = False
    repaired = office.client.repair("treasury", 3)
    assert (repaired.body.epoch, ended(repaired)) == (2, (True, ()))
    signs_in_every_pair(office)
    throw_away(token)


def test_after_an_order_a_lost_store_is_repaired(office: Office) -> None:
    office.made()
    ordered(office, asked(waiting(office, 3), 3))
    lose_store(office, 3)
    office.links[3].down = False
    repaired = office.client.repair("treasury", 3)
    assert (repaired.body.epoch, ended(repaired)) == (2, (True, ()))
    signs_in_every_pair(office)


# Whoever checks an order heeds who was replaced


def counting_nobody(lineage: object, h: EpochHash) -> frozenset[int]:
    """As if both that were counted had another HSM since."""
    return frozenset({1, 2})


def test_a_client_counts_no_replaced_holder(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.made()
    ordered(office, asked(waiting(office, 3), 3))
    chain, keys = office.client.chain("treasury"), KeyBook(office.world.roster, {})
    assert verified_history(chain, keys, office.world.clock()).links[0].order is not None
    monkeypatch.setattr(verified, "replaced_in", counting_nobody)
    monkeypatch.setattr(history, "replaced_in", counting_nobody)
    with pytest.raises(Tampered, match="0 holders count"):
        office.client.show("treasury")
    with pytest.raises(Tampered, match="0 holders count"):
        verified_history(chain, keys, office.world.clock())


def test_a_coordinator_that_lost_all_counts_no_replaced_holder(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.made()
    ordered(office, asked(waiting(office, 3), 3))
    monkeypatch.setattr(recovery, "replaced_in", counting_nobody)
    with Office.opened(office.world, tmp_path / "another") as another:
        another.links[3].down = True
        another.recovery.from_all()
        (wallet,) = another.registry.all()
        assert another.registry.successions(wallet.wallet_id) == ()


def test_a_holder_that_lost_its_store_counts_no_replaced_holder(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.made()
    ordered(office, asked(waiting(office, 3), 3))
    lose_store(office, 3)
    office.links[3].down = False
    monkeypatch.setattr(repair_chain, "replaced_in", counting_nobody)
    with pytest.raises(ProtocolAbort, match="0 holders count"):
        office.client.repair("treasury", 3)


# What a client believes


def test_a_client_is_shown_what_it_asked_for(office: Office) -> None:
    office.made()
    waits = waiting(office, 3)
    plan = office.client.plan_order("treasury", asked(waits, 3))
    other = replace(plan, order=replace(plan.order, reason="another")).to_parts()

    def lying(method: int, parts: Parts, honest: partial[tuple[bytes, ...]]) -> Parts:
        return other if method == CoordinatorMethod.PLAN_ORDER else honest()

    office.coordinator.lie = lying  # type: ignore[assignment]
    with pytest.raises(Tampered, match="another order"):
        office.client.plan_order("treasury", asked(waits, 3))


def test_a_client_sees_the_order_that_was_carried_out(office: Office) -> None:
    office.made()
    waits = waiting(office, 3)
    order = office.client.plan_order("treasury", asked(waits, 3)).order

    def nothing(method: int, parts: Parts, honest: partial[tuple[bytes, ...]]) -> Parts:
        if method == CoordinatorMethod.ORDER:
            office.coordinator.lie = None
            return office.coordinator.call(CoordinatorMethod.SHOW, [b"treasury"], 1)
        return honest()

    office.coordinator.lie = nothing  # type: ignore[assignment]
    with pytest.raises(Tampered, match="no such order"):
        office.client.order("treasury", order, [])
    with pytest.raises(BadInput, match="a name is"):
        office.client.order("Schatz\u00e4mter", order, [])
    office.client.order("treasury", order, [])
    office.coordinator.lie = nothing  # type: ignore[assignment]
    with pytest.raises(Tampered, match="no such order"):
        office.client.order("treasury", replace(order, reason="another"), [])
