"""The certificate of a refreshed epoch, and what holders say of it (steps 6.5.4 and 6.5.7)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.encoding import lv16, lv32, u8, u16be
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, ProtocolAbort, Tampered
from hsm_mpc.ids import EpochHash
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.succession.assembling import assemble
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.newest import verify_newest
from hsm_mpc.succession.propose import check_propose
from hsm_mpc.succession.retirement import Retirement, adoption_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.rounds import ADOPTION, DESTROYED, JOIN
from tests.certificates.ceremony import Q, drawn, point
from tests.software_identity import SoftwareKey, p256_key
from tests.succession.making import COORDINATOR, Refresh


@cache
def honest() -> tuple[Refresh, SuccessorCertificate]:
    attempt = Refresh()
    return attempt, attempt.certificate()


def lineage(attempt: Refresh) -> Lineage:
    """Of a roster that nothing has amended."""
    return Lineage.of((), (), attempt.first.terms, attempt.keys)


def refusal_of(attempt: Refresh) -> str:
    """What a verifier says; the certificate goes through its bytes, as it would in earnest."""
    certificate = SuccessorCertificate.from_bytes(attempt.certificate().to_bytes())
    with pytest.raises(Tampered) as refusal:
        certificate.verify(attempt.first, attempt.keys)
    return str(refusal.value)


def test_the_bytes_are_those_of_the_specification() -> None:
    """M6 of section 6.3, written out."""
    attempt, certificate = honest()
    acks = [attempt.acknowledgement(index) for index in (1, 2)]
    assert certificate.to_bytes() == (
        lv32(attempt.body().to_bytes())
        + lv32(attempt.propose())
        + b"".join(hashlib.sha256(deal).digest() for deal in attempt.deals())
        + b"".join(ack.kek_digest + ack.blob_digest + lv16(ack.signature) for ack in acks)
    )
    assert SuccessorCertificate.from_bytes(certificate.to_bytes()) == certificate
    assert certificate.digest == hashlib.sha256(certificate.to_bytes()).digest()


def test_one_that_holds_verifies_from_the_epoch_before_and_from_the_first() -> None:
    attempt, certificate = honest()
    assert certificate.verify(attempt.first, attempt.keys).members == (1, 2)
    verify_newest(certificate, attempt.first, lineage(attempt))


def test_the_relay_puts_the_same_certificate_together() -> None:
    attempt, certificate = honest()
    proposed = check_propose(attempt.proposed(), attempt.first, attempt.keys)
    acks = [attempt.ack(index) for index in (1, 2)]
    assert assemble(attempt.first, proposed, attempt.deals(), acks) == certificate


def test_acknowledgements_of_something_else_make_no_certificate() -> None:
    attempt, _ = honest()
    proposed = check_propose(attempt.proposed(), attempt.first, attempt.keys)
    other = Refresh()
    other.counter += 1
    with pytest.raises(ProtocolAbort, match="holder 2 acknowledges another successor"):
        assemble(attempt.first, proposed, attempt.deals(), [attempt.ack(1), other.ack(2)])


def test_dealings_that_cancel_out_a_coefficient_make_no_certificate() -> None:
    """A'_1 = A_1 + C_{1,1} + C_{2,1} = O: the last dealer saw the others' commitments."""

    class Cancelling(Refresh):
        def dealt(self, index: int) -> bytes:
            if index == 1:
                return super().dealt(1)
            linear = sum(each[1] for each in self.ceremony.polynomials)
            return point(-(linear + drawn("b", 1)) % Q)

    attempt = Cancelling()
    proposed = check_propose(attempt.proposed(), attempt.first, attempt.keys)
    with pytest.raises(ProtocolAbort, match="coefficient 1 is the identity"):
        assemble(attempt.first, proposed, attempt.deals(), [])


@pytest.mark.parametrize("cut", [b"", b"x"])
def test_bytes_missing_or_left_over_are_refused(cut: bytes) -> None:
    encoded = honest()[1].to_bytes()
    with pytest.raises(BadEncoding):
        SuccessorCertificate.from_bytes(encoded + cut if cut else encoded[:-1])


# The body


class Changed(Refresh):
    """The body is changed, and everybody acknowledges the changed one."""

    def __init__(self, changes: dict[str, Any]) -> None:
        super().__init__()
        self.changes = changes

    def body(self) -> EpochBody:
        return replace(super().body(), **self.changes)


def other_terms(**fields: Any) -> WalletTerms:
    return replace(honest()[0].first.terms, **fields)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"epoch": 2}, "does not follow"),
        ({"prev_hash": EpochHash(b"p" * 32)}, "does not follow"),
        ({"transcript_hash": b"t" * 32}, "other messages"),
        ({"terms": other_terms(policy_hash=b"p" * 32)}, "terms are other ones"),
        ({"terms": other_terms(name="other")}, "terms are other ones"),
        ({"terms": other_terms(sizes=QuorumSizes(3, 2, 3, 3))}, "another quorum"),
    ],
)
def test_the_body_follows_the_epoch_before(changes: dict[str, Any], reason: str) -> None:
    attempt = Changed(changes)
    assert reason in refusal_of(attempt)


def test_a_refresh_is_no_resharing() -> None:
    attempt = Changed({"kind": EpochKind.RESHARE})
    with pytest.raises(BadEncoding):  # of which the certificate has more
        SuccessorCertificate.from_bytes(attempt.certificate().to_bytes())
    with pytest.raises(Tampered, match="another kind"):
        attempt.certificate().verify(attempt.first, attempt.keys)


def test_the_public_key_stays() -> None:
    attempt = Changed({"commitments": (point(5), point(6))})
    assert "changes the public key" in refusal_of(attempt)
    certificate = attempt.certificate()
    with pytest.raises(Tampered, match="changes the public key"):
        verify_newest(certificate, attempt.first, lineage(attempt))


def test_no_public_share_is_the_identity() -> None:
    """A'(2) = O: A_1 = −A_0/2."""
    first, _ = honest()
    constant = sum(each[0] for each in first.ceremony.polynomials)
    linear = point(-constant * pow(2, -1, Q) % Q)
    attempt = Changed({"commitments": (first.first.group_key, linear)})
    assert "holder 2 is the identity" in refusal_of(attempt)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"transcript_hash": b"t" * 32}, "other messages"),
        ({"kind": EpochKind.RESHARE}, "another kind"),
        ({"terms": other_terms(policy_hash=b"p" * 32)}, "terms are other ones"),
    ],
)
def test_a_client_sees_the_same_key_terms_and_messages(
    changes: dict[str, Any], reason: str
) -> None:
    attempt = Changed(changes)
    with pytest.raises(Tampered, match=reason):
        verify_newest(attempt.certificate(), attempt.first, lineage(attempt))


