"""A resharing as it is proven: its certificate, who retires for it, and the rosters it leads to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

import pytest

from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.client.history import verified_history
from hsm_mpc.client.verified import VerifiedWallet, verified, verified_end
from hsm_mpc.encoding import lv16, lv32, u8, u16be
from hsm_mpc.errors import (
    BadEncoding,
    BadInput,
    InvalidSignature,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import FIRST_PREDECESSOR, Roster
from hsm_mpc.succession.assembling import assemble
from hsm_mpc.succession.changes import changes_in
from hsm_mpc.succession.dones import done_in
from hsm_mpc.succession.lineage import Lineage, lost_keys_in
from hsm_mpc.succession.newcomers import NewHello, arrival_in
from hsm_mpc.succession.newest import verify_newest
from hsm_mpc.succession.propose import Propose, Proposed, check_propose
from hsm_mpc.succession.resharings import (
    carried_by,
    first_in,
    first_of,
    is_resharing,
    resharing_in,
)
from hsm_mpc.succession.retirement import Retirement, is_vote
from hsm_mpc.succession.stages import carried_in
from hsm_mpc.succession.successor import NO_SHARE, SuccessorCertificate
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address, bundle, parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import (
    ADOPTION,
    DONE,
    EVERYBODY,
    FIRST_NEW_HOLDER,
    NEW_ACK,
    NEW_DONE,
    NEW_HELLO,
    Key,
)
from hsm_mpc.wire.wallet_calls import Chain, Shown, ShownSuccession
from tests.certificates.ceremony import Q, drawn, point
from tests.software_identity import SoftwareKey, p256_key
from tests.succession.making import COORDINATOR, NOTHING, Refresh
from tests.succession.sharing import COMING, Reshare
from tests.succession.test_amendment import Amending, Other, rotated

FORGED = p256_key(99)


@cache
def honest() -> tuple[Reshare, SuccessorCertificate]:
    attempt = Reshare()
    return attempt, attempt.certificate()


def through_bytes(attempt: Reshare) -> SuccessorCertificate:
    return SuccessorCertificate.from_bytes(attempt.certificate().to_bytes())


def refusal_of(attempt: Reshare) -> str:
    """What a verifier says who has seen the epoch before, and one that has not."""
    certificate = through_bytes(attempt)
    with pytest.raises(Tampered) as refusal:
        certificate.verify(attempt.first, attempt.keys)
    with pytest.raises(BadInput):
        of(certificate)
    return str(refusal.value)


def checked(attempt: Reshare) -> Proposed:
    return check_propose(attempt.proposed(), attempt.first, attempt.keys, attempt.resharing())


def proposal_refused(attempt: Reshare) -> str:
    with pytest.raises((BadInput, InvalidSignature)) as refusal:
        checked(attempt)
    return str(refusal.value)


# HELLO' and PROPOSE


def test_the_bytes_of_a_hello() -> None:
    hello = honest()[0].greeting(1)
    assert hello.to_bytes() == hello.nonce + hello.delivery_key + hello.kek_digest
    group = honest()[0].first.terms.group
    assert NewHello.from_bytes(hello.to_bytes(), group) == hello
    no_point = hello.nonce + b"\2" + b"\xff" * 32 + hello.kek_digest
    for wrong in (hello.to_bytes()[:-1], hello.to_bytes() + b"x", no_point):
        with pytest.raises(BadEncoding):
            NewHello.from_bytes(wrong, group)


def test_one_that_holds_tells_who_deals_to_whom() -> None:
    attempt, _ = honest()
    proposed = checked(attempt)
    assert (proposed.members, proposed.dealers) == ((1, 2, 3), (1, 2))
    assert proposed.newcomers is not None
    assert proposed.newcomers.resharing == attempt.resharing()
    keys = tuple(point(drawn("new v", k)) for k in attempt.places)
    assert proposed.newcomers.delivery_keys == keys
    assert proposed.before == attempt.ceremony.roster


def test_a_proposal_reads_back_with_its_hellos() -> None:
    payload = honest()[0].propose_payload()
    read = Propose.from_bytes(payload, 3)
    assert read.hellos == tuple(honest()[0].hellos())
    assert read.to_bytes() == payload
    with pytest.raises(BadEncoding, match="to nobody"):
        Propose.from_bytes(Refresh().propose_payload() + u16be(0), 3)
    with pytest.raises(BadEncoding):
        Propose.from_bytes(payload + b"x", 3)


class Missing(Reshare):
    def hellos(self) -> list[bytes]:
        return super().hellos()[:-1]


class Spare(Reshare):
    def hellos(self) -> list[bytes]:
        return [*super().hellos(), self.hello(1)]


class Swapped(Reshare):
    def hellos(self) -> list[bytes]:
        one, two, *rest = super().hellos()
        return [two, one, *rest]


class Foreign(Reshare):
    """The HELLO' of new holder 3 is somebody else's."""

    def identity(self, index: int) -> SoftwareKey:
        return FORGED if index == FIRST_NEW_HOLDER + 3 else super().identity(index)


class OfAnotherAttempt(Reshare):
    def hello(self, k: int) -> bytes:
        if k != 3:
            return super().hello(k)
        later = Reshare()
        later.counter += 1
        return later.hello(k)


class OfAnotherKind(Reshare):
    def hello(self, k: int) -> bytes:
        payload = self.greeting(k).to_bytes()
        return self.said(NEW_ACK, FIRST_NEW_HOLDER + k, payload) if k == 3 else super().hello(k)


class AsOldOne(Reshare):
    """Holder 1 says it under its old number."""

    def hello(self, k: int) -> bytes:
        if k != 1:
            return super().hello(k)
        return self.said(NEW_HELLO, 1, self.greeting(k).to_bytes())


class SameKey(Reshare):
    def greeting(self, k: int) -> NewHello:
        return replace(super().greeting(k), delivery_key=super().greeting(min(k, 3)).delivery_key)


class OtherPredecessor(Reshare):
    def in_force(self) -> Roster:
        return replace(super().in_force(), lab=True)


class OtherVersion(Reshare):
    @cached_property
    def roster(self) -> Roster:
        return replace(super().roster, version=3)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (Missing, "3 hellos of 4 new holders"),
        (Spare, "5 hellos of 4 new holders"),
        (Swapped, None),
        (Foreign, None),
        (OfAnotherAttempt, "another session"),
        (OfAnotherKind, "a ACK where a HELLO is expected"),
        (AsOldOne, None),
        (SameKey, "two new holders have one delivery key"),
        (OtherPredecessor, "does not follow"),
        (OtherVersion, "does not follow"),
    ],
)
def test_a_proposal_that_is_wrong_in_one_place_does_not_hold(
    wrong: type[Reshare], error: str | None
) -> None:
    refusal = proposal_refused(wrong())
    assert error is None or error in refusal
    refusal_of(wrong())


def test_where_nothing_is_shared_anew_nobody_is_greeted() -> None:
    """In a refresh, and where an adoption is carried on."""

    class CarriedOn(Reshare):
        def adoption(self, index: int) -> bytes:
            named = b"h" * 32 + hashlib.sha256(b"its certificate").digest()
            return u8(1) + replace(self.attempt(), counter=7).to_bytes() + named

        def choice(self) -> bytes:
            return u8(1) + b"h" * 32

        def certificates(self) -> list[bytes]:
            return [b"its certificate"]

    attempt, _ = honest()
    with pytest.raises(BadInput, match="nothing is shared anew"):
        check_propose(attempt.proposed(), attempt.first, attempt.keys)
    assert "nothing is shared anew" in proposal_refused(CarriedOn())

    class Silent(CarriedOn):
        def propose_payload(self) -> bytes:
            return Refresh.propose_payload(self)

    proposed = checked(Silent())
    assert (proposed.newcomers, proposed.dealers) == (None, (1, 2, 3))


# CERT


def test_the_bytes_of_a_certificate() -> None:
    """M6 of section 6.3 for kind 2, written out."""
    attempt, certificate = honest()
    acks = [attempt.acknowledgement(index) for index in (1, 2, 3)]
    acks += [attempt.new_acknowledgement(k) for k in (1, 2, 3, 4)]
    assert certificate.to_bytes() == (
        lv32(attempt.body().to_bytes())
        + lv32(attempt.propose())
        + lv32(attempt.roster.to_bytes())
        + attempt.first.terms.sizes.to_bytes()
        + b"".join(hashlib.sha256(deal).digest() for deal in attempt.deals())
        + b"".join(ack.kek_digest + ack.blob_digest + lv16(ack.signature) for ack in acks)
    )
    encoded = certificate.to_bytes()
    assert SuccessorCertificate.from_bytes(encoded) == certificate
    for wrong in (encoded[:-1], encoded + b"x"):
        with pytest.raises(BadEncoding):
            SuccessorCertificate.from_bytes(wrong)


def test_one_that_holds_verifies_from_the_epoch_before_and_from_the_first() -> None:
    attempt, certificate = honest()
    assert certificate.verify(attempt.first, attempt.keys).dealers == (1, 2)
    assert certificate.resharing == attempt.resharing()
    assert verify_newest(certificate, attempt.first, of(certificate)).members == (1, 2, 3)


def test_the_relay_puts_the_same_certificate_together() -> None:
    attempt, certificate = honest()
    acks = [attempt.ack(index) for index in attempt.members]
    new = [attempt.new_ack(k) for k in attempt.places]
    assert assemble(attempt.first, checked(attempt), attempt.deals(), acks, new) == certificate
    other = Reshare()
    other.counter += 1
    with pytest.raises(ProtocolAbort, match="new holder n2 acknowledges another successor"):
        new[3] = other.new_ack(4)
        assemble(attempt.first, checked(attempt), attempt.deals(), acks, new)


class Changed(Reshare):
    """The body is changed, and everybody acknowledges the changed one."""

    def __init__(self, changes: dict[str, Any]) -> None:
        super().__init__()
        self.changes = changes

    def body(self) -> EpochBody:
        return replace(super().body(), **self.changes)


def other_terms(**fields: Any) -> dict[str, Any]:
    return {"terms": replace(honest()[0].terms(), **fields)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (other_terms(policy_hash=b"p" * 32), "terms are other ones"),
        (other_terms(name="other"), "terms are other ones"),
        (other_terms(roster_hash=b"r" * 32), "terms are other ones"),
        ({"transcript_hash": b"t" * 32}, "other messages"),
    ],
)
def test_the_body_says_what_was_agreed(changes: dict[str, Any], reason: str) -> None:
    assert reason in refusal_of(Changed(changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"epoch": 2}, "does not follow"),
        ({"commitments": tuple(point(each) for each in (5, 6, 7))}, "changes the public key"),
    ],
)
def test_the_body_follows_the_epoch_before(changes: dict[str, Any], reason: str) -> None:
    attempt = Changed(changes)
    with pytest.raises(Tampered, match=reason):
        through_bytes(attempt).verify(attempt.first, attempt.keys)


def test_a_client_that_skips_epochs_sees_another_key() -> None:
    certificate = through_bytes(Changed({"commitments": tuple(map(point, (5, 6, 7)))}))
    with pytest.raises(Tampered, match="changes the public key"):
        verify_newest(certificate, honest()[0].first, of(certificate))


def test_no_public_share_of_a_new_holder_is_the_identity() -> None:
    """A'(4) = O: there was no holder 4 before."""
    constant = sum(each[0] for each in honest()[0].ceremony.polynomials)
    linear = -(constant + 16) * pow(4, -1, Q) % Q
    commitments = (honest()[0].first.group_key, point(linear), point(1))
    attempt = Changed({"commitments": commitments})
    with pytest.raises(Tampered, match="holder 4 is the identity"):
        through_bytes(attempt).verify(attempt.first, attempt.keys)


