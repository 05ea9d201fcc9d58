"""ORDER-REPAIR as every holder judges it (step 6.7.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.errors import BadInput, InvalidSignature
from hsm_mpc.identity import Algorithm
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.policy.rules import Administrators
from hsm_mpc.roster import Roster
from hsm_mpc.succession.dones import done_in
from hsm_mpc.succession.repairing import (
    address_in_repair,
    check_administrators,
    check_helpers,
    check_offer,
    check_repaired,
    check_terms,
    delivery_keys_in,
    digest_of_keys,
    expected_in_repair,
)
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import seal_envelope
from hsm_mpc.wire.inbox import Inbox
from hsm_mpc.wire.rounds import REPAIR_DONE, Key
from tests.certificates.ceremony import point
from tests.software_identity import p256_key
from tests.succession.making import Refresh

LOST = 3
FRESH = point(77)


@cache
def wallet() -> Refresh:
    return Refresh()


def dones() -> list[bytes]:
    return [*wallet().dones()[:2], b""]


def offered(wanted: RepairOrder) -> RepairOrder:
    """The same, as holder 3 offers it."""
    signature = wallet().identity(LOST).sign(Tag.REPAIR_OFFER, wanted.offer_message)
    return replace(wanted, offer_signature=signature)


def order(**changes: Any) -> RepairOrder:
    """That holder 3 gets its share from holders 1 and 2."""
    body, keys = wallet().first, wallet().keys
    shown = [done_in(dones()[i - 1], i, body, keys).delivery_key for i in (1, 2)]
    wanted = RepairOrder(
        wallet_id=body.terms.wallet_id,
        epoch_hash=body.hash,
        lost=LOST,
        known_key=wallet().identity(LOST).public,
        identity_key=wallet().identity(LOST).public,
        delivery_key=FRESH,
        kek_digest=b"k" * 32,
        offer_signature=b"",
        helpers=(1, 2),
        keys_digest=digest_of_keys([*shown, FRESH]),
        deadline=7,
        nonce=b"n" * 32,
    )
    return replace(offered(wanted), **changes)


def signature(wanted: RepairOrder, index: int, admin: int | None = None) -> OrderSignature:
    identity = wallet().identity(index)
    signed = identity.sign(Tag.REPAIR_ORDER, wanted.terms)
    return OrderSignature(index if admin is None else admin, identity.public.algorithm, signed)


def test_such_a_repair_is_possible() -> None:
    known = wallet().ceremony.roster
    check_terms(order(), wallet().first, known, [member.key for member in known.members])


@pytest.mark.parametrize(
    "changes",
    [
        {"wallet_id": WalletId(b"o" * 16)},
        {"epoch_hash": EpochHash(b"o" * 32)},
        {"known_key": p256_key(99).public},
        {"lost": 0},
        {"lost": 4},
        {"helpers": (2, 1)},
        {"helpers": (1, 1)},
        {"helpers": (1, 4)},
        {"helpers": (1,)},
        {"helpers": (1, 2, 3)},
        {"helpers": (2, 3)},
        {"identity_key": p256_key(99).public},
        {"delivery_key": b"\2" + bytes(32)},
        {"delivery_key": point(79)},
        {"kek_digest": b"o" * 32},
        {"offer_signature": b"s" * 64},
    ],
)
def test_such_a_repair_is_not(changes: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        check_terms(order(**changes), wallet().first, wallet().ceremony.roster, ())


@pytest.mark.parametrize(
    "changes", [{"epoch_hash": EpochHash(b"o" * 32)}, {"delivery_key": b"\2" + bytes(32)}]
)
def test_nor_is_what_was_offered_so(changes: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        check_terms(offered(order(**changes)), wallet().first, wallet().ceremony.roster, ())


@pytest.mark.parametrize("lost", [0, 4])
def test_who_is_lost_stands_in_the_roster(lost: int) -> None:
    with pytest.raises(BadInput):
        check_offer(offered(order(lost=lost)), wallet().first)


def test_another_hsm_may_offer() -> None:
    new = p256_key(99)
    wanted = order(identity_key=new.public)
    signature = new.sign(Tag.REPAIR_OFFER, wanted.offer_message)
    signed = replace(wanted, offer_signature=signature)
    check_terms(signed, wallet().first, roster(), ())
    with pytest.raises(BadInput, match="wants a new one"):
        check_terms(signed, wallet().first, roster(), {new.public})


def roster() -> Roster:
    return wallet().ceremony.roster


def test_every_helper_signs_it() -> None:
    wanted, roster = order(), wallet().ceremony.roster
    keys = {index: [roster.member(index).key] for index in (1, 2, 3)}
    one, two, three = (signature(wanted, index) for index in (1, 2, 3))
    check_helpers(wanted.signed([one, two]), keys)
    other = order(nonce=b"o" * 32)
    for signatures in (
        (),
        (one,),
        (one, one),
        (two, one),
        (one, two, two),
        (one, three),
        (one, two, three),
        (one, signature(other, 2)),
        (one, signature(wanted, 1, admin=2)),
        (one, replace(two, algorithm=Algorithm.RSA3072)),
    ):
        with pytest.raises(InvalidSignature):
            check_helpers(wanted.signed(signatures), keys)


def test_so_many_administrators_sign_it_where_the_policy_names_them() -> None:
    wanted = order()
    keys = [p256_key(50 + number) for number in range(3)]
    named = Administrators(2, tuple(key.public for key in keys))
    signed = [
        OrderSignature(number, Algorithm.P256, key.sign(Tag.REPAIR_ORDER, wanted.terms))
        for number, key in enumerate(keys)
    ]
    check_administrators(wanted, named, signed)
    check_administrators(wanted, named, [signed[0], signed[2]])
    by_helpers = [signature(wanted, index) for index in (1, 2)]
    elsewhere = keys[1].sign(Tag.REPAIR_ORDER, order(nonce=b"o" * 32).terms)
    for signatures in (
        (),
        (signed[1],),
        (signed[1], signed[1]),
        (signed[1], signed[0]),
        by_helpers,
        (signed[0], replace(signed[1], signature=elsewhere)),
        (signed[0], replace(signed[1], admin=3)),
    ):
        with pytest.raises(InvalidSignature):
            check_administrators(wanted, named, signatures)


def test_the_delivery_keys_are_those_of_the_newest_dones_and_of_the_order() -> None:
    body, keys = wallet().first, wallet().keys
    found = delivery_keys_in(order(), dones(), body, keys)
    assert found[LOST - 1] == FRESH
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    "shown",
    [
        lambda: wallet().dones(),
        lambda: dones()[:2],
        lambda: [*dones(), b""],
        lambda: [dones()[1], dones()[0], b""],
        lambda: [dones()[0], b"", b""],
    ],
)
def test_other_dones_are_none_of_the_order(shown: Callable[[], Sequence[bytes]]) -> None:
    with pytest.raises((BadInput, InvalidSignature)):
        delivery_keys_in(order(), shown(), wallet().first, wallet().keys)


def test_a_done_of_another_epoch_is_none_of_the_order() -> None:
    """Whatever digest the order names."""
    elsewhere = replace(order(), epoch_hash=EpochHash(b"o" * 32))
    with pytest.raises(BadInput, match="another epoch"):
        delivery_keys_in(
            order(), [repaired_done(elsewhere, 1), *dones()[1:]], wallet().first, wallet().keys
        )


def test_the_order_names_all_delivery_keys() -> None:
    """Else a coordinator shows different ones to two helpers, and one names the other."""
    with pytest.raises(BadInput, match="other delivery keys"):
        delivery_keys_in(order(keys_digest=b"o" * 32), dones(), wallet().first, wallet().keys)
    again = order()
    with pytest.raises(BadInput, match="other delivery keys"):
        delivery_keys_in(
            again, [repaired_done(again, 1), *dones()[1:]], wallet().first, wallet().keys
        )


def repaired_done(wanted: RepairOrder, index: int, **changes: Any) -> bytes:
    """What holder `index` says once a share of it was repaired."""
    done = Done(Attempt.NONE, wanted.epoch_hash, point(78), b"k" * 32, b"b" * 32)
    done = replace(done, **changes)
    address = address_in_repair(wanted, index)
    sign = wallet().identity(index).sign
    return seal_envelope(REPAIR_DONE, address, done.to_bytes(), Key.IDENTITY, sign).to_bytes()


def test_a_message_belongs_to_one_repair() -> None:
    wanted, inbox = order(), Inbox(wallet().keys)
    source = repaired_done(wanted, LOST)
    inbox.receive(source, expected_in_repair(REPAIR_DONE, wanted, (LOST,)), 0)
    with pytest.raises(BadInput):
        other = order(nonce=b"o" * 32)
        inbox.receive(source, expected_in_repair(REPAIR_DONE, other, (LOST,)), 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": Attempt(1, 0)},
        {"epoch_hash": EpochHash(b"h" * 32)},
        {"delivery_key": point(78)},
        {"kek_digest": b"x" * 32},
    ],
)
def test_the_repaired_holder_confirms_what_was_ordered(changes: dict[str, object]) -> None:
    wanted, body, keys = order(), wallet().first, wallet().keys
    honest = {"delivery_key": FRESH}
    check_repaired(repaired_done(wanted, LOST, **honest), wanted, body, keys)
    with pytest.raises(BadInput, match="another share"):
        check_repaired(repaired_done(wanted, LOST, **{**honest, **changes}), wanted, body, keys)
