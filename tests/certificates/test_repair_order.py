"""ORDER-REPAIR: its bytes, and who may sign it (step 6.7.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.certificates.plan import Plan, PlanKind
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.errors import BadInput
from hsm_mpc.identity import Algorithm
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag, tagged_hash
from tests.software_identity import p256_key

KEY, OTHER = p256_key(3).public, p256_key(4).public
ORDER = RepairOrder(
    wallet_id=WalletId(b"w" * 16),
    epoch_hash=EpochHash(b"h" * 32),
    lost=3,
    known_key=OTHER,
    identity_key=KEY,
    delivery_key=b"V" * 33,
    kek_digest=b"k" * 32,
    offer_signature=b"offered",
    helpers=(1, 2),
    keys_digest=b"d" * 32,
    deadline=7,
    nonce=b"n" * 32,
)
TERMS = (
    b"w" * 16
    + b"h" * 32
    + b"\0\3"
    + b"\1\0\x41"
    + OTHER.encoded
    + b"\1\0\x41"
    + KEY.encoded
    + b"\0\x21"
    + b"V" * 33
    + b"k" * 32
    + b"\0\7offered"
    + b"\2\0\1\0\2"
    + b"d" * 32
    + bytes(7)
    + b"\7"
    + b"n" * 32
)
ONE = OrderSignature(1, Algorithm.P256, b"one")
TWO = OrderSignature(2, Algorithm.P256, b"2")
SIGNED = ORDER.signed([ONE, TWO])


def test_the_bytes_are_those_of_the_specification() -> None:
    assert ORDER.terms == TERMS
    assert ORDER.to_bytes() == TERMS + b"\0"
    assert SIGNED.to_bytes() == TERMS + b"\2" + b"\1\1\0\3one" + b"\2\1\0\0012"
    assert SIGNED.session_id == ORDER.session_id == tagged_hash(Tag.REPAIR, TERMS)
    assert ORDER.offer_message == b"w" * 16 + b"h" * 32 + b"\0\3\0\x21" + b"V" * 33 + b"k" * 32


def test_another_identity_key_amends_the_roster() -> None:
    assert ORDER.amends
    assert not replace(ORDER, known_key=KEY).amends


def test_it_is_read_back() -> None:
    for order in (ORDER, SIGNED):
        assert RepairOrder.from_bytes(order.to_bytes()) == order
    assert RepairOrder.from_terms(TERMS) == ORDER
    plan = Plan.of(SIGNED)
    assert (plan.kind, plan.content, plan.asked) == (PlanKind.REPAIR, TERMS, ORDER)
    assert Plan.from_bytes(plan.to_bytes()) == plan


def test_no_byte_more_or_less_and_no_other_algorithm() -> None:
    for broken in (SIGNED.to_bytes()[:-1], SIGNED.to_bytes() + b"x", b""):
        with pytest.raises(BadInput):
            RepairOrder.from_bytes(broken)
    for broken in (TERMS[:-1], TERMS + b"\0"):
        with pytest.raises(BadInput):
            RepairOrder.from_terms(broken)
    with pytest.raises(BadInput, match="algorithm"):
        RepairOrder.from_bytes(TERMS + b"\1" + b"\1\x09\0\0")


def test_all_but_the_signatures_is_what_is_consented_to() -> None:
    assert Plan.of(SIGNED).digest == Plan.of(ORDER).digest
    assert Plan.of(replace(ORDER, nonce=b"o" * 32)).digest != Plan.of(ORDER).digest