def test_a_resharing_is_no_refresh() -> None:
    attempt = Changed({"kind": EpochKind.REFRESH})
    with pytest.raises(Tampered, match="another kind"):
        attempt.certificate().verify(attempt.first, attempt.keys)


class OtherRoster(Reshare):
    """Its certificate shows other new holders than those that were greeted."""

    def certificate(self) -> SuccessorCertificate:
        members = (*self.roster.members[:3], replace(self.roster.members[3], name="x"))
        new = replace(self.shared_anew(), roster=replace(self.roster, members=members))
        return replace(super().certificate(), shared_anew=new)


class OtherSizes(Reshare):
    """The body is of another quorum among them than its commitments are for."""

    def sizes(self) -> QuorumSizes:
        return QuorumSizes(4, 3, 4, 4)


class FewerHolders(Reshare):
    """Its sizes are of fewer than its roster has."""

    def sizes(self) -> QuorumSizes:
        return QuorumSizes.default(3, 3)


class OtherReplaced(Reshare):
    """It says that another quorum was replaced."""

    def replaced_sizes(self) -> QuorumSizes:
        return QuorumSizes(3, 2, 3, 2)


class OldByAnother(Reshare):
    def acknowledgement(self, index: int) -> Any:
        ack = super().acknowledgement(index)
        other = super().acknowledgement(1)
        return replace(ack, signature=other.signature) if index == 3 else ack


