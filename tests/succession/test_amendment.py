"""AMENDMENT: who may give a holder another identity key, and what becomes of the roster (6.7.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.done import ack_message
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.encoding import lv32, u8
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Tampered
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import Roster
from hsm_mpc.succession.amendment import Amendment, Repaired, Rotated, amended
from hsm_mpc.succession.changes import changes_in, changes_of_rotations, lost_in, rotated_in
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.newest import verify_newest
from hsm_mpc.succession.propose import check_propose
from hsm_mpc.succession.repairing import RepairAck, address_in_repair
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address, bundle, seal_envelope
from hsm_mpc.wire.rounds import DONE, EVERYBODY, REPAIR_ACK, REPAIR_DONE, Key, MessageKind
from tests.certificates.ceremony import point
from tests.software_identity import SoftwareKey, p256_key
from tests.succession.making import Refresh

LOST = 3
NEW = p256_key(501)
NEWER = p256_key(502)
BLOB = b"b" * 32
KEK = b"k" * 32

WALLET = Refresh()
WALLET_ADDRESS = Address(
    WALLET.first.terms.wallet_id, bytes(32), WALLET.first.hash, LOST, EVERYBODY
)


class Amending:
    """That holder 3 has the identity key `new` from now on, as holders 1 and 2 order it. A test
    overrides one part to make one that is wrong in exactly one place.
    """

    kind: MessageKind = REPAIR_ACK
    lost = LOST
    helpers: tuple[int, ...] = (1, 2)

    def __init__(self, roster: Roster | None = None, new: SoftwareKey = NEW) -> None:
        self.roster = roster or WALLET.ceremony.roster
        self.new = new
        self.keys: dict[int, SoftwareKey] = {}
        """Of helpers that sign by another key than their first one."""

    def order(self) -> RepairOrder:
        body = WALLET.first
        wanted = RepairOrder(
            wallet_id=body.terms.wallet_id,
            epoch_hash=body.hash,
            lost=self.lost,
            known_key=self.roster.member(self.lost).key,
            identity_key=self.new.public,
            delivery_key=point(77),
            kek_digest=KEK,
            offer_signature=b"",
            helpers=self.helpers,
            keys_digest=b"d" * 32,
            deadline=7,
            nonce=b"n" * 32,
        )
        offered = self.new.sign(Tag.REPAIR_OFFER, wanted.offer_message)
        return replace(wanted, offer_signature=offered)

    def signatures(self, order: RepairOrder) -> list[OrderSignature]:
        return [self.signature(order, index) for index in order.helpers]

    def signature(self, order: RepairOrder, index: int) -> OrderSignature:
        identity = self.keys.get(index, WALLET.identity(index))
        signed = identity.sign(Tag.REPAIR_ORDER, order.terms)
        return OrderSignature(index, identity.public.algorithm, signed)

    def acknowledged(self, order: RepairOrder) -> RepairAck:
        message = ack_message(order.epoch_hash, self.lost, KEK, BLOB)
        signature = self.acknowledger().sign(Tag.ACK, message)
        return RepairAck(order.epoch_hash, Acknowledgement(KEK, BLOB, signature))

    def acknowledger(self) -> SoftwareKey:
        return self.new

    def sender(self) -> SoftwareKey:
        return self.new

    def session(self, order: RepairOrder) -> RepairOrder:
        """Of which repair the answer is."""
        return order

    def made(self) -> Repaired:
        order = self.order()
        address = address_in_repair(self.session(order), self.lost)
        payload = self.acknowledged(order).to_bytes()
        ack = seal_envelope(self.kind, address, payload, Key.IDENTITY, self.sender().sign)
        return Repaired(order.signed(self.signatures(order)), ack.to_bytes())


def book() -> KeyBook:
    return KeyBook(WALLET.ceremony.roster, {})


def applied(*amendments: Amendment) -> Roster:
    """What they make of the first roster."""
    sources = [each.to_bytes() for each in amendments]
    return amended(sources, WALLET.first.terms, WALLET.ceremony.roster)[1]


def test_the_bytes_are_those_of_the_specification() -> None:
    amendment = Amending().made()
    encoded = b"\1" + lv32(amendment.order.to_bytes()) + lv32(amendment.ack)
    assert amendment.to_bytes() == encoded
    assert Amendment.from_bytes(encoded) == amendment


@pytest.mark.parametrize(
    "change",
    [lambda e: b"\3" + e[1:], lambda e: b"\2" + e[1:], lambda e: e[:-1], lambda e: e + b"x"],
)
def test_anything_else_is_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadEncoding):
        Amendment.from_bytes(change(Amending().made().to_bytes()))


def test_one_that_holds_makes_the_next_version_of_the_roster() -> None:
    first = WALLET.ceremony.roster
    after = applied(Amending().made())
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

    assert applied(Later().made()).version == 2


class OtherWallet(Amending):
    def order(self) -> RepairOrder:
        wanted = replace(super().order(), wallet_id=WalletId(b"o" * 16))
        return replace(
            wanted, offer_signature=self.new.sign(Tag.REPAIR_OFFER, wanted.offer_message)
        )


class OtherKey(Amending):
    def order(self) -> RepairOrder:
        return replace(super().order(), known_key=NEWER.public)


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
        (OtherKey, "another key of a holder"),
        (NotOffered, "not one that the lost holder offers"),
        (SameKey, "has that key, or had it"),
        (AnothersKey, "has that key, or had it"),
        (OneHelper, "2 different signatures"),
        (ForgedHelper, "2 may not sign it, or has not"),
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
        applied(amendment)


# Several


class Other(Amending):
    """Holder 2 has lost its HSM: holder 1 and the newest key of holder 3 order it, or any other."""

    lost = 2
    helpers = (1, 3)

    def __init__(self, signer: SoftwareKey | None = None) -> None:
        super().__init__(new=NEWER)
        self.keys = {} if signer is None else {3: signer}


def second() -> Amending:
    """Holder 3 loses its HSM once more."""
    return Amending(applied(Amending().made()), NEWER)


def of(*amendings: Amending, carried: Sequence[Sequence[Amending]] = ()) -> Lineage:
    """Pending ones, behind those that successions have carried."""
    groups = [[each.made().to_bytes() for each in group] for group in carried]
    pending = [each.made().to_bytes() for each in amendings]
    return Lineage.of(groups, pending, WALLET.first.terms, book())


def roster_hash(lineage: Lineage) -> bytes:
    return lineage.newest.roster.hash


def test_of_one_holder_each_replaces_the_key_before() -> None:
    both = of(second(), Amending())
    assert both.newest.roster.version == 3
    assert both.newest.roster.member(LOST).key == NEWER.public
    for wrong in ([second()], [Amending(), Amending(new=NEWER)]):
        with pytest.raises(BadInput, match="another key of a holder"):
            of(*wrong)


def test_of_several_holders_it_does_not_matter_who_showed_which_first() -> None:
    """Neither order knows of the other, and helpers may have signed by an old key or a new one."""
    one, other, by_new = Amending(), Other(), Other(NEW)
    for second_one in (other, by_new):
        lineages = [of(one, second_one), of(second_one, one)]
        assert len({roster_hash(each) for each in lineages}) == 1
        members = lineages[0].newest.roster.members
        assert [each.key for each in members[1:]] == [NEWER.public, NEW.public]
    assert roster_hash(of(other)) != roster_hash(of(one))
    with pytest.raises(InvalidSignature):
        of(by_new)  # nobody has heard of that key


def test_no_key_comes_back() -> None:
    first = WALLET.identity(LOST)
    back = Amending(applied(Amending().made()), first)
    for lineage in ((Amending(), back), (back,)):
        carried = [] if len(lineage) == 2 else [[Amending()]]
        with pytest.raises(BadInput, match="or had it"):
            of(*lineage, carried=carried)


def test_every_key_that_somebody_has_or_had_is_known() -> None:
    had = {member.key for member in WALLET.ceremony.roster.members}
    assert of().identity_keys == had
    lineage = of(second(), carried=[[Amending()]])
    assert lineage.identity_keys == had | {NEW.public, NEWER.public}


def test_a_lineage_reads_back() -> None:
    for lineage in (of(), of(Amending()), of(second(), carried=[[Amending()]])):
        read = Lineage.from_bytes(lineage.to_bytes(), WALLET.first.terms, book())
        assert (read.carried, read.pending) == (lineage.carried, lineage.pending)
        assert roster_hash(read) == roster_hash(lineage)
    assert of().to_bytes() == b""
    for wrong in (b"x", bundle([bundle([b"no amendment"])]), bundle([b"", b""])):
        with pytest.raises(BadInput):
            Lineage.from_bytes(wrong, WALLET.first.terms, book())


def shown(roster_hash: bytes, carried: tuple[bytes, ...]) -> Any:
    """As much of a certificate as says which roster it names, and what led there."""
    body = SimpleNamespace(terms=SimpleNamespace(roster_hash=roster_hash))
    return SimpleNamespace(body=body, amendments=carried, shared_anew=None)


def test_an_epoch_names_a_roster_that_a_succession_has_made() -> None:
    first = WALLET.ceremony.roster.hash
    pending, both = of(Amending()), of(second(), carried=[[Amending()]])
    assert pending.book(first) is pending.stages[0].book
    for unknown in (roster_hash(pending), b"o" * 32):
        with pytest.raises(BadInput, match="did not come from the pinned one"):
            pending.book(unknown)
    middle = both.stages[1].book.roster.hash
    assert both.to_carry(first) == (*both.carried[0], *both.pending)
    assert both.to_carry(middle) == both.pending
    assert both.before(shown(middle, both.carried[0])) is both.stages[0]
    assert both.before(shown(middle, ())) is both.stages[1]
    for place, carried in ((middle, both.pending), (first, both.pending)):
        with pytest.raises(BadInput, match="by these amendments"):
            both.before(shown(place, carried))


def test_who_spoke_by_an_old_key_and_who_by_a_new_one_is_believed_since() -> None:
    """In what was made before its HSM was lost, and ends after."""
    both, first = of(second(), carried=[[Amending()]]), WALLET.ceremony.roster.hash
    said = [
        seal_envelope(DONE, WALLET_ADDRESS, b"said", Key.IDENTITY, key.sign)
        for key in (WALLET.identity(LOST), NEW, NEWER)
    ]
    for message in said:
        both.since(first).verify(message, 0)
    for message in said[1:]:
        both.since(both.stages[1].book.roster.hash).verify(message, 0)
        with pytest.raises(InvalidSignature):
            both.book(first).verify(message, 0)
    with pytest.raises(InvalidSignature):
        both.since(both.stages[1].book.roster.hash).verify(said[0], 0)


def test_what_a_succession_has_carried_is_pending_no_more() -> None:
    first = WALLET.ceremony.roster.hash
    one, other = Amending().made().to_bytes(), Other(NEW).made().to_bytes()
    both = of().with_pending(one).with_pending(other)
    after = both.after(first, (one,))
    assert (after.carried, after.pending) == (((one,),), (other,))
    assert after.after(first, (one,)) is after
    assert both.after(first, ()) is both
    rival = after.after(first, both.pending)
    assert (rival.carried, rival.pending) == ((both.pending,), ())
    by_old = of(Amending(), Other()).after(first, (one,))
    assert by_old.pending == ()  # that key of a helper is gone: its holder is repaired once more
    apart = of(Amending(new=NEWER)).after(first, (one,))
    assert (apart.carried, apart.pending) == (((one,),), ())  # a certificate has it


def test_what_somebody_tells_takes_nothing_away() -> None:
    """Whatever a succession is said to have carried: only its certificate says that."""
    first = WALLET.ceremony.roster.hash
    one, other = Amending().made().to_bytes(), Other(NEW).made().to_bytes()
    nothing, both = of(), of().with_pending(one).with_pending(other)
    assert nothing.merged_with(reversed(both.amendments)).to_bytes() == both.to_bytes()
    assert both.merged_with(nothing.amendments) is both
    by_old = of(Other()).amendments
    assert changes_in(of(Amending()).merged_with(by_old).pending) == changes_in(both.pending)
    ahead = of().with_pending(one).after(first, (one,))
    joined = ahead.merged_with(both.amendments)
    assert (joined.carried, joined.pending) == (((one,),), (other,))
    assert both.merged_with(ahead.amendments) is both
    fork = of(carried=[[Amending(new=NEWER)]])
    for known in (of(Amending()), ahead):
        assert known.merged_with(fork.amendments).newest.roster.member(LOST).key == NEW.public


class Again(Amending):
    """The same, as its helpers have signed another order of it."""

    def order(self) -> RepairOrder:
        return replace(super().order(), nonce=b"a" * 32)


def test_whoever_has_signed_what_was_carried_it_is_the_same() -> None:
    first, again = WALLET.ceremony.roster.hash, Again().made().to_bytes()
    lineage = of(Other(NEW), carried=[[Amending()]])
    assert again not in lineage.amendments
    assert lineage.after(first, (again,)) is lineage
    assert lineage.before(shown(lineage.stages[1].book.roster.hash, (again,))) is lineage.stages[0]


def test_what_a_certificate_says_was_carried_wins_over_a_rival() -> None:
    """Nothing that is known is lost by it."""
    first, both = WALLET.ceremony.roster.hash, of(Amending(), Other())
    rival = of(second(), carried=[[Amending()]])
    followed = rival.after(first, both.pending)
    assert followed.book(roster_hash(both)).roster == both.newest.roster
    assert changes_in(rival.amendments) - changes_in(followed.amendments) == {
        second().made().change
    }  # which has a key that has become another holder's


def test_who_has_another_key_is_told() -> None:
    lineage = of(Amending(), Other())
    assert lineage.lost_since(WALLET.ceremony.roster.hash) == lost_in(lineage.pending) == (2, 3)
    assert lost_in(()) == rotated_in(lineage.pending) == ()


def test_what_is_known_already_changes_nothing() -> None:
    """Whoever says ACK again signs other bytes."""
    lineage = of(Amending())
    assert lineage.with_pending(Amending().made().to_bytes()) is lineage
    with pytest.raises(BadInput, match="two replace one"):
        lineage.with_pending(Amending(new=NEWER).made().to_bytes())


# What a succession makes of it


@cache
def carried() -> tuple[bytes, ...]:
    """The same bytes each time, although ECDSA draws a nonce."""
    return (Amending().made().to_bytes(),)


@cache
def made_lineage() -> Lineage:
    """Once a succession has carried them."""
    return Lineage.of([carried()], (), WALLET.first.terms, book())


class Amended(Refresh):
    """An attempt that carries the amendment, with holder 3 and its new key among its members."""

    members = (1, LOST)

    def identity(self, index: int) -> SoftwareKey:
        return NEW if index == LOST else super().identity(index)

    def amendments(self) -> list[bytes]:
        return list(carried())

    def body(self) -> EpochBody:
        terms = replace(self.first.terms, roster_hash=roster_hash(made_lineage()))
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
    assert proposed.keys.roster == made_lineage().newest.roster
    assert certificate.amendments == tuple(attempt.amendments())
    assert verify_newest(certificate, attempt.first, made_lineage()).members == (1, LOST)
    retirement = Retirement(tuple(attempt.done(index) for index in (1, 2, LOST)))
    retired = retirement.check(attempt.first, proposed.keys, certificate, ())
    assert retired.successor == certificate.body.hash
    assert destroyed_in(attempt.destroyed(LOST), attempt.first, proposed.keys)
    for check in (
        lambda: retirement.check(attempt.first, attempt.keys, certificate, ()),
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
            verify_newest(certificate, attempt.first, made_lineage())


def test_a_client_follows_no_roster_that_did_not_come_from_its_own() -> None:
    certificate = SuccessorCertificate.from_bytes(Amended().certificate().to_bytes())
    with pytest.raises(Tampered, match="did not come from the pinned one"):
        verify_newest(certificate, WALLET.first, of())


def test_amendments_stand_in_their_order() -> None:
    class Unordered(Amended):
        def amendments(self) -> list[bytes]:
            return [second().made().to_bytes(), *carried()]

    attempt = Unordered()
    with pytest.raises(BadInput, match="not in their order"):
        check_propose(attempt.proposed(), attempt.first, attempt.keys)


def test_the_bytes_of_an_acknowledgement() -> None:
    ack = RepairAck(EpochHash(b"h" * 32), Acknowledgement(KEK, BLOB, b"s"))
    assert ack.to_bytes() == b"h" * 32 + KEK + BLOB + b"\0\1s"
    assert RepairAck.from_bytes(ack.to_bytes()) == ack
    with pytest.raises(BadEncoding):
        RepairAck.from_bytes(ack.to_bytes() + u8(0))


# Rotation of an identity key (step 6.7.9)


FIRST = WALLET.identity(LOST)


def rotated(
    old: SoftwareKey = FIRST,
    new: SoftwareKey = NEW,
    index: int = LOST,
    **changes: Any,
) -> Rotated:
    """That a holder has another key, as both of them sign; one part of it changed."""
    terms, h = WALLET.first.terms, WALLET.first.hash
    wanted = Rotate(terms.wallet_id, h, index, old.public, new.public, 7)
    wanted = replace(wanted, **changes)
    signed = replace(
        wanted,
        old_signature=old.sign(Tag.ROTATE, wanted.terms),
        new_signature=new.sign(Tag.ROTATE, wanted.terms),
    )
    return Rotated(signed)


def lineage_of(*amendments: Amendment) -> Lineage:
    sources = [each.to_bytes() for each in amendments]
    return Lineage.of((), sources, WALLET.first.terms, book())


def test_a_rotation_amends_the_roster() -> None:
    rotation = rotated()
    encoded = b"\2" + lv32(rotation.rotate.to_bytes())
    assert rotation.to_bytes() == encoded
    assert Amendment.from_bytes(encoded) == rotation
    roster = applied(rotation)
    first = WALLET.ceremony.roster
    assert roster == first.with_key(LOST, NEW.public)
    assert (roster.version, roster.predecessor) == (first.version + 1, first.hash)


@pytest.mark.parametrize(
    "wrong",
    [
        rotated(old=WALLET.identity(2)),
        rotated(index=2),
        rotated(index=99),
        rotated(index=0),
        rotated(wallet_id=WalletId(bytes(16))),
        rotated(new=WALLET.identity(1)),
        rotated(new=WALLET.identity(LOST)),
        Rotated(replace(rotated().rotate, old_signature=rotated(NEWER).rotate.old_signature)),
        Rotated(replace(rotated().rotate, new_signature=rotated(new=NEWER).rotate.new_signature)),
        Rotated(replace(rotated().rotate, deadline=8)),
    ],
)
def test_a_rotation_that_one_of_both_keys_has_not_signed_amends_nothing(wrong: Rotated) -> None:
    with pytest.raises((BadInput, InvalidSignature)):
        applied(wrong)


def test_no_third_form_is_known() -> None:
    with pytest.raises(BadEncoding, match="unknown form"):
        Amendment.from_bytes(b"\3" + rotated().to_bytes()[1:])


def test_rotations_and_repairs_commute() -> None:
    """Of one holder each stands behind the one whose key it replaces; a helper of a repair may have
    another key by then.
    """
    repaired, of_helper = Amending().made(), rotated(WALLET.identity(1), NEWER, 1)
    assert applied(repaired, of_helper) == applied(of_helper, repaired)
    twice = rotated(NEW, NEWER)
    assert applied(repaired, twice) == applied(twice, repaired)
    again = Amending(applied(rotated(new=NEWER)), NEW).made()
    assert applied(rotated(new=NEWER), again) == applied(again, rotated(new=NEWER))


def test_a_repair_and_a_rotation_that_replace_one_key_part() -> None:
    lineage = lineage_of(Amending().made())
    with pytest.raises(BadInput, match="two replace one"):
        lineage.with_pending(rotated(new=NEWER).to_bytes())


def test_a_key_that_was_rotated_away_does_not_come_back() -> None:
    back = rotated(NEW, WALLET.identity(LOST))
    with pytest.raises(BadInput, match="has that key, or had it"):
        lineage_of(rotated(), back)
    carried = [[rotated().to_bytes()]]
    with pytest.raises(BadInput, match="has that key, or had it"):
        Lineage.of(carried, [back.to_bytes()], WALLET.first.terms, book())


def test_whoever_has_rotated_has_lost_nothing() -> None:
    lineage = lineage_of(rotated(), rotated(WALLET.identity(2), NEWER, 2))
    first = WALLET.ceremony.roster.hash
    assert lineage.lost_since(first) == ()
    assert rotated_in(lineage.pending) == (2, 3)
    assert changes_of_rotations(lineage.pending) == changes_in(lineage.pending)
    lost_later = lineage_of(rotated(new=NEWER), Amending(applied(rotated(new=NEWER))).made())
    assert lost_later.lost_since(first) == (LOST,)
    assert rotated_in(lost_later.pending) == ()
    assert changes_of_rotations(lost_later.pending) == {rotated(new=NEWER).change}
