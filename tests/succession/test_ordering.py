"""RETIRE by an order of administrators (step 6.5.9): when it holds, and when it does not."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.encoding import lv32, u8, u16be
from hsm_mpc.errors import BadEncoding, BadInput, HsmMpcError, InvalidSignature
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.order_signatures import signature_in
from hsm_mpc.succession.ordering import check_terms, replaced_in
from hsm_mpc.succession.retirement import Retired, Retirement
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from tests.certificates.ceremony import Ceremony
from tests.software_identity import SoftwareKey, ed25519_key, p256_key
from tests.succession.making import Refresh
from tests.succession.test_amendment import WALLET, Amending, rotated

ADMINISTRATORS = (ed25519_key(b"a" * 32), p256_key(61), ed25519_key(b"c" * 32))
NOBODY = b"version: 1\n"
TWO_OF_THREE = b"version: 1\nadministrators:\n  threshold: 2\n  keys:\n" + b"".join(
    f"    - {{alg: {key.public.algorithm}, key: {key.public.encoded.hex()}}}\n".encode()
    for key in ADMINISTRATORS
)


class Ruled(Ceremony):
    """A wallet whose policy names administrators."""

    def proposal(self) -> Proposal:
        digest = hashlib.sha256(TWO_OF_THREE).digest()
        return replace(super().proposal(), policy_hash=digest)


def refresh(policy_file: bytes = TWO_OF_THREE) -> Refresh:
    return _refresh(policy_file)


@cache
def _refresh(policy_file: bytes) -> Refresh:
    made = Refresh()
    if policy_file == TWO_OF_THREE:
        made.ceremony = Ruled()
    return made


def order(policy_file: bytes = TWO_OF_THREE, **changes: Any) -> Order:
    """That the successor of holders 1 and 2 replaces the epoch, whatever holder 3 says."""
    of = refresh(policy_file)
    wanted = Order(
        wallet_id=of.first.terms.wallet_id,
        epoch_hash=of.first.hash,
        attempt=of.attempt(),
        successor=of.body().hash,
        counted=(1, 2),
        suspects=(3,),
        reason="h3 does not come back",
        margin_accepted=True,
        deadline=7,
        nonce=b"n" * 32,
    )
    return replace(wanted, **changes)


def signature(wanted: Order, admin: int, key: SoftwareKey) -> OrderSignature:
    return OrderSignature(admin, key.public.algorithm, key.sign(Tag.ORDER, wanted.terms))


def by_administrators(wanted: Order, *admins: int) -> Order:
    return wanted.signed([signature(wanted, admin, ADMINISTRATORS[admin]) for admin in admins])


def by_holders(wanted: Order, *indices: int) -> Order:
    identity = refresh(NOBODY).identity
    return wanted.signed([signature(wanted, index, identity(index)) for index in indices])


def retired(
    ordered: Order,
    policy_file: bytes = TWO_OF_THREE,
    dones: Sequence[int] = (1, 2),
    lost: Collection[int] = (),
    shown: bytes | None = None,
    keys: KeyBook | None = None,
) -> Retired:
    of = refresh(policy_file)
    messages = tuple(of.done(index) for index in dones)
    policy = policy_file if shown is None else shown
    retirement = Retirement(messages, (), ordered.to_bytes(), policy)
    assert Retirement.from_bytes(retirement.to_bytes()) == retirement
    return retirement.check(of.first, keys or of.keys, of.certificate(), lost)


def test_two_of_three_administrators_overrule() -> None:
    for admins in ((0, 1), (0, 2), (1, 2), (0, 1, 2)):
        ordered = by_administrators(order(), *admins)
        found = retired(ordered)
        assert (found.attempt, found.successor) == (order().attempt, order().successor)
        assert (found.adopters, found.order) == ((1, 2), ordered)


def test_where_the_policy_names_none_every_counted_holder_signs() -> None:
    ordered = by_holders(order(NOBODY), 1, 2)
    assert retired(ordered, NOBODY).order == ordered


def test_without_an_order_nothing_is_told_of_one() -> None:
    of = refresh()
    found = Retirement(tuple(of.done(i) for i in (1, 2, 3))).check(
        of.first, of.keys, of.certificate(), ()
    )
    assert found.order is None


def test_the_bytes_are_those_of_the_specification() -> None:
    ordered = by_administrators(order(), 0, 1).to_bytes()
    dones = [refresh().done(index) for index in (1, 2)]
    assert Retirement(tuple(dones), (), ordered, TWO_OF_THREE).to_bytes() == (
        u8(1) + u16be(2) + lv32(dones[0]) + lv32(dones[1]) + lv32(ordered) + lv32(TWO_OF_THREE)
    )
    with pytest.raises(BadEncoding, match="an order is wanted"):
        Retirement.from_bytes(u8(1) + u16be(0) + lv32(b"") + lv32(b""))


@pytest.mark.parametrize(
    "changes",
    [
        {"wallet_id": WalletId(b"o" * 16)},
        {"epoch_hash": EpochHash(b"o" * 32)},
        {"successor": EpochHash(b"o" * 32)},
        {"attempt": Attempt(1, 0x8000)},
        {"counted": (1, 3), "suspects": (2,)},
        {"counted": (1, 2, 3), "suspects": ()},
        {"counted": (1,)},
        {"counted": (1, 2, 4)},
        {"suspects": (4,)},
        {"margin_accepted": False},
    ],
)
def test_an_order_about_something_else_retires_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        retired(by_administrators(order(**changes), 0, 1))


def test_each_of_these_is_found_by_itself() -> None:
    first = refresh().first
    check_terms(order(), first, ())
    found: list[dict[str, Any]] = [
        {"wallet_id": WalletId(b"o" * 16)},
        {"epoch_hash": EpochHash(b"o" * 32)},
        {"counted": (1,)},
        {"counted": (1, 2, 4)},
        {"suspects": (4,)},
        {"margin_accepted": False},
    ]
    for changes in found:
        with pytest.raises(BadInput):
            check_terms(order(**changes), first, ())


def test_a_holder_more_than_the_threshold_is_margin_enough() -> None:
    wanted = order(counted=(1, 2, 3), suspects=(), margin_accepted=False)
    assert retired(by_administrators(wanted, 0, 1), dones=(1, 2, 3)).order is not None


def test_done_of_a_replaced_holder_is_not_counted() -> None:
    """Step 6.6.5: it may have forgotten what it voted for."""
    with pytest.raises(BadInput, match="1 holders count, 2 are wanted"):
        retired(by_administrators(order(), 0, 1), lost=[2])
    wanted = order(counted=(1, 2, 3), suspects=(), margin_accepted=False)
    assert retired(by_administrators(wanted, 0, 1), dones=(1, 2, 3), lost=[2]).order is not None


def test_who_was_replaced_is_known_by_the_amendments_about_that_epoch() -> None:
    amending = Amending()
    keys = KeyBook(WALLET.ceremony.roster, {})
    lineage = Lineage.of((), [amending.made().to_bytes()], WALLET.first.terms, keys)
    assert replaced_in(lineage, WALLET.first.hash) == {amending.order().lost}
    assert replaced_in(lineage, EpochHash(b"o" * 32)) == frozenset()
    turned = Lineage.of((), [rotated().to_bytes()], WALLET.first.terms, keys)
    assert replaced_in(turned, WALLET.first.hash) == frozenset()


@pytest.mark.parametrize(
    "admins",
    [(), (0,), (0, 0), (1, 0)],
    ids=["nobody", "one", "one twice", "not ascending"],
)
def test_order_without_enough_admins(admins: Sequence[int]) -> None:
    with pytest.raises(InvalidSignature):
        retired(by_administrators(order(), *admins))


def forgeries() -> dict[str, Order]:
    wanted, other = order(), order(reason="another")
    good = signature(wanted, 0, ADMINISTRATORS[0])
    return {
        "of another order": wanted.signed([good, signature(other, 1, ADMINISTRATORS[1])]),
        "of a stranger": wanted.signed([good, signature(wanted, 2, ed25519_key(b"x" * 32))]),
        "in another's place": wanted.signed([good, signature(wanted, 1, ADMINISTRATORS[2])]),
        "nobody's place": wanted.signed([good, signature(wanted, 3, ADMINISTRATORS[1])]),
        "a holder's": by_holders(wanted, 1, 2),
    }


@pytest.mark.parametrize("forgery", forgeries())
def test_a_signature_that_is_none_retires_nothing(forgery: str) -> None:
    with pytest.raises(InvalidSignature):
        retired(forgeries()[forgery])


@pytest.mark.parametrize("indices", [(1,), (1, 3), (2, 3), (1, 2, 3)])
def test_no_holder_signs_for_another(indices: Sequence[int]) -> None:
    with pytest.raises(InvalidSignature):
        retired(by_holders(order(NOBODY), *indices), NOBODY)


def test_a_counted_holder_may_have_another_key_by_now() -> None:
    """It signs by the one that is in force."""
    new = p256_key(62)
    of = refresh(NOBODY)
    later = of.ceremony.roster.with_key(2, new.public)
    wanted = order(NOBODY)
    ordered = wanted.signed([signature(wanted, 1, of.identity(1)), signature(wanted, 2, new)])
    keys = of.keys.and_later(later)
    assert retired(ordered, NOBODY, keys=keys).order == ordered
    with pytest.raises(InvalidSignature):
        retired(ordered, NOBODY)


@pytest.mark.parametrize("shown", [NOBODY, b"", TWO_OF_THREE + b"#"])
def test_another_policy_than_the_certified_one_says_nothing(shown: bytes) -> None:
    with pytest.raises(BadInput, match="policy"):
        retired(by_administrators(order(), 0, 1), shown=shown)


def test_a_done_of_a_suspect_is_not_counted() -> None:
    """The order counts exactly those that are shown."""
    with pytest.raises(BadInput, match="counts other holders"):
        retired(by_administrators(order(), 0, 1), dones=(1, 2, 3))
    with pytest.raises(BadInput, match="counts other holders"):
        retired(by_administrators(order(), 0, 1), dones=(1,))
    with pytest.raises(BadInput, match="0 holders adopted, 1 are wanted"):
        retired(by_administrators(order(), 0, 1), dones=())


def test_a_flipped_bit_anywhere_is_found() -> None:
    of = refresh()
    dones = tuple(of.done(index) for index in (1, 2))
    whole = Retirement(
        dones, (), by_administrators(order(), 0, 1).to_bytes(), TWO_OF_THREE
    ).to_bytes()
    for at in range(0, len(whole), 7):
        forged = bytearray(whole)
        forged[at] ^= 1
        with pytest.raises(HsmMpcError):
            Retirement.from_bytes(bytes(forged)).check(of.first, of.keys, of.certificate(), ())


def test_a_signature_travels_by_itself() -> None:
    one = signature(order(), 1, ADMINISTRATORS[1])
    assert signature_in(one.to_bytes()) == one
    for wrong in (one.to_bytes()[:-1], one.to_bytes() + b"x", b""):
        with pytest.raises(BadEncoding):
            signature_in(wrong)