class OldHasShare(Reshare):
    """An old holder acknowledges more than that it has checked, and signs it."""

    def acknowledged_share(self, index: int) -> tuple[bytes, bytes]:
        return (b"k" * 32, NO_SHARE) if index == 3 else super().acknowledged_share(index)


class OldHasBlob(Reshare):
    def acknowledged_share(self, index: int) -> tuple[bytes, bytes]:
        return (NO_SHARE, b"b" * 32) if index == 3 else super().acknowledged_share(index)


class NewByAnother(Reshare):
    def new_acknowledgement(self, k: int) -> Any:
        ack = super().new_acknowledgement(k)
        return replace(ack, signature=super().new_acknowledgement(1).signature) if k == 4 else ack


class NewAsOld(Reshare):
    """Who is in both rosters has signed under its old number only."""

    def new_acknowledgement(self, k: int) -> Any:
        if k != 1:
            return super().new_acknowledgement(k)
        return self._acknowledgement(1, *self.arrived_share(k))


class OtherKek(Reshare):
    """Its share is sealed under another key than it had said."""

    def arrived_share(self, k: int) -> tuple[bytes, bytes]:
        kek, blob = super().arrived_share(k)
        return (b"k" * 32, blob) if k == 4 else (kek, blob)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (OtherRoster, "terms are other ones"),
        (FewerHolders, "sizes for 3 of 4 holders"),
        (OldByAnother, "acknowledgement of holder 3 does not verify"),
        (OldHasShare, "an old holder acknowledges a share"),
        (OldHasBlob, "an old holder acknowledges a share"),
        (NewByAnother, "acknowledgement of new holder n2 does not verify"),
        (NewAsOld, "acknowledgement of new holder h1 does not verify"),
        (OtherKek, "a new holder has another wrapping key"),
    ],
)
def test_a_certificate_that_is_wrong_in_one_place_does_not_hold(
    wrong: type[Reshare], reason: str
) -> None:
    assert reason in refusal_of(wrong())


@pytest.mark.parametrize("missing", ["acknowledgements", "shared_anew"])
def test_every_acknowledgement_is_there(missing: str) -> None:
    _, certificate = honest()
    if missing == "shared_anew":
        assert certificate.shared_anew is not None
        new = certificate.shared_anew
        short: Any = replace(new, acknowledgements=new.acknowledgements[:-1])
    else:
        short = certificate.acknowledgements[:-1]
    with pytest.raises(BadEncoding):
        SuccessorCertificate.from_bytes(replace(certificate, **{missing: short}).to_bytes())


def test_which_quorum_was_replaced_is_known_to_who_has_seen_it() -> None:
    """Who has not, takes it from the certificate, and sees that the wallet began with another."""
    attempt = OtherReplaced()
    certificate = through_bytes(attempt)
    with pytest.raises(Tampered, match="replaces another quorum"):
        certificate.verify(attempt.first, attempt.keys)
    with pytest.raises(Tampered, match="began with other terms"):
        verify_newest(certificate, attempt.first, of(certificate))


# RETIRE


def retirement_refused(retirement: Retirement, attempt: Reshare | None = None) -> str:
    by, certificate = honest() if attempt is None else (attempt, attempt.certificate())
    with pytest.raises((BadInput, InvalidSignature)) as refusal:
        Retirement.from_bytes(retirement.to_bytes()).check(by.first, by.keys, certificate, ())
    return str(refusal.value)


@cache
def retirement() -> Retirement:
    return honest()[0].retirement()


def test_a_retirement_says_that_all_new_holders_have_their_shares() -> None:
    attempt, certificate = honest()
    encoded = retirement().to_bytes()
    listed = [
        u16be(len(part)) + b"".join(map(lv32, part))
        for part in (retirement().dones, retirement().arrivals)
    ]
    assert encoded == u8(2) + listed[0] + listed[1]
    read = Retirement.from_bytes(encoded)
    assert read == retirement()
    retired = read.check(attempt.first, attempt.keys, certificate, ())
    assert (retired.successor, retired.adopters) == (certificate.body.hash, (1, 2, 3))
    with pytest.raises(BadEncoding, match="to nobody"):
        Retirement.from_bytes(u8(2) + listed[0] + u16be(0))
    with pytest.raises(BadEncoding):
        Retirement.from_bytes(encoded + b"x")
    with pytest.raises(BadEncoding, match="unknown form"):
        Retirement.from_bytes(u8(4) + listed[0])
    with pytest.raises(BadEncoding):  # those of form 0 have none
        Retirement.from_bytes(u8(0) + listed[0] + listed[1])


