"""CERT (M6): what proves that an epoch has a successor of which enough holders have a share.

    LV32(body') ‖ LV32(PROPOSE) ‖ Σ SHA-256(DEAL_i) ‖ Σ (kek_digest_i ‖ blob_digest_i ‖ LV16(ACK_i))

both sums over the members S of PROPOSE, ascending. It proves itself under the roster: whoever has
it may pass it on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.encoding import Reader, decoding, lv32
from hsm_mpc.errors import BadInput, HsmMpcError, InvalidSignature, Tampered
from hsm_mpc.roster import Roster
from hsm_mpc.succession.ack import check_acknowledgement
from hsm_mpc.succession.addresses import Predecessor, Replaced
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.propose import Propose, Proposed, check_propose
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope


@dataclass(frozen=True, slots=True)
class SuccessorCertificate:
    """The certificate of a refreshed epoch, parsed; whether it holds, only `verify` tells."""

    body: EpochBody
    propose: bytes
    """The PROPOSE message that made it."""
    deal_digests: tuple[bytes, ...]
    acknowledgements: tuple[Acknowledgement, ...]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload: JOINs name the certificate by it."""
        return hashlib.sha256(self.to_bytes()).digest()

    @property
    def amendments(self) -> tuple[bytes, ...]:
        """Of the roster, as that PROPOSE carries them."""
        payload = parse_envelope(self.propose).payload
        return Propose.from_bytes(payload, self.body.terms.sizes.n).amendments

    def to_bytes(self) -> bytes:
        """The payload."""
        return (
            lv32(self.body.to_bytes())
            + lv32(self.propose)
            + b"".join(self.deal_digests)
            + b"".join(ack.to_bytes() for ack in self.acknowledgements)
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> SuccessorCertificate:
        """Inverse of `to_bytes`; `BadEncoding` for anything else. It checks no signature."""
        reader = Reader(source, "certificate")
        body = EpochBody.from_bytes(reader.lv32())
        propose = reader.lv32()
        with decoding("certificate"):
            payload = parse_envelope(propose).payload
            members = len(Propose.from_bytes(payload, body.terms.sizes.n).joins)
        digests = tuple(reader.take(32) for _ in range(members))
        acknowledgements = tuple(Acknowledgement.read(reader) for _ in range(members))
        reader.end()
        return cls(body, propose, digests, acknowledgements)

    def verify(self, replaced: EpochBody, keys: KeyBook) -> Proposed:
        """Everything that makes it the certificate of a successor of `replaced` (step 6.5.4).

        Args:
            keys: of the roster of `replaced`.

        Raises:
            Tampered: anything does not hold. Whose fault that is, the certificate does not say.
        """
        proposed = self._checked_messages(replaced, keys)
        transcript_hash = proposed.transcript_hash(self.deal_digests)
        _check_body(self.body, replaced, transcript_hash, proposed.keys.roster)
        return proposed

    def verify_for(self, first: EpochBody, lineage: Lineage) -> Proposed:
        """That it certifies shares of the same key as `first`, the wallet's first epoch.

        The epochs between are not looked at: J holders have seen them, of whom at least one is
        honest (step 6.1.3), and their HSMs signed for this body.

        Args:
            lineage: every roster of the wallet.

        Raises:
            Tampered: it does not.
        """
        roster_hash = self.body.terms.roster_hash
        try:
            keys = lineage.before(roster_hash, self.amendments)
        except BadInput as foreign:
            raise Tampered(f"certificate: {foreign}") from foreign
        terms = replace(first.terms, roster_hash=keys.roster.hash)
        proposed = self._checked_messages(Predecessor(terms, self.body.prev_hash), keys)
        transcript_hash = proposed.transcript_hash(self.deal_digests)
        _require(self.body.transcript_hash == transcript_hash, "it names other messages")
        _require(self.body.kind is EpochKind.REFRESH, "it is of no refresh")
        terms = replace(terms, roster_hash=proposed.keys.roster.hash)
        _require(self.body.terms == terms, "the wallet's terms have changed")
        _require(self.body.group_key == first.group_key, "it changes the public key")
        return proposed

    def _checked_messages(self, replaced: Replaced, keys: KeyBook) -> Proposed:
        """PROPOSE and the signatures of all members' HSMs."""
        _require(keys.roster.hash == replaced.terms.roster_hash, "it is of another roster")
        try:
            proposed = check_propose(parse_envelope(self.propose), replaced, keys)
        except HsmMpcError as broken:
            raise Tampered(f"certificate: {broken}") from broken
        _require(proposed.content.successor is None, "its attempt made nothing new")
        _check_acknowledgements(self, proposed.members, proposed.keys.roster)
        return proposed


def successor_body(
    replaced: EpochBody, commitments: Iterable[bytes], transcript_hash: bytes, roster: Roster
) -> EpochBody:
    """body' of a refresh: one epoch later, other shares of the same key (step 6.4.5).

    Args:
        roster: the one in force, of the same holders.
    """
    return replace(
        replaced,
        kind=EpochKind.REFRESH,
        terms=replace(replaced.terms, roster_hash=roster.hash),
        epoch=replaced.epoch + 1,
        prev_hash=replaced.hash,
        commitments=tuple(commitments),
        transcript_hash=transcript_hash,
    )


def _check_body(
    body: EpochBody, replaced: EpochBody, transcript_hash: bytes, roster: Roster
) -> None:
    wanted = successor_body(replaced, body.commitments, transcript_hash, roster)
    _require(body == wanted, "the body does not follow the epoch before, or its messages")
    _require(body.group_key == replaced.group_key, "it changes the public key")
    try:
        for index in range(1, body.terms.sizes.n + 1):
            body.public_share(index)
    except HsmMpcError as degenerate:
        raise Tampered(f"certificate: {degenerate}") from degenerate


def _check_acknowledgements(
    certificate: SuccessorCertificate, members: tuple[int, ...], roster: Roster
) -> None:
    h = certificate.body.hash
    for index, ack in zip(members, certificate.acknowledgements, strict=True):
        try:
            check_acknowledgement(h, index, ack, roster)
        except InvalidSignature as error:
            raise Tampered(
                f"certificate: the acknowledgement of holder {index} does not verify"
            ) from error


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Tampered(f"certificate: {otherwise}")
