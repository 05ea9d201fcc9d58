"""ORDER: its bytes, and the plan that it is before anybody signs (steps 1.6.7 and 6.5.9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Plan, PlanKind
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.identity import Algorithm
from hsm_mpc.ids import EpochHash, WalletId

ORDER = Order(
    wallet_id=WalletId(b"w" * 16),
    epoch_hash=EpochHash(b"h" * 32),
    attempt=Attempt(7, 0x8000),
    successor=EpochHash(b"s" * 32),
    counted=(1, 2),
    suspects=(3,),
    reason="h3 burnt",
    margin_accepted=True,
    deadline=9,
    nonce=b"n" * 32,
)
TERMS = (
    b"w" * 16
    + b"h" * 32
    + bytes(7)
    + b"\7\x80\0"
    + b"s" * 32
    + b"\2\0\1\0\2"
    + b"\1\0\3"
    + b"\0\x08h3 burnt"
    + b"\1"
    + bytes(7)
    + b"\x09"
    + b"n" * 32
)
SIGNED = ORDER.signed([OrderSignature(1, Algorithm.P256, b"one")])


def test_the_bytes_are_those_of_the_specification() -> None:
    assert ORDER.terms == TERMS
    assert ORDER.to_bytes() == TERMS + b"\0"
    assert SIGNED.terms == TERMS
    assert SIGNED.to_bytes() == TERMS + b"\1" + b"\1\1\0\3one"


def test_it_is_read_back() -> None:
    for order in (ORDER, SIGNED, replace(ORDER, margin_accepted=False, suspects=())):
        assert Order.from_bytes(order.to_bytes()) == order
    assert Order.from_terms(TERMS) == ORDER


def test_no_byte_more_or_less() -> None:
    for encoded in (SIGNED.to_bytes()[:-1], SIGNED.to_bytes() + b"x"):
        with pytest.raises(BadEncoding):
            Order.from_bytes(encoded)
    for terms in (TERMS[:-1], TERMS + b"x"):
        with pytest.raises(BadEncoding):
            Order.from_terms(terms)


def test_a_margin_is_accepted_or_not() -> None:
    forged = TERMS.replace(b"burnt\1", b"burnt\2")
    with pytest.raises(BadEncoding, match="margin"):
        Order.from_terms(forged)


@pytest.mark.parametrize(
    "changes",
    [
        {"counted": (2, 1)},
        {"counted": (1, 1)},
        {"suspects": (3, 3)},
        {"suspects": (2, 3)},
        {"reason": ""},
        {"reason": "two\nlines"},
    ],
)
def test_what_is_no_order(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        replace(ORDER, **changes)


def test_bytes_of_what_is_no_order_do_not_parse() -> None:
    for wrong in (
        TERMS.replace(b"\2\0\1\0\2", b"\2\0\2\0\1"),
        TERMS.replace(b"h3 burnt", b"h3\nburnt"),
        TERMS.replace(b"h3 burnt", b"h3\xffburnt"),
    ):
        with pytest.raises(BadEncoding):
            Order.from_terms(wrong)


def test_the_margin_is_what_is_counted_above_the_threshold() -> None:
    assert (ORDER.margin(2), ORDER.margin(1)) == (0, 1)


def test_it_is_a_plan_without_its_signatures() -> None:
    plan = Plan.of(SIGNED)
    assert (plan.kind, plan.content) == (PlanKind.ORDER, TERMS)
    assert plan.to_bytes()[:1] == b"\3"
    assert Plan.from_bytes(plan.to_bytes()).asked == ORDER
