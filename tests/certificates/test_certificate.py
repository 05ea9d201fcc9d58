from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from hsm_mpc.certificates.asked import Asked
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.certificates.certificate import Acknowledgement, Certificate
from hsm_mpc.certificates.clients import Client
from hsm_mpc.certificates.done import Done, ack_message
from hsm_mpc.certificates.extension import Extension
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.certificates.transcript import Transcript
from hsm_mpc.encoding import lv16, lv32, u8, u16be, u32le, u64le
from hsm_mpc.errors import BadEncoding, BadInput, Tampered
from hsm_mpc.groups.proofs import COCKTAIL_SECP256K1, context_of
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.ids import EpochHash
from hsm_mpc.roster import Roster
from hsm_mpc.tags import Tag
from tests.certificates.ceremony import SUITE_ID, Ceremony, Q, point, schnorr_signed
from tests.software_identity import ed25519_key


@cache
def honest() -> tuple[Ceremony, Certificate]:
    ceremony = Ceremony()
    return ceremony, ceremony.certificate()


def refusal_of(ceremony: Ceremony, roster: Roster | None = None) -> str:
    """What a verifier says; the certificate goes through its bytes, as it would in earnest."""
    certificate = Certificate.from_bytes(ceremony.certificate().to_bytes())
    with pytest.raises(Tampered) as refusal:
        certificate.verify(roster or ceremony.roster)
    return str(refusal.value)


def test_the_bytes_of_a_certificate_are_those_of_the_specification() -> None:
    """Steps 2.6.4, 2.5.10 and 2.6.7, written out."""
    ceremony, certificate = honest()
    proposal, hellos = ceremony.proposal(), ceremony.hellos()
    terms = proposal.terms
    ext = (
        b"HMPC-EXT1"
        + terms.wallet_id
        + lv16(b"treasury")
        + u8(1)
        + u16be(3)
        + u16be(2)
        + u16be(2)
        + u16be(3)
        + ceremony.roster.hash
        + proposal.policy_hash
        + proposal.clients.hash
        + b"".join(hello.delivery_key for hello in hellos)
        + b"".join(hello.kek_digest for hello in hellos)
        + ceremony.session_id()
    )
    t = (
        u64le(28)
        + SUITE_ID
        + u64le(32)
        + ceremony.context()
        + u32le(3)
        + u32le(2)
        + b"".join(ceremony.static_keys())
        + b"".join(b"".join(own) for own in ceremony.commitments())
        + b"".join(ceremony.possession(j) for j in (1, 2, 3))
        + b"".join(point(e) for e in ceremony.ephemerals)
        + u64le(len(ext))
        + ext
    )
    body = certificate.body.to_bytes()
    assert body[-32:] == hashlib.sha256(t).digest()
    expected = lv32(body) + lv32(t) + b"".join(certificate.signatures)
    for j in (1, 2, 3):
        ack = certificate.acknowledgements[j - 1].signature
        expected += ceremony.kek_digests[j - 1] + ceremony.blob_digests[j - 1] + lv16(ack)
    assert certificate.to_bytes() == expected
    assert Certificate.from_bytes(expected) == certificate


class OfSevenHolders(Ceremony):
    n = 7
    t = 4


class OfTwoHolders(Ceremony):
    n = 2
    t = 2


@pytest.mark.parametrize("make", [Ceremony, OfTwoHolders, OfSevenHolders])
def test_an_honest_certificate_verifies_after_a_journey(make: Callable[[], Ceremony]) -> None:
    ceremony = make()
    certificate = Certificate.from_bytes(ceremony.certificate().to_bytes())
    certificate.verify(ceremony.roster)
    for index in ceremony.indices:
        certificate.check_done(index, ceremony.done(index))


def test_every_flipped_bit_of_a_certificate_is_refused() -> None:
    """Step 2.6.7: each byte of body, T, ext, signatures, digests and ACKs is covered."""
    ceremony, certificate = honest()
    source = certificate.to_bytes()
    for position in range(len(source)):
        changed = bytearray(source)
        changed[position] ^= 1 << position % 8
        with pytest.raises((BadEncoding, Tampered)):
            Certificate.from_bytes(bytes(changed)).verify(ceremony.roster)


class OfAnotherEpoch(Ceremony):
    def body(self) -> EpochBody:
        later = EpochHash(b"\x01" * 32)
        return replace(super().body(), kind=EpochKind.REFRESH, epoch=1, prev_hash=later)


