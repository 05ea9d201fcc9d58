"""An order that is to be signed: whoever reads it sees what it is about, and believes nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.client.ordering import AskedOrder
from hsm_mpc.errors import BadEncoding, BadInput, Tampered
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession import order_plan
from hsm_mpc.succession.order_addresses import CarriedOrder
from hsm_mpc.succession.order_plan import OrderPlan, RepairPlan
from tests.software_identity import p256_key
from tests.succession import test_repairing
from tests.succession.making import Refresh
from tests.succession.test_ordering import NOBODY, TWO_OF_THREE, order, refresh
from tests.succession.test_repairing import wallet

ASKED = AskedOrder(refresh().body().hash, (3,), "h3 does not come back", margin_accepted=True)


def plan(policy_file: bytes = TWO_OF_THREE) -> OrderPlan:
    of = refresh(policy_file)
    proof = of.certificate().to_bytes(), (), (of.done(1), of.done(2))
    return OrderPlan(order(policy_file), of.first, of.ceremony.roster, policy_file, *proof)


def test_it_reads_back() -> None:
    for policy_file in (TWO_OF_THREE, NOBODY):
        assert OrderPlan.from_bytes(plan(policy_file).to_bytes()) == plan(policy_file)
    assert plan().plan == Plan.of(order())


def test_it_says_who_signs() -> None:
    administrators = plan().administrators
    assert administrators is not None
    assert (administrators.threshold, len(administrators.keys)) == (2, 3)
    assert plan(NOBODY).administrators is None


WRONG: dict[str, Callable[[OrderPlan], OrderPlan]] = {
    "another epoch's body": lambda of: replace(of, body=refresh().body()),
    "another roster": lambda of: replace(of, roster=of.roster.with_key(2, p256_key(63).public)),
    "another policy": lambda of: replace(of, policy_file=NOBODY),
    "no margin": lambda of: replace(of, order=replace(of.order, margin_accepted=False)),
    "too few": lambda of: replace(of, order=replace(of.order, counted=(1,))),
    "no such epoch": lambda of: replace(of, order=replace(of.order, successor=of.body.hash)),
    "no certificate": lambda of: replace(of, certificate=b""),
    "a forged certificate": lambda of: replace(of, certificate=flipped(of.certificate)),
    "another certificate": lambda of: replace(of, certificate=plan(NOBODY).certificate),
    "the certificate of another successor": lambda of: replace(of, certificate=_later()),
    "no adoptions": lambda of: replace(of, dones=()),
    "a forged adoption": lambda of: replace(of, dones=(of.dones[0], flipped(of.dones[1]))),
    "one more is counted": lambda of: replace(
        of, order=replace(of.order, counted=(1, 2, 3), suspects=())
    ),
    "another attempt": lambda of: replace(of, order=replace(of.order, attempt=Attempt.NONE)),
    "no amendment": lambda of: replace(of, amendments=(b"x",)),
}


def _later() -> bytes:
    """Of what a later attempt has made of the same epoch."""
    later = Refresh()
    later.ceremony = refresh().ceremony
    later.counter += 1
    return later.certificate().to_bytes()


def flipped(source: bytes) -> bytes:
    """Its last bit is another one."""
    return source[:-1] + bytes([source[-1] ^ 1])


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_the_order_is_refused(wrong: str) -> None:
    with pytest.raises(BadInput):
        WRONG[wrong](plan())


def repair_plan() -> RepairPlan:
    unsigned = test_repairing.order().signed(())
    return RepairPlan(unsigned, wallet().first, wallet().ceremony.roster, NOBODY)


def test_a_plan_of_a_repair_reads_back() -> None:
    plan = repair_plan()
    assert RepairPlan.from_bytes(plan.to_bytes()) == plan


def test_a_plan_of_a_repair_is_of_the_certified_roster() -> None:
    plan = repair_plan()
    with pytest.raises(BadInput, match="roster is not the certified one"):
        replace(plan, roster=plan.roster.with_key(2, p256_key(63).public))


@pytest.mark.parametrize(
    "changes", [{"helpers": (1, 3)}, {"helpers": (1,)}, {"kek_digest": bytes(32)}]
)
def test_a_repair_that_cannot_be_has_no_plan(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        replace(repair_plan(), order=replace(repair_plan().order, **changes))


def test_what_carries_an_order_has_an_end() -> None:
    carried = CarriedOrder(order(), plan().dones)
    assert CarriedOrder.from_bytes(carried.to_bytes()) == carried
    with pytest.raises(BadEncoding):
        CarriedOrder.from_bytes(carried.to_bytes() + b"x")


def test_nobody_is_counted_that_has_another_hsm_since(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where enough others are left: the margin would be another one than people are told."""
    shown = plan()
    more = replace(
        shown,
        order=replace(shown.order, counted=(1, 2, 3), suspects=()),
        dones=(*shown.dones, refresh().done(3)),
    )
    monkeypatch.setattr(order_plan, "replaced_in", lambda lineage, h: {3})
    assert OrderPlan.from_bytes(shown.to_bytes()) == shown
    with pytest.raises(BadInput, match="another HSM"):
        OrderPlan.from_bytes(more.to_bytes())


def test_a_plan_for_something_else_is_none() -> None:
    parts = plan().to_parts()
    with pytest.raises(BadInput, match="something else"):
        RepairPlan.from_parts(parts[:4])
    with pytest.raises(BadInput):
        OrderPlan.from_parts((b"\7" + parts[0][1:], *parts[1:]))
    for count in (4, 6, 8):
        with pytest.raises(BadInput, match=f"in {count} parts"):
            OrderPlan.from_parts((*parts, b"")[:count])


def test_a_client_is_shown_what_it_asked_for() -> None:
    assert ASKED.plan_in(plan().to_parts(), refresh().first.terms) == plan()


@pytest.mark.parametrize(
    "asked",
    [
        replace(ASKED, successor=EpochHash(b"o" * 32)),
        replace(ASKED, suspects=()),
        replace(ASKED, reason="another"),
        replace(ASKED, margin_accepted=False),
    ],
)
def test_another_order_than_it_asked_for_is_found(asked: AskedOrder) -> None:
    with pytest.raises(Tampered, match="another order"):
        asked.plan_in(plan().to_parts(), refresh().first.terms)


def test_an_order_for_another_wallet_is_found() -> None:
    terms = refresh().first.terms
    for other in (
        replace(terms, wallet_id=type(terms.wallet_id)(b"o" * 16)),
        replace(terms, policy_hash=b"o" * 32),
        replace(terms, sizes=replace(terms.sizes, join=3)),
    ):
        with pytest.raises(Tampered, match="another wallet or policy"):
            ASKED.plan_in(plan().to_parts(), other)
    with pytest.raises(Tampered, match="shows no order"):
        ASKED.plan_in(plan().to_parts()[:3], terms)