def test_the_roster_is_the_pinned_one() -> None:
    attempt, certificate = honest()
    members = (*attempt.ceremony.roster.members[:2], Member("h3", p256_key(77).public))
    keys = KeyBook(Roster(False, 1, FIRST_PREDECESSOR, members), {})
    with pytest.raises(Tampered, match="another roster"):
        certificate.verify(attempt.first, keys)


# Its messages


def test_a_proposal_that_does_not_hold_makes_no_certificate() -> None:
    class Alone(Refresh):
        members = (1,)

    assert "1 holders joined" in refusal_of(Alone())


def test_an_attempt_that_carries_on_makes_nothing_new() -> None:
    class CarryingOn(Refresh):
        def adoption(self, index: int) -> bytes:
            adopted = Attempt(1, COORDINATOR).to_bytes() + b"h" * 32
            return u8(1) + adopted + hashlib.sha256(b"").digest()

        def certificates(self) -> list[bytes]:
            return [b""]

        def choice(self) -> bytes:
            return u8(1) + b"h" * 32

    assert "made nothing new" in refusal_of(CarryingOn())


def test_other_dealings_than_the_body_names_are_refused() -> None:
    attempt, certificate = honest()
    forged = replace(certificate, deal_digests=(b"d" * 32, certificate.deal_digests[1]))
    with pytest.raises(Tampered, match="names other messages"):
        forged.verify(attempt.first, attempt.keys)


def test_every_member_has_acknowledged() -> None:
    class Forged(Refresh):
        def acknowledgement(self, index: int) -> Acknowledgement:
            ack = super().acknowledgement(index)
            if index == 1:
                return ack
            message = self.body().hash + u16be(index) + ack.kek_digest + ack.blob_digest
            return replace(ack, signature=p256_key(99).sign(Tag.ACK, message))

    assert "acknowledgement of holder 2" in refusal_of(Forged())
    with pytest.raises(Tampered, match="acknowledgement of holder 2"):
        verify_newest(Forged().certificate(), Forged().first, lineage(Forged()))


# DONE and RETIRE


