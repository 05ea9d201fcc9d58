"""The certificate of a key generation, and its verification without any secret (step 2.6.7)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.certificates.done import Done, ack_message
from hsm_mpc.certificates.extension import Extension
from hsm_mpc.certificates.terms import suite_of
from hsm_mpc.certificates.transcript import Transcript
from hsm_mpc.encoding import Reader, lv16, lv32
from hsm_mpc.errors import InvalidSignature, ProtocolAbort, Tampered
from hsm_mpc.groups.proofs import context_of, signature_length, verify
from hsm_mpc.groups.sharing import require_index, sum_of_commitments
from hsm_mpc.roster import Roster
from hsm_mpc.tags import Tag


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What one holder's HSM signed about its sealed share."""

    kek_digest: bytes
    blob_digest: bytes
    signature: bytes

    def to_bytes(self) -> bytes:
        """`kek_digest[32] ‖ blob_digest[32] ‖ LV16(ACK)`."""
        return self.kek_digest + self.blob_digest + lv16(self.signature)

    @classmethod
    def read(cls, reader: Reader) -> Acknowledgement:
        """Inverse of `to_bytes`."""
        return cls(reader.take(32), reader.take(32), reader.lv16())


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate of epoch 0, parsed; whether it holds, only `verify` tells."""

    body: EpochBody
    transcript: Transcript
    extension: Extension
    signatures: tuple[bytes, ...]
    acknowledgements: tuple[Acknowledgement, ...]

    def to_bytes(self) -> bytes:
        """`LV32(body) ‖ LV32(T) ‖ sig_1..n ‖ (kek_digest ‖ blob_digest ‖ LV16(ACK))_{1..n}`."""
        acknowledgements = (ack.to_bytes() for ack in self.acknowledgements)
        return (
            lv32(self.body.to_bytes())
            + lv32(self.transcript.to_bytes())
            + b"".join(self.signatures)
            + b"".join(acknowledgements)
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> Certificate:
        """Inverse of `to_bytes`; `BadEncoding` for anything else. It checks no signature."""
        reader = Reader(source, "certificate")
        body = EpochBody.from_bytes(reader.lv32())
        suite = suite_of(body.terms.scheme)
        transcript = Transcript.from_bytes(reader.lv32(), suite)
        n = body.terms.sizes.n
        signatures = tuple(reader.take(signature_length(suite)) for _ in range(n))
        acknowledgements = tuple(Acknowledgement.read(reader) for _ in range(n))
        reader.end()
        extension = Extension.from_bytes(transcript.extension)
        return cls(body, transcript, extension, signatures, acknowledgements)

    def verify(self, roster: Roster) -> None:
        """Everything that step 2.6.7 asks, under the pinned `roster`.

        Raises:
            Tampered: anything does not hold. Whose fault that is, the certificate does not say.
        """
        _check_fields(self, roster)
        _check_key(self)
        _check_signatures(self)
        _check_acknowledgements(self, roster)

    def check_done(self, index: int, done: Done) -> None:
        """DONE of holder `index` says the same as this certificate (step 2.6.8).

        Raises:
            Tampered: it tells of another epoch, attempt, delivery key, wrapping key or blob.
        """
        position = require_index(index, self.body.terms.sizes.n) - 1
        ack = self.acknowledgements[position]
        expected = Done(
            Attempt.NONE,
            self.body.hash,
            self.extension.delivery_keys[position],
            ack.kek_digest,
            ack.blob_digest,
        )
        if done != expected:
            raise Tampered(f"done of holder {index} does not say what the certificate says")


def _check_fields(certificate: Certificate, roster: Roster) -> None:
    body, transcript, extension = (
        certificate.body,
        certificate.transcript,
        certificate.extension,
    )
    sizes = body.terms.sizes
    suite = transcript.suite
    _require(body.kind is EpochKind.KEY_GENERATION, "it is of no key generation")
    _require(body.terms.roster_hash == roster.hash, "it is of another roster")
    _require(sizes.n == roster.n, "the roster has another number of holders")
    _require((transcript.n, transcript.threshold) == (sizes.n, sizes.t), "T is of other sizes")
    _require(extension.terms == body.terms, "ext and body differ")
    _require(body.transcript_hash == transcript.hash, "the body names another transcript")
    _require(len(set(transcript.static_keys)) == transcript.n, "two static keys are equal")
    context = context_of(suite, extension.session_id, transcript.static_keys)
    _require(transcript.context == context, "T is of another session or set of keys")


def _check_key(certificate: Certificate) -> None:
    body = certificate.body
    try:
        sums = sum_of_commitments(body.terms.group, certificate.transcript.commitments)
        _require(body.commitments == sums, "the commitments are not the sum of those in T")
        for index in range(1, body.terms.sizes.n + 1):
            body.public_share(index)
    except ProtocolAbort as error:
        raise Tampered(f"certificate: {error}") from error


def _check_signatures(certificate: Certificate) -> None:
    transcript = certificate.transcript
    suite, message = transcript.suite, transcript.to_bytes()
    for index in range(1, transcript.n + 1):
        possession = transcript.possessions[index - 1]
        constant = transcript.commitments[index - 1][0]
        with _verifying(f"the proof of possession of holder {index}"):
            verify(suite, possession, constant, transcript.possession_message(index))
        with _verifying(f"the transcript's signature of holder {index}"):
            own_key = transcript.static_keys[index - 1]
            verify(suite, certificate.signatures[index - 1], own_key, message)


def _check_acknowledgements(certificate: Certificate, roster: Roster) -> None:
    epoch_hash = certificate.body.hash
    digests = certificate.extension.kek_digests
    for index, ack in enumerate(certificate.acknowledgements, 1):
        _require(ack.kek_digest == digests[index - 1], "ext and acknowledgements differ")
        message = ack_message(epoch_hash, index, ack.kek_digest, ack.blob_digest)
        with _verifying(f"the acknowledgement of holder {index}"):
            roster.member(index).key.verify(Tag.ACK, message, ack.signature)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Tampered(f"certificate: {otherwise}")


@contextmanager
def _verifying(what: str) -> Iterator[None]:
    try:
        yield
    except InvalidSignature as error:
        raise Tampered(f"certificate: {what} does not verify") from error