def test_an_arrival_counts_in_whichever_attempt_it_was_said() -> None:
    """It is no vote: the old holders may have adopted in an attempt that carries it on."""
    attempt, certificate = honest()

    class Later(Reshare):
        counter = Reshare.counter + 1

        def body(self) -> EpochBody:
            return attempt.body()

    arrivals = (Later().arrival(1), *retirement().arrivals[1:])
    assert replace(retirement(), arrivals=arrivals).check(
        attempt.first, attempt.keys, certificate, ()
    )


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ((), "0 of 4 new holders"),
        ((1, 2, 3), "3 of 4 new holders"),
        ((1, 2, 3, 4, 4), "5 of 4 new holders"),
        ((1, 2, 3, 3), "not in their order"),
        ((1, 2, 4, 3), "not in their order"),
    ],
)
def test_each_new_holder_says_it_once(chosen: tuple[int, ...], reason: str) -> None:
    arrivals = tuple(honest()[0].arrival(k) for k in chosen)
    assert reason in retirement_refused(replace(retirement(), arrivals=arrivals))


def test_an_arrival_is_of_this_successor_and_its_holder() -> None:
    class Another(Reshare):
        def body(self) -> EpochBody:
            return replace(super().body(), transcript_hash=b"o" * 32)

    attempt, _ = honest()
    payload = parse_envelope(attempt.arrival(4)).payload
    as_old_one = attempt.said(ADOPTION, 3, payload)
    outside = [
        seal_envelope(
            NEW_DONE,
            replace(parse_envelope(attempt.arrival(4)).address, sender=sender),
            payload,
            Key.IDENTITY,
            FORGED.sign,
        ).to_bytes()
        for sender in (FIRST_NEW_HOLDER, FIRST_NEW_HOLDER + 5, 4)
    ]
    forged = seal_envelope(
        NEW_DONE, parse_envelope(attempt.arrival(4)).address, payload, Key.IDENTITY, FORGED.sign
    ).to_bytes()
    other_epoch = seal_envelope(
        NEW_DONE,
        replace(parse_envelope(attempt.arrival(4)).address, epoch_hash=EpochHash(b"e" * 32)),
        payload,
        Key.IDENTITY,
        COMING[1].sign,
    ).to_bytes()
    for wrong, reason in (
        (Another().arrival(4), "a share of another successor"),
        (forged, ""),
        (other_epoch, "another epoch"),
        (as_old_one, ""),
        *((each, "") for each in outside),
    ):
        arrivals = (*retirement().arrivals[:3], wrong)
        assert reason in retirement_refused(replace(retirement(), arrivals=arrivals))


class Foreign4(Reshare):
    def identity(self, index: int) -> SoftwareKey:
        return FORGED if index == FIRST_NEW_HOLDER + 4 else super().identity(index)


def test_an_arrival_is_no_vote() -> None:
    attempt, _ = honest()
    assert not is_vote(attempt.arrival(1))
    assert is_vote(attempt.done(1))
    for dones in ((attempt.done(1), attempt.done(2), attempt.arrival(3)), ()):
        with pytest.raises((BadInput, InvalidSignature)):
            Retirement(dones, retirement().arrivals).check(
                attempt.first, attempt.keys, honest()[1], ()
            )
    few = Retirement(retirement().dones[:2], retirement().arrivals)
    assert "2 holders adopted, 3 are wanted" in retirement_refused(few)


def test_a_refresh_retires_without_arrivals() -> None:
    attempt = Refresh()
    adopted = tuple(attempt.done(index) for index in (1, 2, 3))
    with pytest.raises(BadInput, match="4 of 0 new holders"):
        Retirement(adopted, retirement().arrivals).check(
            attempt.first, attempt.keys, attempt.certificate(), ()
        )


def test_a_retirement_is_for_the_certified_successor() -> None:
    class Another(Reshare):
        def body(self) -> EpochBody:
            return replace(super().body(), transcript_hash=b"o" * 32)

    adopted = tuple(Another().done(index) for index in (1, 2, 3))
    assert "another successor was adopted" in retirement_refused(
        replace(retirement(), dones=adopted)
    )


# The newest DONE of who came by a resharing


def test_the_arrival_of_a_holder_is_its_newest_done() -> None:
    """V_i of the next succession, under the roster that the resharing has made."""
    attempt, certificate = honest()
    keys = of(certificate).newest
    for k in attempt.places:
        done = done_in(attempt.arrival(k), k, certificate.body, keys)
        assert done.delivery_key == attempt.greeting(k).delivery_key
    for index, wrong in ((2, attempt.arrival(3)), (3, attempt.done(3)), (1, Foreign4().arrival(4))):
        with pytest.raises((BadInput, InvalidSignature)):
            done_in(wrong, index, certificate.body, keys)
    with pytest.raises(BadInput, match="is a vote"):  # h1 is the first in both rosters
        done_in(attempt.done(1), 1, certificate.body, keys)
    with pytest.raises(InvalidSignature):
        done_in(Foreign4().arrival(4), 4, certificate.body, keys)
    address = Address(WalletId(b"w" * 16), bytes(32), NOTHING, FIRST_NEW_HOLDER + 4, EVERYBODY)
    payload = parse_envelope(attempt.arrival(4)).payload
    other = seal_envelope(NEW_DONE, address, payload, Key.IDENTITY, COMING[1].sign).to_bytes()
    with pytest.raises(BadInput, match="another wallet"):
        done_in(other, 4, certificate.body, keys)


