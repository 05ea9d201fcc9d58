"""All DEALs → ACK: the share of the successor is sealed, opened, voted for (6.4.3 to 6.4.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hsm_mpc.agent.refusals import refusals_recorded
from hsm_mpc.agent.succession.dealing import proposed_in, setup_of
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.agent.succession.successor_share import Successor, seal_successor
from hsm_mpc.agent.succession.votes import acknowledge
from hsm_mpc.audit import Json
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.done import ack_message
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadEncoding, ProtocolAbort, Refused
from hsm_mpc.protocols import refresh
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.ack import Ack
from hsm_mpc.succession.addresses import address_in, expected_in
from hsm_mpc.succession.propose import Proposed
from hsm_mpc.succession.successor import successor_body
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Message, bundle, parse_envelope, unbundled
from hsm_mpc.wire.inbox import Inbox
from hsm_mpc.wire.rounds import ACK, DEAL


@dataclass(frozen=True, slots=True)
class Dealings:
    """The DEAL messages of all members of an attempt, in the order of S."""

    proposed: Proposed
    messages: tuple[Message, ...]
    transcript: bytes
    """PROPOSE, then CHANNEL and DEAL of each member: what is kept of them."""

    @property
    def digests(self) -> tuple[bytes, ...]:
        """SHA-256 of each message."""
        return tuple(hashlib.sha256(each.to_bytes()).digest() for each in self.messages)

    def payloads(self) -> dict[int, bytes]:
        """The dealings themselves, by holder. Raises: ProtocolAbort: of another attempt."""
        alpha = self.proposed.content.attempt.to_bytes()
        dealings, culprits = {}, []
        for message in self.messages:
            sender = message.address.sender
            if not message.payload.startswith(alpha):
                culprits.append(sender)
            dealings[sender] = message.payload[len(alpha) :]
        if culprits:
            raise ProtocolAbort("a dealing names another attempt than its message", culprits)
        return dealings


def stage(
    live: LiveEpoch, suite: Suite, deals: Sequence[bytes], channels: Sequence[bytes]
) -> bytes:
    """The own ACK message; a repeat is answered with the same bytes.

    Args:
        deals: one DEAL of each member, ascending.
        channels: the CHANNEL messages of the members, ascending: the DEALs verify under them.

    Raises:
        Refused: `not-dealt`, `attempt-overtaken` or `other-vote`.
        ProtocolAbort: naming every holder whose dealing is bad, with evidence on disk.
        Tampered, BackendError: HSM or disk. A repeat begins again.
        BadEncoding, InvalidSignature: a message is not what is waited for.
    """
    attempt = attempt_of(deals)
    alpha = attempt.to_bytes()
    kept = live.attempts.kept(alpha, AttemptDocument.ACK)
    if kept is not None:
        return kept
    propose = live.attempts.kept(alpha, AttemptDocument.PROPOSE)
    if propose is None:
        raise Refused("not-dealt", "no proposal of that attempt was answered here")
    proposed = proposed_in(live, propose)
    if live.register.promised != alpha:
        raise Refused("attempt-overtaken", "a higher attempt than this one was joined")
    dealings = received_dealings(live, proposed, deals, channels)
    own = dealings.messages[proposed.members.index(live.holder.me)]
    if own.to_bytes() != live.attempts.kept(alpha, AttemptDocument.DEAL):
        raise ProtocolAbort("the own dealing came back altered")
    with successor_made(live, suite, dealings) as (successor, share):
        voted = acknowledge(live.register, attempt, successor.body.hash)
        sealed = seal_successor(live, successor, share)
    live.holder.registers.write(live.wallet_id, voted)
    record = replace(sealed.record, state=EpochState.ACKED)
    live.epochs.change(record)
    h = record.epoch_hash
    signed = ack_message(h, live.holder.me, sealed.kek_digest, record.blob_digest)
    signature = live.holder.identity.sign(Tag.ACK, signed)
    acknowledgement = Acknowledgement(sealed.kek_digest, record.blob_digest, signature)
    payload = Ack(attempt, h, acknowledgement).to_bytes()
    address = address_in(live.body, attempt, live.holder.me)
    message = live.holder.signed_by_identity(ACK, address, payload)
    live.attempts.keep(alpha, AttemptDocument.ACK, message)
    return message


def attempt_of(deals: Sequence[bytes]) -> Attempt:
    """Which attempt dealings are of; nothing is checked yet. Raises: BadEncoding: there is none."""
    if not deals:
        raise BadEncoding("call: no dealings")
    return Attempt.read(Reader(parse_envelope(deals[0]).payload, "deal"))


def received_dealings(
    live: LiveEpoch, proposed: Proposed, deals: Sequence[bytes], channels: Sequence[bytes]
) -> Dealings:
    """One valid DEAL of each member. A CHANNEL is judged at the attempt's counter (section 6.2).

    Raises:
        BadEncoding, BadInput, InvalidSignature, Refused: a message is not what is waited for.
    """
    members, attempt = proposed.members, proposed.content.attempt
    if len(deals) != len(members) or len(channels) != len(members):
        raise BadEncoding(f"{len(deals)} dealings of {len(members)} members")
    book = KeyBook(proposed.keys.roster, {})
    messages = []
    for index, source, channel in zip(members, deals, channels, strict=True):
        if book.learn_message(channel, attempt.counter) != index:
            raise BadEncoding(f"the channel of another holder than {index}")
        expected = expected_in(DEAL, live.body, attempt, (index,))
        messages.append(Inbox(book).receive(source, expected, attempt.counter))
    pairs = (each for pair in zip(channels, deals, strict=True) for each in pair)
    return Dealings(proposed, tuple(messages), bundle([proposed.source, *pairs]))


@contextmanager
def successor_made(
    live: LiveEpoch, suite: Suite, dealings: Dealings
) -> Iterator[tuple[Successor, Secret]]:
    """What the dealings make of the live epoch, and x' of it for the length of the body (6.4.4).

    Raises:
        ProtocolAbort: naming every holder whose dealing is bad, with evidence on disk.
        Tampered, BackendError: the own share does not open.
    """
    with live.opened() as own:
        with _evidence_kept(live, dealings):
            renewed = refresh.catch_up(
                setup_of(live, suite, dealings.proposed),
                live.holder.me,
                own.delivery,
                own.share,
                dealings.payloads(),
            )
        try:
            yield _successor_of(live, dealings, renewed.commitments), renewed.share
        finally:
            renewed.share.release()


def _successor_of(live: LiveEpoch, dealings: Dealings, commitments: Iterable[bytes]) -> Successor:
    proposed = dealings.proposed
    transcript_hash = proposed.transcript_hash(dealings.digests)
    body = successor_body(live.body, commitments, transcript_hash, proposed.keys.roster)
    return Successor(body, dealings.proposed.content.attempt, dealings.transcript)


@contextmanager
def _evidence_kept(live: LiveEpoch, dealings: Dealings) -> Iterator[None]:
    """A dealing that does not hold is evidence, and a line in the audit log."""
    named: dict[str, Json] = {
        "wallet_id": live.wallet_id.hex(),
        "epoch_hash": live.body.hash.hex(),
        "attempt": dealings.proposed.content.attempt.to_bytes().hex(),
    }
    with refusals_recorded(live.holder, named, unbundled(dealings.transcript)):
        yield
