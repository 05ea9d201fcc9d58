"""CERT (M6): what proves that an epoch has a successor of which enough holders have a share.

    LV32(body') ‖ LV32(PROPOSE) ‖ Σ SHA-256(DEAL_i) ‖ Σ (kek_digest_i ‖ blob_digest_i ‖ LV16(ACK_i))

both sums over the members S of PROPOSE, ascending. Of a resharing the dealers are Q, and what was
agreed stands in between, for body' does not say what was before:

    LV32(body') ‖ LV32(PROPOSE) ‖ LV32(ROSTER') ‖ sizes of e ‖ Σ_{i∈Q} SHA-256(DEAL_i)
    ‖ Σ_{i∈S} ACKs as above, their digests zeros ‖ Σ_{k=1..n'} ACKs of the new holders

It proves itself under the roster of e: whoever has it may pass it on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.resharing import Resharing
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.encoding import Reader, decoding, lv32
from hsm_mpc.errors import HsmMpcError, InvalidSignature, Tampered
from hsm_mpc.roster import Roster
from hsm_mpc.succession.ack import check_acknowledgement
from hsm_mpc.succession.addresses import Replaced
from hsm_mpc.succession.newcomers import Newcomers
from hsm_mpc.succession.propose import Propose, Proposed, check_propose
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import FIRST_NEW_HOLDER

NO_SHARE: Final = bytes(32)
"""In place of both digests, where an old holder says no more than that it has checked (6.8.4)."""


@dataclass(frozen=True, slots=True)
class SharedAnew:
    """What a resharing has of its own in the certificate."""

    roster: Roster
    """ROSTER': body' names its hash."""
    replaced_sizes: QuorumSizes
    """Of the epoch that it replaces."""
    acknowledgements: tuple[Acknowledgement, ...]
    """Of the new holders, in the order of that roster."""


@dataclass(frozen=True, slots=True)
class SuccessorCertificate:
    """The certificate of a successor, parsed; whether it holds, only `verify` tells."""

    body: EpochBody
    propose: bytes
    """The PROPOSE message that made it."""
    deal_digests: tuple[bytes, ...]
    acknowledgements: tuple[Acknowledgement, ...]
    shared_anew: SharedAnew | None = None
    """None: a refresh."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload: JOINs name the certificate by it."""
        return hashlib.sha256(self.to_bytes()).digest()

    @property
    def amendments(self) -> tuple[bytes, ...]:
        """Of the roster, as that PROPOSE carries them."""
        payload = parse_envelope(self.propose).payload
        return Propose.from_bytes(payload, self.replaced_sizes.n).amendments

    @property
    def replaced_sizes(self) -> QuorumSizes:
        """Of the epoch before. Of a resharing nothing is proven of them yet."""
        if self.shared_anew is None:
            return self.body.terms.sizes
        return self.shared_anew.replaced_sizes

    @property
    def resharing(self) -> Resharing | None:
        """What was agreed. Raises: BadInput: roster and body do not belong together."""
        if self.shared_anew is None:
            return None
        return Resharing(self.body.terms.sizes, self.shared_anew.roster)

    def to_bytes(self) -> bytes:
        """The payload."""
        agreed, new = b"", tuple[Acknowledgement, ...]()
        if self.shared_anew is not None:
            agreed = lv32(self.shared_anew.roster.to_bytes())
            agreed += self.shared_anew.replaced_sizes.to_bytes()
            new = self.shared_anew.acknowledgements
        return (
            lv32(self.body.to_bytes())
            + lv32(self.propose)
            + agreed
            + b"".join(self.deal_digests)
            + b"".join(ack.to_bytes() for ack in (*self.acknowledgements, *new))
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> SuccessorCertificate:
        """Inverse of `to_bytes`; `BadEncoding` for anything else. It checks no signature."""
        reader = Reader(source, "certificate")
        body = EpochBody.from_bytes(reader.lv32())
        propose, sizes, roster = reader.lv32(), body.terms.sizes, None
        if body.kind is EpochKind.RESHARE:
            roster = Roster.from_bytes(reader.lv32())
            with decoding("certificate"):
                sizes = QuorumSizes.read(reader)
        with decoding("certificate"):
            payload = parse_envelope(propose).payload
            members = len(Propose.from_bytes(payload, sizes.n).joins)
        dealers = members if roster is None else min(members, sizes.t)
        digests = tuple(reader.take(32) for _ in range(dealers))
        acknowledgements = _read_acknowledgements(reader, members)
        shared_anew = None
        if roster is not None:
            shared_anew = SharedAnew(roster, sizes, _read_acknowledgements(reader, roster.n))
        reader.end()
        return cls(body, propose, digests, acknowledgements, shared_anew)

    def verify(self, replaced: EpochBody, keys: KeyBook) -> Proposed:
        """Everything that makes it the certificate of a successor of `replaced` (step 6.5.4).

        Args:
            keys: of the roster of `replaced`.

        Raises:
            Tampered: anything does not hold. Whose fault that is, the certificate does not say.
        """
        proposed = self.verify_messages(replaced, keys)
        wanted = successor_body(replaced, self.body.commitments, self.deal_digests, proposed)
        _require(self.body == wanted, "the body does not follow the epoch before, or its messages")
        _require(self.body.group_key == replaced.group_key, "it changes the public key")
        try:
            for index in range(1, self.body.terms.sizes.n + 1):
                self.body.public_share(index)
        except HsmMpcError as degenerate:
            raise Tampered(f"certificate: {degenerate}") from degenerate
        return proposed

    def verify_messages(self, replaced: Replaced, keys: KeyBook) -> Proposed:
        """That its messages make an epoch of these terms, whatever its commitments are.

        Raises:
            Tampered: they do not.
        """
        _require(keys.roster.hash == replaced.terms.roster_hash, "it is of another roster")
        _require(self.replaced_sizes == replaced.terms.sizes, "it replaces another quorum")
        try:
            resharing = self.resharing
            proposed = check_propose(parse_envelope(self.propose), replaced, keys, resharing)
        except HsmMpcError as broken:
            raise Tampered(f"certificate: {broken}") from broken
        _require(proposed.content.successor is None, "its attempt made nothing new")
        _check_acknowledgements(self, proposed)
        kind = EpochKind.REFRESH if resharing is None else EpochKind.RESHARE
        _require(self.body.kind is kind, "it is of another kind of succession")
        transcript_hash = proposed.transcript_hash(self.deal_digests)
        _require(self.body.transcript_hash == transcript_hash, "it names other messages")
        terms = terms_after(replaced.terms, proposed)
        _require(self.body.terms == terms, "the wallet's terms are other ones")
        return proposed


def terms_after(terms: WalletTerms, proposed: Proposed) -> WalletTerms:
    """Of the successor that a proposal makes of an epoch of these `terms`."""
    if proposed.newcomers is None:
        return replace(terms, roster_hash=proposed.keys.roster.hash)
    resharing = proposed.newcomers.resharing
    return replace(terms, sizes=resharing.sizes, roster_hash=resharing.roster.hash)


def successor_body(
    replaced: EpochBody,
    commitments: Iterable[bytes],
    deal_digests: Iterable[bytes],
    proposed: Proposed,
) -> EpochBody:
    """body': one epoch later, other shares of the same key (steps 6.4.5 and 6.8.3)."""
    return EpochBody(
        kind=EpochKind.REFRESH if proposed.newcomers is None else EpochKind.RESHARE,
        terms=terms_after(replaced.terms, proposed),
        epoch=replaced.epoch + 1,
        prev_hash=replaced.hash,
        commitments=tuple(commitments),
        transcript_hash=proposed.transcript_hash(deal_digests),
    )


def _check_acknowledgements(certificate: SuccessorCertificate, proposed: Proposed) -> None:
    old, roster = certificate.acknowledgements, proposed.keys.roster
    _require_signed(certificate, proposed.members, old, roster)
    new, newcomers = certificate.shared_anew, proposed.newcomers
    if new is not None and newcomers is not None:
        for ack in old:
            digests = (ack.kek_digest, ack.blob_digest)
            _require(digests == (NO_SHARE, NO_SHARE), "an old holder acknowledges a share")
        _require_same_keys(new, newcomers)
        indices = range(1, new.roster.n + 1)
        _require_signed(certificate, indices, new.acknowledgements, new.roster, FIRST_NEW_HOLDER)


def _require_signed(
    certificate: SuccessorCertificate,
    indices: Sequence[int],
    acknowledgements: Sequence[Acknowledgement],
    roster: Roster,
    first: int = 0,
) -> None:
    h = certificate.body.hash
    for index, ack in zip(indices, acknowledgements, strict=True):
        try:
            check_acknowledgement(h, index, ack, roster, first)
        except InvalidSignature as error:
            name = f"new holder {roster.member(index).name}" if first else f"holder {index}"
            raise Tampered(f"certificate: the acknowledgement of {name} does not verify") from error


def _require_same_keys(new: SharedAnew, newcomers: Newcomers) -> None:
    """Each new holder has sealed its share under the key that it had said."""
    for ack, hello in zip(new.acknowledgements, newcomers.hellos, strict=True):
        _require(ack.kek_digest == hello.kek_digest, "a new holder has another wrapping key")


def _read_acknowledgements(reader: Reader, count: int) -> tuple[Acknowledgement, ...]:
    return tuple(Acknowledgement.read(reader) for _ in range(count))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Tampered(f"certificate: {otherwise}")