def test_who_arrives_is_told_by_its_number() -> None:
    attempt, certificate = honest()
    book = attempt.keys.of_new_holders(attempt.roster)
    k, done = arrival_in(attempt.arrival(3), attempt.first, book)
    assert (k, done.epoch_hash) == (3, certificate.body.hash)
    assert isinstance(done, Done)


# The rosters that it leads to


def of(certificate: SuccessorCertificate, *pending: bytes, before: Sequence[bytes] = ()) -> Lineage:
    """Once a resharing has taken place, maybe after amendments that a refresh has carried."""
    carried = [tuple(before)] if before else []
    attempt = honest()[0]
    groups = [*carried, (carried_by(certificate),)]
    return Lineage.of(groups, pending, attempt.terms(), attempt.keys)


def test_a_resharing_makes_roster_and_sizes() -> None:
    attempt, certificate = honest()
    lineage = of(certificate)
    assert [stage.terms for stage in lineage.stages] == [attempt.first.terms, attempt.terms()]
    assert (lineage.newest.roster, lineage.terms) == (attempt.roster, attempt.terms())
    old, new = attempt.ceremony.roster.hash, attempt.roster.hash
    assert lineage.book(old).roster == attempt.ceremony.roster
    assert lineage.in_force(new).roster == attempt.roster
    with pytest.raises(BadInput, match="in force no more"):
        lineage.in_force(old)
    assert lineage.before(certificate) is lineage.stages[0]
    assert (lineage.to_carry(old), lineage.to_carry(new)) == ((), ())
    assert lineage.lost_keys == frozenset()
    coming = {key.public for key in COMING}
    held = {member.key for member in attempt.ceremony.roster.members}
    assert lineage.identity_keys == held | coming
    read = Lineage.from_bytes(lineage.to_bytes(), attempt.terms(), attempt.keys)
    assert (read.carried, read.stages[1].terms) == (lineage.carried, attempt.terms())


def test_holders_of_before_and_after_do_not_speak_for_each_other() -> None:
    """Of before a resharing nobody's place is taken: other holders have other indices."""
    attempt, certificate = honest()
    lineage = of(certificate)
    address = Address(attempt.first.terms.wallet_id, bytes(32), NOTHING, 3, EVERYBODY)
    for key, where in ((attempt.identity(3), 0), (COMING[0], 1)):
        message = seal_envelope(DONE, address, b"said", Key.IDENTITY, key.sign)
        for place, stage in enumerate(lineage.stages):
            book = lineage.since(stage.book.roster.hash)
            if place == where:
                book.verify(message, 0)
            else:
                with pytest.raises(InvalidSignature):
                    book.verify(message, 0)


def test_a_lineage_follows_a_resharing_once() -> None:
    attempt, certificate = honest()
    old = attempt.ceremony.roster.hash
    nothing = Lineage.of((), (), attempt.first.terms, attempt.keys)
    after = nothing.after(old, carried_in(certificate))
    assert after.to_bytes() == of(certificate).to_bytes()
    assert after.after(old, carried_in(certificate)) is after
    assert nothing.merged_with(after.amendments) is nothing  # that, only its certificate says
    assert nothing.voters(old, certificate).roster == attempt.ceremony.roster
    assert changes_in(after.amendments) == {(0, certificate.body.hash, b"")}


@pytest.mark.parametrize(
    "wrong", [Foreign, Swapped, SameKey, OtherKek, OldHasShare, NewByAnother, OtherPredecessor]
)
def test_a_resharing_that_does_not_hold_leads_nowhere(wrong: type[Reshare]) -> None:
    with pytest.raises(BadInput, match="does not hold"):
        of(through_bytes(wrong()))


def test_a_resharing_stands_first_and_alone() -> None:
    """What it carries besides, its PROPOSE says; behind it stands what it has not carried."""
    attempt, certificate = honest()
    source, terms = carried_by(certificate), attempt.terms()
    amendment = Other().made().to_bytes()
    for group in ((amendment, source), (source, source), (source, amendment, source)):
        with pytest.raises(BadInput, match="beside another one"):
            Lineage.of([group], (), terms, attempt.keys)
    with pytest.raises(BadInput):  # and is never pending
        Lineage.of((), (source,), terms, attempt.keys)


def test_what_is_no_resharing_is_refused() -> None:
    source = carried_by(honest()[1])
    assert is_resharing(source)
    assert resharing_in(source)[0] == honest()[1]
    refresh = u8(3) + lv32(Refresh().certificate().to_bytes())
    for wrong in (source[:-1], source + b"x", u8(1) + source[1:], refresh):
        with pytest.raises(BadEncoding):
            resharing_in(wrong)


def test_who_did_not_come_from_a_known_roster_is_not_believed() -> None:
    attempt, certificate = honest()
    nothing = Lineage.of((), (), attempt.first.terms, attempt.keys)
    with pytest.raises(BadInput, match="did not come from the pinned one"):
        nothing.book(attempt.roster.hash)
    lineage, other = of(certificate), through_bytes(OtherPredecessor())
    with pytest.raises(BadInput, match="did not come from the pinned one"):
        lineage.before(other)
    with pytest.raises(Tampered, match="did not come from the pinned one"):
        verify_newest(other, attempt.first, lineage)


# Amendments beside it


class Amended(Reshare):
    """Holder 3 has lost its HSM before: the attempt carries that, and it has its new key."""

    @cached_property
    def amendment(self) -> bytes:
        return Amending(new=LOST_AND_NEW).made().to_bytes()

    def identity(self, index: int) -> SoftwareKey:
        return LOST_AND_NEW if index == 3 else super().identity(index)

    def amendments(self) -> list[bytes]:
        return [self.amendment]

    def in_force(self) -> Roster:
        return self.ceremony.roster.with_key(3, LOST_AND_NEW.public)

    def newcomers(self) -> list[tuple[str, SoftwareKey]]:
        one, _, *rest = super().newcomers()
        return [one, ("h3", LOST_AND_NEW), *rest]