def test_a_certificate_of_no_key_generation_is_refused() -> None:
    assert "no key generation" in refusal_of(OfAnotherEpoch())


def test_a_certificate_under_another_roster_is_refused() -> None:
    ceremony, _ = honest()
    swapped = replace(ceremony.roster, members=ceremony.roster.members[::-1])
    assert "another roster" in refusal_of(ceremony, swapped)


class OfTwoFromThree(OfTwoHolders):
    """Two holders' certificate that names the roster of three."""

    def extension(self) -> Extension:
        extension = super().extension()
        terms = replace(extension.terms, roster_hash=Ceremony().roster.hash)
        return replace(extension, terms=terms)


def test_a_certificate_with_fewer_holders_than_the_roster_is_refused() -> None:
    assert "another number of holders" in refusal_of(OfTwoFromThree(), Ceremony().roster)


class TranscriptOfAllThree(Ceremony):
    """Body and ext say 3-of-3, the holders shared with degree 1."""

    def terms(self) -> WalletTerms:
        return replace(super().extension().terms, sizes=QuorumSizes.default(3, 3))

    def extension(self) -> Extension:
        return replace(super().extension(), terms=self.terms())

    def sums(self) -> tuple[bytes, ...]:
        return (*super().sums(), point(7))


def test_a_transcript_of_another_threshold_is_refused() -> None:
    assert "T is of other sizes" in refusal_of(TranscriptOfAllThree())


class KeyOfTheFirstTwo(Ceremony):
    """Two holders make the key; roster, ext, body and acknowledgements are of all three."""

    def static_keys(self) -> tuple[bytes, ...]:
        return super().static_keys()[:2]

    def context(self) -> bytes:
        return context_of(COCKTAIL_SECP256K1, self.session_id(), self.static_keys())

    def commitments(self) -> tuple[tuple[bytes, ...], ...]:
        return super().commitments()[:2]

    def sums(self) -> tuple[bytes, ...]:
        first, second, _ = self.polynomials
        return tuple(point(one + other) for one, other in zip(first, second, strict=True))

    def transcript(self) -> Transcript:
        return Transcript(
            suite=COCKTAIL_SECP256K1,
            context=self.context(),
            threshold=self.t,
            static_keys=self.static_keys(),
            commitments=self.commitments(),
            possessions=tuple(self.possession(j) for j in (1, 2)),
            ephemeral_keys=tuple(point(e) for e in self.ephemerals[:2]),
            extension=self.extension().to_bytes(),
        )


def test_a_certificate_whose_key_fewer_have_made_is_refused() -> None:
    """Though all that they have signed verifies, and all three have acknowledged it."""
    assert "T is of other sizes" in refusal_of(KeyOfTheFirstTwo())