def test_a_retirement_tells_what_it_is_for() -> None:
    attempt, certificate = honest()
    retirement = Retirement(tuple(attempt.done(index) for index in (1, 2, 3)))
    retired = Retirement.from_bytes(retirement.to_bytes()).check(
        attempt.first, attempt.keys, certificate, ()
    )
    assert (retired.attempt, retired.successor) == (attempt.attempt(), certificate.body.hash)
    assert retired.adopters == (1, 2, 3)


def retirement_refused(dones: list[bytes]) -> str:
    attempt, certificate = honest()
    with pytest.raises((BadInput, InvalidSignature)) as refusal:
        Retirement(tuple(dones)).check(attempt.first, attempt.keys, certificate, ())
    return str(refusal.value)


def test_fewer_than_adoption_size_retire_nothing() -> None:
    """W = 3 of 2-of-3."""
    attempt, _ = honest()
    assert "2 holders adopted, 3 are wanted" in retirement_refused(
        [attempt.done(index) for index in (1, 2)]
    )


def test_nobody_is_counted_twice() -> None:
    attempt, _ = honest()
    for indices in ((1, 2, 2), (1, 3, 2)):
        assert "ascending" in retirement_refused([attempt.done(index) for index in indices])


def test_all_adopt_the_same_in_the_same_attempt() -> None:
    attempt, later = honest()[0], Refresh()
    later.counter += 1
    assert "same successor in the same attempt" in retirement_refused(
        [attempt.done(1), attempt.done(2), later.done(3)]
    )

    class Another(Refresh):
        def body(self) -> EpochBody:
            return replace(super().body(), transcript_hash=b"o" * 32)

    assert "same successor in the same attempt" in retirement_refused(
        [attempt.done(1), attempt.done(2), Another().done(3)]
    )


def test_an_adoption_is_signed_by_its_holder_for_this_epoch() -> None:
    class Forged(Refresh):
        def identity(self, index: int) -> SoftwareKey:
            return p256_key(99)

    class OtherEpoch(Refresh):
        def replaced(self) -> EpochHash:
            return EpochHash(b"e" * 32)

    attempt, _ = honest()
    for wrong in (Forged(), OtherEpoch()):
        with pytest.raises((BadInput, InvalidSignature)):
            adoption_in(wrong.done(3), attempt.first, attempt.keys)
    with pytest.raises(BadInput):
        adoption_in(
            attempt.said(JOIN, 3, attempt.adopted(3).to_bytes()), attempt.first, attempt.keys
        )
    outside = attempt.adopted(3).to_bytes()
    with pytest.raises(BadInput):
        adoption_in(attempt.said(ADOPTION, 4, outside), attempt.first, attempt.keys)


def test_an_unknown_form_of_retirement_is_refused() -> None:
    with pytest.raises(BadEncoding, match="unknown form"):
        Retirement.from_bytes(u8(4) + u16be(0))
    with pytest.raises(BadEncoding):
        Retirement.from_bytes(u8(0) + u16be(0) + b"x")


def test_what_a_retirement_is_for_is_told_by_its_first_done() -> None:
    attempt, certificate = honest()
    assert Retirement((attempt.done(1),)).successor_in(attempt.first) == certificate.body.hash
    with pytest.raises(BadInput, match="nobody has adopted"):
        Retirement(()).successor_in(attempt.first)


# DESTROYED


def test_a_destruction_is_told_by_its_holder_about_this_epoch() -> None:
    attempt, certificate = honest()
    destroyed = destroyed_in(attempt.destroyed(2), attempt.first, attempt.keys)
    assert destroyed.successor == certificate.body.hash
    assert destroyed.kek_digest == attempt.ceremony.kek_digests[1]
    assert destroyed.at == attempt.counter + 60
    assert destroyed.to_bytes() == attempt.destroyed_payload(2)

    class OtherEpoch(Refresh):
        def destroyed_payload(self, index: int) -> bytes:
            payload = super().destroyed_payload(index)
            return payload[:10] + b"e" * 32 + payload[42:]

    with pytest.raises(BadInput, match="another epoch than its header"):
        destroyed_in(OtherEpoch().destroyed(2), attempt.first, attempt.keys)
    message = attempt.destroyed(2)
    with pytest.raises(InvalidSignature):
        destroyed_in(message[:-1] + bytes([message[-1] ^ 1]), attempt.first, attempt.keys)
    with pytest.raises(BadInput):
        destroyed_in(attempt.said(DESTROYED, 9, b""), attempt.first, attempt.keys)