LOST_AND_NEW = p256_key(501)


class FromUnamended(Amended):
    """Its new roster follows the one that the amendment has changed."""

    def in_force(self) -> Roster:
        return self.ceremony.roster


class LostKey(Amended):
    """The lost key of holder 3 gets a share, under another name."""

    def newcomers(self) -> list[tuple[str, SoftwareKey]]:
        *rest, _ = super().newcomers()
        return [*rest, ("n2", self.ceremony.identity(3))]


def test_a_resharing_carries_amendments() -> None:
    attempt = Amended()
    certificate = through_bytes(attempt)
    proposed = certificate.verify(attempt.first, attempt.keys)
    assert proposed.keys.roster == attempt.in_force()
    assert certificate.amendments == (attempt.amendment,)
    lineage = of(certificate)
    assert lineage.newest.roster == attempt.roster
    assert lineage.carried == ((carried_by(certificate),),)
    assert lineage.before(certificate) is lineage.stages[0]
    assert lineage.lost_keys == {attempt.ceremony.identity(3).public}
    pending = Lineage.of((), (attempt.amendment,), attempt.first.terms, attempt.keys)
    old = attempt.ceremony.roster.hash
    assert pending.after(old, carried_in(certificate)).to_bytes() == lineage.to_bytes()
    assert lineage.with_pending(attempt.amendment) is lineage
    assert changes_in(lineage.amendments) > changes_in([attempt.amendment])
    nothing = Lineage.of((), (), attempt.first.terms, attempt.keys)
    for known in (nothing, lineage):  # also for who has not heard of it before
        keys = known.voters(old, certificate)
        attempt.retirement().check(attempt.first, keys, certificate, ())
    assert lineage.to_carry(old) == (attempt.amendment,)
    assert lineage.identity_keys >= {LOST_AND_NEW.public, attempt.ceremony.identity(3).public}
    with pytest.raises(InvalidSignature):
        attempt.retirement().check(attempt.first, attempt.keys, certificate, ())


def test_who_was_repaired_meanwhile_speaks_for_the_epoch_that_was_replaced() -> None:
    """The certificate has not carried it; the new roster it does not amend: h3 is the second there,
    and the third is another one.
    """
    attempt, certificate = honest()
    amendment, old = Amending(new=LOST_AND_NEW).made().to_bytes(), attempt.ceremony.roster.hash
    known = Lineage.of((), (amendment,), attempt.first.terms, attempt.keys)
    lineage = known.after(old, carried_in(certificate))
    assert (lineage.carried, lineage.pending) == (((carried_by(certificate), amendment),), ())
    assert lineage.newest.roster == attempt.roster
    assert (lineage.to_carry(old), lineage.lost_since(old)) == ((amendment,), (3,))
    assert lineage.lost_keys == {attempt.ceremony.identity(3).public}
    assert LOST_AND_NEW.public in lineage.identity_keys
    assert lineage.after(old, carried_in(certificate)) is lineage
    assert of(certificate).merged_with(lineage.amendments).to_bytes() == lineage.to_bytes()
    assert lineage.merged_with([amendment]) is lineage
    read = Lineage.from_bytes(lineage.to_bytes(), attempt.first.terms, attempt.keys)
    assert (read.carried, read.to_bytes()) == (lineage.carried, lineage.to_bytes())
    address = Address(attempt.first.terms.wallet_id, bytes(32), NOTHING, 3, EVERYBODY)
    message = seal_envelope(DONE, address, b"said", Key.IDENTITY, LOST_AND_NEW.sign)
    read.voters(old, certificate).verify(message, 0)
    for book in (read.since(attempt.roster.hash), of(certificate).voters(old, certificate)):
        with pytest.raises(InvalidSignature):
            book.verify(message, 0)


def test_it_amends_the_new_roster_too_where_it_holds_there() -> None:
    """Holder 1 is the first in both."""
    attempt, certificate = honest()
    old_key, old = attempt.ceremony.identity(1), attempt.ceremony.roster.hash
    rotation = rotated(old_key, LOST_AND_NEW, 1).to_bytes()
    known = Lineage.of((), (rotation,), attempt.first.terms, attempt.keys)
    lineage = known.after(old, carried_in(certificate))
    assert lineage.carried == ((carried_by(certificate), rotation),)
    assert (lineage.pending, lineage.newest.roster.member(1).key) == (
        (rotation,),
        LOST_AND_NEW.public,
    )
    assert of(certificate).with_pending(rotation).to_bytes() == lineage.to_bytes()
    followed = lineage.after(attempt.roster.hash, lineage.pending)
    assert followed.carried == (*lineage.carried, (rotation,))
    back = rotated(LOST_AND_NEW, old_key, 1).to_bytes()
    with pytest.raises(BadInput, match="has that key, or had it"):
        lineage.with_pending(back)


def test_what_stands_beside_a_resharing_amends_the_roster_that_it_replaces() -> None:
    attempt, certificate = honest()
    source, good = carried_by(certificate), Amending(new=LOST_AND_NEW).made().to_bytes()
    rival, taken = Amending(new=FORGED), Amending(new=COMING[0])
    unsigned = Amending(new=LOST_AND_NEW)
    unsigned.keys = {1: FORGED}
    for wrong in ([good, good], *([each.made().to_bytes()] for each in (taken, unsigned))):
        with pytest.raises((BadInput, InvalidSignature)):
            Lineage.of([(source, *wrong)], (), attempt.terms(), attempt.keys)
    with pytest.raises(BadInput, match="two replace one"):
        of(certificate).with_pending(good).with_pending(rival.made().to_bytes())
    carrying = Amended()
    with pytest.raises(BadInput, match="has that key, or had it"):
        group = (carried_by(through_bytes(carrying)), carrying.amendment)
        Lineage.of([group], (), attempt.terms(), attempt.keys)