class OtherExtension(Ceremony):
    """Everybody signed this ext; the body says something else."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.changes = changes

    def terms(self) -> WalletTerms:
        return replace(super().terms(), **self.changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"wallet_id": bytes(16)},
        {"name": "pleasure"},
        {"sizes": QuorumSizes(3, 2, 3, 3)},
        {"policy_hash": bytes(32)},
    ],
)
def test_extension_differs_never_certifies(changes: dict[str, Any]) -> None:
    """Step 2.6.7: fields of ext = fields of body."""
    assert "ext and body differ" in refusal_of(OtherExtension(**changes))


class OtherTranscriptHash(Ceremony):
    def transcript_hash(self) -> bytes:
        return bytes(32)


def test_a_body_that_names_another_transcript_is_refused() -> None:
    assert "names another transcript" in refusal_of(OtherTranscriptHash())


class EqualStaticKeys(Ceremony):
    def __init__(self) -> None:
        super().__init__()
        self.statics[2] = self.statics[1]


def test_duplicate_static_key_is_refused() -> None:
    assert "two static keys" in refusal_of(EqualStaticKeys())


class OtherContext(Ceremony):
    """All signatures are of a context that is not that of these keys and this session."""

    def context(self) -> bytes:
        return hashlib.sha256(super().context()).digest()


def test_a_context_of_another_session_is_refused() -> None:
    """Step 2.4.2: else the proofs of possession could be those of an older session."""
    assert "another session" in refusal_of(OtherContext())


class OtherGroupKey(Ceremony):
    def sums(self) -> tuple[bytes, ...]:
        first, *rest = super().sums()
        assert first
        return (point(5), *rest)


def test_a_group_key_that_nobody_shared_is_refused() -> None:
    assert "not the sum" in refusal_of(OtherGroupKey())


class SumIsIdentity(Ceremony):
    def __init__(self) -> None:
        super().__init__()
        self.polynomials[2][1] = -sum(polynomial[1] for polynomial in self.polynomials[:2]) % Q

    def sums(self) -> tuple[bytes, ...]:
        return (point(sum(polynomial[0] for polynomial in self.polynomials)), point(1))


def test_a_sum_of_commitments_that_is_the_identity_is_refused() -> None:
    """Step 2.5.9."""
    assert "is the identity" in refusal_of(SumIsIdentity())


class ShareIsIdentity(Ceremony):
    """A(2) = A_0 + 2·A_1 = O."""

    def __init__(self) -> None:
        super().__init__()
        slope = sum(polynomial[1] for polynomial in self.polynomials)
        constants = sum(polynomial[0] for polynomial in self.polynomials[:2])
        self.polynomials[2][0] = (-2 * slope - constants) % Q


def test_a_public_share_that_is_the_identity_is_refused() -> None:
    assert "public share of holder 2" in refusal_of(ShareIsIdentity())


class WithoutKnowledge(Ceremony):
    """Holder 2 proves possession of something else than its constant."""

    def possession(self, index: int) -> bytes:
        return schnorr_signed(7, b"") if index == 2 else super().possession(index)


def test_a_proof_of_possession_that_does_not_verify_is_refused() -> None:
    """Step 2.5.6."""
    assert "possession of holder 2" in refusal_of(WithoutKnowledge())


class WithoutConfirmation(Ceremony):
    def signature(self, index: int, message: bytes) -> bytes:
        other = b"another view" if index == 3 else message
        return super().signature(index, other)


def test_n_minus_1_signatures_do_not_certify() -> None:
    """Step 2.5.12: a split view never certifies."""
    assert "transcript's signature of holder 3" in refusal_of(WithoutConfirmation())


class ForeignAcknowledgement(Ceremony):
    """Holder 1's HSM signed for holder 2."""

    def acknowledgement(self, index: int, epoch_hash: EpochHash) -> Acknowledgement:
        ack = super().acknowledgement(index, epoch_hash)
        if index == 2:
            message = ack_message(epoch_hash, index, ack.kek_digest, ack.blob_digest)
            return replace(ack, signature=self.identity(1).sign(Tag.ACK, message))
        return ack


def test_an_acknowledgement_of_another_hsm_is_refused() -> None:
    assert "acknowledgement of holder 2" in refusal_of(ForeignAcknowledgement())


class OtherWrappingKey(Ceremony):
    """Holder 1 acknowledges, rightly signed, a wrapping key other than that of its HELLO."""

    def acknowledgement(self, index: int, epoch_hash: EpochHash) -> Acknowledgement:
        if index != 1:
            return super().acknowledgement(index, epoch_hash)
        message = ack_message(epoch_hash, 1, bytes(32), self.blob_digests[0])
        signature = self.identity(1).sign(Tag.ACK, message)
        return Acknowledgement(bytes(32), self.blob_digests[0], signature)


def test_an_acknowledged_wrapping_key_that_is_not_in_ext_is_refused() -> None:
    assert "ext and acknowledgements differ" in refusal_of(OtherWrappingKey())


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": Attempt(1, 0x8000)},
        {"epoch_hash": EpochHash(bytes(32))},
        {"delivery_key": point(5)},
        {"kek_digest": bytes(32)},
        {"blob_digest": bytes(32)},
    ],
)
def test_a_done_that_says_something_else_is_refused(changes: dict[str, Any]) -> None:
    """Step 2.6.8."""
    ceremony, certificate = honest()
    for index in ceremony.indices:
        with pytest.raises(Tampered, match=f"done of holder {index}"):
            certificate.check_done(index, replace(ceremony.done(index), **changes))


def test_a_done_of_another_holder_is_refused() -> None:
    ceremony, certificate = honest()
    with pytest.raises(Tampered):
        certificate.check_done(1, ceremony.done(2))
    for index in (0, 4):
        with pytest.raises(BadInput):
            certificate.check_done(index, ceremony.done(3))


