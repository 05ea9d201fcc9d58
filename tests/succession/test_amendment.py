"""AMENDMENT: who may give a holder another identity key, and what becomes of the roster (6.7.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.done import ack_message
from hsm_mpc.certificates.repair_order import OrderSignature, RepairOrder
from hsm_mpc.encoding import lv32, u8
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Tampered
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import Roster
from hsm_mpc.succession.amendment import Amendment
from hsm_mpc.succession.carrying import check_carried
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.propose import check_propose
from hsm_mpc.succession.repairing import RepairAck, address_in_repair
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import seal_envelope
from hsm_mpc.wire.rounds import REPAIR_ACK, REPAIR_DONE, Key, MessageKind
from tests.certificates.ceremony import point
from tests.software_identity import SoftwareKey, p256_key
from tests.succession.making import Refresh

LOST = 3
NEW = p256_key(501)
NEWER = p256_key(502)
BLOB = b"b" * 32
KEK = b"k" * 32

WALLET = Refresh()


class Amending:
    """That holder 3 has the identity key `new` from now on, as holders 1 and 2 order it. A test
    overrides one part to make one that is wrong in exactly one place.
    """

    kind: MessageKind = REPAIR_ACK

    def __init__(self, roster: Roster | None = None, new: SoftwareKey = NEW) -> None:
        self.roster = roster or WALLET.ceremony.roster
        self.new = new

    def order(self) -> RepairOrder:
        body = WALLET.first
        wanted = RepairOrder(
            wallet_id=body.terms.wallet_id,
            epoch_hash=body.hash,
            roster_hash=self.roster.hash,
            lost=LOST,
            identity_key=self.new.public,
            delivery_key=point(77),
            kek_digest=KEK,
            offer_signature=b"",
            helpers=(1, 2),
            keys_digest=b"d" * 32,
            deadline=7,
            nonce=b"n" * 32,
        )
        offered = self.new.sign(Tag.REPAIR_OFFER, wanted.offer_message)
        return replace(wanted, offer_signature=offered)

    def signatures(self, order: RepairOrder) -> list[OrderSignature]:
        return [self.signature(order, index) for index in order.helpers]

    def signature(self, order: RepairOrder, index: int) -> OrderSignature:
        identity = WALLET.identity(index)
        signed = identity.sign(Tag.REPAIR_ORDER, order.terms)
        return OrderSignature(index, identity.public.algorithm, signed)

    def acknowledged(self, order: RepairOrder) -> RepairAck:
        message = ack_message(order.epoch_hash, LOST, KEK, BLOB)
        signature = self.acknowledger().sign(Tag.ACK, message)
        return RepairAck(order.epoch_hash, Acknowledgement(KEK, BLOB, signature))

    def acknowledger(self) -> SoftwareKey:
        return self.new

    def sender(self) -> SoftwareKey:
        return self.new

    def session(self, order: RepairOrder) -> RepairOrder:
        """Of which repair the answer is."""
        return order

    def made(self) -> Amendment:
        order = self.order()
        address = address_in_repair(self.session(order), LOST)
        payload = self.acknowledged(order).to_bytes()
        ack = seal_envelope(self.kind, address, payload, Key.IDENTITY, self.sender().sign)
        return Amendment(order.signed(self.signatures(order)), ack.to_bytes())


def book(roster: Roster | None = None) -> KeyBook:
    return KeyBook(roster or WALLET.ceremony.roster, {})


def test_the_bytes_are_those_of_the_specification() -> None:
    amendment = Amending().made()
    encoded = b"\1" + lv32(amendment.order.to_bytes()) + lv32(amendment.ack)
    assert amendment.to_bytes() == encoded
    assert Amendment.from_bytes(encoded) == amendment


@pytest.mark.parametrize("change", [lambda e: b"\2" + e[1:], lambda e: e[:-1], lambda e: e + b"x"])
def test_anything_else_is_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadEncoding):
        Amendment.from_bytes(change(Amending().made().to_bytes()))


def test_one_that_holds_makes_the_next_version_of_the_roster() -> None:
    first = WALLET.ceremony.roster
    after = Amending().made().applied(WALLET.first.terms, book()).roster
    assert after.member(LOST).key == NEW.public
    assert after.member(LOST).name == first.member(LOST).name
    assert after.members[:2] == first.members[:2]
    assert (after.version, after.predecessor, after.lab) == (2, first.hash, first.lab)
    after.check_succeeds(first)


def test_it_is_good_in_a_later_epoch_whose_roster_is_the_same() -> None:
    class Later(Amending):
        def order(self) -> RepairOrder:
            wanted = replace(super().order(), epoch_hash=EpochHash(b"l" * 32))
            offered = self.new.sign(Tag.REPAIR_OFFER, wanted.offer_message)
            return replace(wanted, offer_signature=offered)

    assert Later().made().applied(WALLET.first.terms, book()).roster.version == 2


class OtherWallet(Amending):
    def order(self) -> RepairOrder:
        wanted = replace(super().order(), wallet_id=WalletId(b"o" * 16))
        return replace(
            wanted, offer_signature=self.new.sign(Tag.REPAIR_OFFER, wanted.offer_message)
        )


class OtherRoster(Amending):
    def order(self) -> RepairOrder:
        return replace(super().order(), roster_hash=b"o" * 32)


class NotOffered(Amending):
    def order(self) -> RepairOrder:
        wanted = super().order()
        by_another = p256_key(99).sign(Tag.REPAIR_OFFER, wanted.offer_message)
        return replace(wanted, offer_signature=by_another)


class SameKey(Amending):
    def __init__(self) -> None:
        super().__init__(new=WALLET.identity(LOST))


class AnothersKey(Amending):
    def __init__(self) -> None:
        super().__init__(new=WALLET.identity(1))


class OneHelper(Amending):
    def signatures(self, order: RepairOrder) -> list[OrderSignature]:
        return super().signatures(order)[:1]


class ForgedHelper(Amending):
    def signature(self, order: RepairOrder, index: int) -> OrderSignature:
        signature = super().signature(order, index)
        forged = p256_key(99).sign(Tag.REPAIR_ORDER, order.terms)
        return replace(signature, signature=forged) if index == 2 else signature


class SaidByAnother(Amending):
    def sender(self) -> SoftwareKey:
        return WALLET.identity(LOST)


class AnotherMessage(Amending):
    kind = REPAIR_DONE


class OfAnotherRepair(Amending):
    def session(self, order: RepairOrder) -> RepairOrder:
        return replace(order, nonce=b"o" * 32)


class OtherEpochAcknowledged(Amending):
    def acknowledged(self, order: RepairOrder) -> RepairAck:
        return replace(super().acknowledged(order), epoch_hash=EpochHash(b"o" * 32))


class OtherKeyAcknowledged(Amending):
    def acknowledged(self, order: RepairOrder) -> RepairAck:
        kek = b"o" * 32
        signature = self.new.sign(Tag.ACK, ack_message(order.epoch_hash, LOST, kek, BLOB))
        return RepairAck(order.epoch_hash, Acknowledgement(kek, BLOB, signature))


class AcknowledgedByAnother(Amending):
    def acknowledger(self) -> SoftwareKey:
        return WALLET.identity(LOST)


@pytest.mark.parametrize(
    "wrong, error",
    [
        (OtherWallet, "another wallet"),
        (OtherRoster, "another roster"),
        (NotOffered, "not one that the lost holder offers"),
        (SameKey, "changes no key"),
        (AnothersKey, "one identity key"),
        (OneHelper, "2 different signatures"),
        (ForgedHelper, None),
        (SaidByAnother, None),
        (AnotherMessage, "a DONE where a ACK is expected"),
        (OfAnotherRepair, "another session"),
        (OtherEpochAcknowledged, "another share"),
        (OtherKeyAcknowledged, "another share"),
        (AcknowledgedByAnother, None),
    ],
)
def test_one_that_is_wrong_in_one_place_does_not_hold(wrong: type[Any], error: str | None) -> None:
    amendment = Amendment.from_bytes(wrong().made().to_bytes())
    with pytest.raises((BadInput, InvalidSignature), match=error):
        amendment.applied(WALLET.first.terms, book())


# One after the other


def lineage(*amendings: Amending) -> Lineage:
    made = [each.made().to_bytes() for each in amendings]
    return Lineage.of(made, WALLET.first.terms, book())


def second() -> Amending:
    """Holder 3 loses its HSM once more."""
    after = Amending().made().applied(WALLET.first.terms, book()).roster
    return Amending(after, NEWER)


def test_each_amends_the_roster_that_it_names() -> None:
    both = lineage(Amending(), second())
    assert [each.roster.version for each in both.books] == [1, 2, 3]
    assert both.newest.roster.member(LOST).key == NEWER.public
    assert both.replaced() == (LOST,)
    assert lineage().replaced() == ()
    for hashed, each in zip(both.hashes, both.books, strict=True):
        assert both.book(hashed) is each
    for wrong in ([second()], [Amending(), Amending()], [second(), Amending()]):
        with pytest.raises(BadInput, match="another roster"):
            lineage(*wrong)


def test_what_has_amended_a_roster_is_found_by_its_hash() -> None:
    both = lineage(Amending(), second())
    assert both.since(both.hashes[0]) == both.amendments
    assert both.since(both.hashes[1]) == both.amendments[1:]
    assert both.since(both.hashes[2]) == ()
    assert both.book_before(both.hashes[2], 2) is both.books[0]
    assert both.book_before(both.hashes[1], 0) is both.books[1]
    for unknown in (
        lambda: both.since(b"o" * 32),
        lambda: both.book(b"o" * 32),
        lambda: both.book_before(both.hashes[1], 2),
    ):
        with pytest.raises(BadInput, match="did not come from the pinned one"):
            unknown()


def test_what_a_proposal_adds_is_joined_to_what_is_known() -> None:
    one, both = lineage(Amending()), lineage(Amending(), second())
    added = Lineage.of([second().made().to_bytes()], WALLET.first.terms, one.newest)
    assert one.joined(added).hashes == both.hashes
    assert both.joined(added) is both
    assert both.joined(lineage()) is both
    assert both.joined(one) is both
    apart = Lineage.of([Amending(new=NEWER).made().to_bytes()], WALLET.first.terms, book())
    assert both.joined(apart).hashes == apart.hashes  # a certificate has it
    with pytest.raises(BadInput, match="did not come"):
        lineage().joined(added)


# What a succession makes of it


@cache
def carried() -> tuple[bytes, ...]:
    """The same bytes each time, although ECDSA draws a nonce."""
    return (Amending().made().to_bytes(),)


class Amended(Refresh):
    """An attempt that carries the amendment, with holder 3 and its new key among its members."""

    members = (1, LOST)

    def identity(self, index: int) -> SoftwareKey:
        return NEW if index == LOST else super().identity(index)

    def amendments(self) -> list[bytes]:
        return list(carried())

    def body(self) -> EpochBody:
        terms = replace(self.first.terms, roster_hash=lineage(Amending()).hashes[-1])
        return replace(super().body(), terms=terms)


class Unnamed(Amended):
    """Its body names the roster before."""

    def body(self) -> EpochBody:
        return replace(super().body(), terms=self.first.terms)


class Old(Amended):
    """Holder 3 speaks by its lost key."""

    def identity(self, index: int) -> SoftwareKey:
        return self.ceremony.identity(index)


class Silent(Amended):
    """It carries no amendment, and the body names what that would make."""

    def amendments(self) -> list[bytes]:
        return []


def test_all_of_a_succession_verifies_under_the_roster_that_it_makes() -> None:
    attempt = Amended()
    certificate = SuccessorCertificate.from_bytes(attempt.certificate().to_bytes())
    proposed = certificate.verify(attempt.first, attempt.keys)
    assert proposed.keys.roster == lineage(Amending()).newest.roster
    assert certificate.amendments == tuple(attempt.amendments())
    assert certificate.verify_for(attempt.first, lineage(Amending())).members == (1, LOST)
    retirement = Retirement(tuple(attempt.done(index) for index in (1, 2, LOST)))
    assert retirement.check(attempt.first, proposed.keys).successor == certificate.body.hash
    assert destroyed_in(attempt.destroyed(LOST), attempt.first, proposed.keys)
    for check in (
        lambda: retirement.check(attempt.first, attempt.keys),
        lambda: destroyed_in(attempt.destroyed(LOST), attempt.first, attempt.keys),
    ):
        with pytest.raises(InvalidSignature):
            check()


@pytest.mark.parametrize("wrong", [Unnamed, Old, Silent])
def test_a_successor_of_another_roster_is_none(wrong: type[Refresh]) -> None:
    attempt = wrong()
    certificate = SuccessorCertificate.from_bytes(attempt.certificate().to_bytes())
    with pytest.raises(Tampered):
        certificate.verify(attempt.first, attempt.keys)
    if wrong is not Silent:  # to whoever skips epochs, an earlier one may have amended it
        with pytest.raises(Tampered):
            certificate.verify_for(attempt.first, lineage(Amending()))


def test_a_client_follows_no_roster_that_did_not_come_from_its_own() -> None:
    certificate = SuccessorCertificate.from_bytes(Amended().certificate().to_bytes())
    with pytest.raises(Tampered, match="did not come from the pinned one"):
        certificate.verify_for(WALLET.first, lineage())


def test_what_is_carried_on_is_of_one_roster() -> None:
    made_in, other = Amended(), Refresh()
    with pytest.raises(BadInput, match="what another roster has made"):
        check_carried(
            check_propose(other.proposed(), other.first, other.keys),
            check_propose(made_in.proposed(), made_in.first, made_in.keys),
            [],
            other.first,
            other.keys,
        )


def test_the_bytes_of_an_acknowledgement() -> None:
    ack = RepairAck(EpochHash(b"h" * 32), Acknowledgement(KEK, BLOB, b"s"))
    assert ack.to_bytes() == b"h" * 32 + KEK + BLOB + b"\0\1s"
    assert RepairAck.from_bytes(ack.to_bytes()) == ack
    with pytest.raises(BadEncoding):
        RepairAck.from_bytes(ack.to_bytes() + u8(0))