def test_a_seat_whose_key_was_replaced_meanwhile_may_stay_and_never_come_back() -> None:
    """h3 has it in the new roster, till it is repaired there."""
    attempt, certificate = honest()
    lineage = of(certificate).with_pending(Amending(new=LOST_AND_NEW).made().to_bytes())
    seat, fresh = attempt.ceremony.identity(3), p256_key(778)
    gone = rotated(seat, fresh, 2, epoch_hash=certificate.body.hash).to_bytes()
    assert lineage.with_pending(gone).newest.roster.member(2).key == fresh.public
    back = rotated(seat, LOST_AND_NEW, 2, epoch_hash=certificate.body.hash).to_bytes()
    with pytest.raises(BadInput, match="has that key, or had it"):
        lineage.with_pending(back)


def test_the_new_roster_follows_the_one_in_force() -> None:
    assert "does not follow" in proposal_refused(FromUnamended())
    refusal_of(FromUnamended())


def test_an_amendment_that_a_refresh_has_carried_stays_before_the_resharing() -> None:
    class Later(Amended):
        """It is carried already: the epoch before names what it has made."""

        def amendments(self) -> list[bytes]:
            return []

        @cached_property
        def first(self) -> EpochBody:
            body = self.ceremony.body()
            return replace(body, terms=replace(body.terms, roster_hash=self.in_force().hash))

        @cached_property
        def keys(self) -> KeyBook:
            return KeyBook(self.in_force(), {COORDINATOR: self.coordinator().public})

        def done_of_first(self, index: int) -> bytes:
            done = replace(self.ceremony.done(index), epoch_hash=self.first.hash)
            return self.said(ADOPTION, index, done.to_bytes())

    attempt = Later()
    certificate = through_bytes(attempt)
    certificate.verify(attempt.first, attempt.keys)
    lineage = of(certificate, before=[attempt.amendment])
    assert [stage.book.roster.version for stage in lineage.stages] == [1, 2, 3]
    assert lineage.before(certificate) is lineage.stages[1]
    assert lineage.to_carry(attempt.ceremony.roster.hash) == (attempt.amendment,)
    assert lineage.newest.roster == attempt.roster


def test_a_lost_key_gets_no_share() -> None:
    """Of a lost HSM, somebody else may have found it."""
    with pytest.raises(BadInput, match="a key that was replaced"):
        of(through_bytes(LostKey()))
    amendment = Amending().made().to_bytes()
    with pytest.raises(BadInput, match="a key that was replaced"):  # carried by a refresh before
        of(honest()[1], before=[amendment])


def test_after_a_resharing_no_key_comes_back_by_repair() -> None:
    """Of a holder of before, or one that came."""
    attempt, certificate = honest()

    fresh = After(attempt.roster, p256_key(777)).made().to_bytes()
    lineage = of(certificate, fresh)
    assert lineage.newest.roster.member(2).key == p256_key(777).public
    assert lineage.to_carry(attempt.roster.hash) == (fresh,)
    assert lineage.to_carry(attempt.ceremony.roster.hash) == ()
    for known in (attempt.ceremony.identity(2), COMING[0]):
        back = After(attempt.roster, known).made().to_bytes()
        with pytest.raises(BadInput, match="has that key, or had it"):
            of(certificate, back)


class After(Amending):
    """A holder of the new roster has another HSM."""

    def __init__(self, roster: Roster, new: SoftwareKey, lost: int = 2) -> None:
        super().__init__(roster, new)
        self.lost = lost
        self.helpers = tuple(k for k in (1, 2, 3, 4) if k != lost)
        self.keys = {k: key for k, (_, key) in enumerate(honest()[0].newcomers(), 1)}


def test_a_key_that_came_and_was_lost_does_not_come_back() -> None:
    """A refresh has carried that since: the roster in force has forgotten it."""
    attempt, certificate = honest()
    newer = p256_key(778)
    lost = After(attempt.roster, newer, lost=3)
    back = After(attempt.roster.with_key(3, newer.public), COMING[0])
    back.keys[3] = newer
    groups = [[carried_by(certificate)], [lost.made().to_bytes()]]
    assert Lineage.of(groups, (), attempt.terms(), attempt.keys).newest.roster.version == 3
    with pytest.raises(BadInput, match="has that key, or had it"):
        Lineage.of(groups, [back.made().to_bytes()], attempt.terms(), attempt.keys)


# A first roster that is not all of the pinned one


@cache
def pinned() -> Roster:
    members = honest()[0].ceremony.roster.members
    more = [replace(members[0], name=f"x{k}", key=p256_key(600 + k).public) for k in (1, 2)]
    return Roster(False, 4, b"p" * 32, (more[0], *members, more[1]))


def under_pinned(roster: Roster | None = None) -> KeyBook:
    return KeyBook(roster or pinned(), {COORDINATOR: honest()[0].coordinator().public})


def of_some(first: Roster, certificate: SuccessorCertificate | None = None) -> bytes:
    groups = [] if certificate is None else [bundle([carried_by(certificate)])]
    return bundle([bundle([first_of(first)]), *groups, bundle([])])