def test_the_bytes_of_done_are_those_of_the_specification() -> None:
    """M7 of section 6.3."""
    ceremony, certificate = honest()
    done = ceremony.done(1)
    expected = (
        bytes(10)
        + certificate.body.hash
        + point(ceremony.deliveries[0])
        + ceremony.kek_digests[0]
        + ceremony.blob_digests[0]
    )
    assert done.to_bytes() == expected
    assert Done.from_bytes(expected, SECP256K1) == done


def asked() -> Asked:
    proposal = honest()[0].proposal()
    return Asked(
        name=proposal.name,
        scheme=proposal.scheme,
        sizes=proposal.sizes,
        roster_hash=proposal.roster.hash,
        policy_hash=proposal.policy_hash,
        clients=proposal.clients.clients,
    )


def test_the_certificate_of_what_was_asked_for_is_accepted() -> None:
    """Step 2.6.1."""
    asked().check(honest()[1])


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "pleasure"},
        {"sizes": QuorumSizes(3, 3, 3, 3)},
        {"sizes": QuorumSizes(3, 2, 3, 3)},
        {"roster_hash": bytes(32)},
        {"policy_hash": bytes(32)},
        {"clients": ()},
        {"clients": (Client("till", ed25519_key(b"\x0d" * 32).public),)},
    ],
)
def test_a_certificate_of_another_wallet_under_the_asked_name_is_refused(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(Tampered, match="not of the wallet"):
        replace(asked(), **changes).check(honest()[1])


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"delivery_keys": (point(1),) * 2}, "3 delivery keys"),
        ({"kek_digests": (bytes(32),) * 4}, "3 digests"),
        ({"clients_hash": bytes(31)}, "32 bytes"),
        ({"session_id": bytes(33)}, "32 bytes"),
        ({"kek_digests": (bytes(32), bytes(31), bytes(33))}, "32 bytes"),
        ({"delivery_keys": (point(1), point(2), bytes(33))}, "point"),
    ],
)
def test_an_extension_that_breaks_a_rule_is_refused(changes: dict[str, Any], text: str) -> None:
    """Step 2.6.4."""
    with pytest.raises(BadInput, match=text):
        replace(honest()[1].extension, **changes)


@pytest.mark.parametrize(
    "offset, value, text",
    [
        (0, b"HMPC-EXT2", "HMPC-EXT1"),
        (35, b"\x03", "scheme 3"),
        (36, u16be(1), "threshold"),
        (140, bytes(33), "point"),
    ],
)
def test_bytes_of_an_extension_that_breaks_a_rule_are_a_bad_encoding(
    offset: int, value: bytes, text: str
) -> None:
    source = bytearray(honest()[1].extension.to_bytes())
    source[offset : offset + len(value)] = value
    with pytest.raises(BadEncoding, match=text):
        Extension.from_bytes(bytes(source))


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"commitments": ()}, "3 holders"),
        ({"possessions": (bytes(65),) * 2}, "3 holders"),
        ({"ephemeral_keys": (point(1),) * 4}, "3 holders"),
        ({"threshold": 3}, "3 commitments"),
        ({"static_keys": (point(1), point(2), bytes(33))}, "point"),
        ({"ephemeral_keys": (point(1), point(2), bytes(33))}, "point"),
        ({"commitments": ((point(1), point(2)),) * 2 + ((point(1), bytes(33)),)}, "point"),
    ],
)
def test_a_transcript_that_breaks_a_rule_is_refused(changes: dict[str, Any], text: str) -> None:
    """Steps 2.4.1 and 2.5.10."""
    with pytest.raises(BadInput, match=text):
        replace(honest()[1].transcript, **changes)


def test_a_transcript_of_another_suite_is_refused() -> None:
    source = honest()[1].transcript.to_bytes().replace(b"SHA-256", b"SHA-512")
    with pytest.raises(BadEncoding, match="another suite"):
        Transcript.from_bytes(source, COCKTAIL_SECP256K1)


def test_bytes_of_a_transcript_without_a_point_are_a_bad_encoding() -> None:
    _, certificate = honest()
    key = certificate.transcript.static_keys[0]
    source = certificate.transcript.to_bytes().replace(key, bytes(33))
    with pytest.raises(BadEncoding, match="point"):
        Transcript.from_bytes(source, COCKTAIL_SECP256K1)