def test_a_wallet_may_begin_with_some_of_the_pinned_holders() -> None:
    attempt, certificate = honest()
    first, terms = attempt.ceremony.roster, attempt.first.terms
    lineage = Lineage.of((), (), terms, under_pinned().under(first))
    assert lineage.to_bytes() == of_some(first)
    read = Lineage.from_bytes(lineage.to_bytes(), terms, under_pinned())
    assert (read.newest.roster, read.stages[0].terms) == (first, terms)
    assert read.newest.pinned == pinned()
    assert lost_keys_in(lineage.to_bytes()) == frozenset()
    after = read.after(first.hash, carried_in(certificate))
    assert after.to_bytes() == of_some(first, certificate)
    again = Lineage.from_bytes(after.to_bytes(), attempt.terms(), under_pinned())
    assert (again.newest.roster, len(again.stages)) == (attempt.roster, 2)
    assert verify_newest(certificate, attempt.first, again)
    of_all = Lineage.of((), (), terms, honest()[0].keys)
    assert of_all.to_bytes() == b""


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, members=r.members[::-1]),
        lambda r: replace(r, members=(*r.members[:2], replace(r.members[2], name="h9"))),
        lambda r: replace(r, members=(*r.members[:2], replace(r.members[2], key=FORGED.public))),
        lambda r: replace(r, lab=True),
        lambda r: replace(r, version=2, predecessor=b"p" * 32),
    ],
)
def test_it_begins_with_none_but_those_in_their_order(change: Callable[[Roster], Roster]) -> None:
    first = change(honest()[0].ceremony.roster)
    with pytest.raises(BadInput):
        Lineage.from_bytes(of_some(first), honest()[0].first.terms, under_pinned())


def test_what_is_no_first_roster_is_something_else() -> None:
    first = honest()[0].ceremony.roster
    assert first_in(first_of(first)) == first
    assert first_in(carried_by(honest()[1])) is None
    for wrong in (first_of(first)[:-1], first_of(first) + b"x"):
        with pytest.raises(BadEncoding):
            first_in(wrong)
    with pytest.raises(BadInput):  # it comes first, and alone
        Lineage.from_bytes(
            bundle([bundle([first_of(first), first_of(first)]), bundle([])]),
            honest()[0].first.terms,
            under_pinned(),
        )
    with pytest.raises(BadInput):
        Lineage.from_bytes(
            bundle([bundle([first_of(first)]), bundle([first_of(first)]), bundle([])]),
            honest()[0].first.terms,
            under_pinned(),
        )


def test_a_roster_of_all_is_the_pinned_one() -> None:
    """Of all of them there is no second one, by another number."""
    everybody = replace(pinned(), version=1, predecessor=FIRST_PREDECESSOR)
    with pytest.raises(BadInput):
        Lineage.from_bytes(of_some(everybody), honest()[0].first.terms, under_pinned())


# What a client believes


def shown(attempt: Reshare, lineage: bytes, **changes: Any) -> VerifiedWallet:
    certificate = attempt.certificate()
    arrivals = tuple(attempt.arrival(k) for k in attempt.places)
    succession = ShownSuccession(
        certificate.to_bytes(),
        (*(attempt.done(index) for index in (1, 2, 3)), *arrivals),
        attempt.retirement().to_bytes(),
        tuple(attempt.destroyed(index) for index in (1, 3)),
    )
    return verified(
        Shown(
            attempt.ceremony.certificate().to_bytes(),
            tuple(attempt.dones()),
            (),
            replace(succession, **changes),
            lineage,
        ),
        under_pinned(),
        attempt.counter,
    )


def test_a_client_sees_who_signs_now_and_who_is_waited_for() -> None:
    attempt, certificate = honest()
    lineage = of_some(attempt.ceremony.roster, certificate)
    wallet = shown(attempt, lineage)
    assert (wallet.roster, wallet.threshold) == (attempt.roster, 3)
    assert wallet.newest is not None
    assert (wallet.newest.retired, wallet.newest.waiting_for) == (True, (2,))
    assert (wallet.newest.before, wallet.newest.threshold_before) == (attempt.ceremony.roster, 2)
    assert wallet.end.waiting_for == (1, 2, 3, 4)
    assert wallet.newest.replaced == ()
    known = Lineage.from_bytes(lineage, attempt.first.terms, under_pinned())
    told = known.with_pending(Amending(new=LOST_AND_NEW).made().to_bytes()).to_bytes()
    newest = shown(attempt, told).newest
    assert newest is not None
    assert newest.replaced == (3,)  # it was repaired after h' was certified


def test_a_client_believes_no_resharing_that_is_not_decided() -> None:
    """A quorum of old holders has adopted it; only the retirement says that new ones sign."""
    attempt, certificate = honest()
    lineage = of_some(attempt.ceremony.roster, certificate)
    with pytest.raises(Tampered, match="no quorum has adopted"):
        shown(attempt, lineage, retirement=b"", destroyed=())
    few = Retirement(retirement().dones, retirement().arrivals[:3])
    with pytest.raises(Tampered, match="3 of 4 new holders"):
        shown(attempt, lineage, retirement=few.to_bytes())


def test_a_client_takes_the_first_terms_from_the_first_certificate() -> None:
    attempt = OtherReplaced()
    lineage = of_some(attempt.ceremony.roster, attempt.certificate())
    with pytest.raises(Tampered, match="began with other terms"):
        shown(attempt, lineage)
    certificate, dones = attempt.ceremony.certificate().to_bytes(), tuple(attempt.dones())
    with pytest.raises(Tampered, match="began with other terms"):  # whoever says it is destroyed
        verified_end(Shown(certificate, dones, (), None, lineage), under_pinned())
    with pytest.raises(Tampered, match="began with other terms"):
        verified_history(Chain(certificate, dones, (), lineage), under_pinned(), 0)


def test_a_client_is_shown_a_wallet_of_the_roster_in_force() -> None:
    """Its first epoch ends with the resharing."""
    attempt, certificate = honest()
    lineage = of_some(attempt.ceremony.roster, certificate)
    with pytest.raises(Tampered, match="in force no more"):
        verified(
            Shown(
                attempt.ceremony.certificate().to_bytes(),
                tuple(attempt.dones()),
                (),
                None,
                lineage,
            ),
            under_pinned(),
            attempt.counter,
        )


def test_a_roster_that_follows_no_other_is_refused_by_its_rule() -> None:
    attempt, _ = honest()
    with pytest.raises(Refused) as refused:
        attempt.ceremony.roster.check_succeeds(attempt.roster)
    assert refused.value.rule == "roster-predecessor"
