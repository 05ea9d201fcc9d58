"""All DEALs → ACK: the share of the successor is sealed, opened, voted for (6.4.3 to 6.4.6).

In a resharing the new holders have the shares (agent/arrival): the old ones check what is public of
the dealings, and vote (step 6.8.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.refusals import refusals_recorded
from hsm_mpc.agent.succession.dealing import (
    asked_in,
    deal_kind,
    proposed_in,
    reshare_setup,
    setup_of,
)
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.agent.succession.resharing import require_no_lost_key
from hsm_mpc.agent.succession.successor_share import Successor, seal_successor
from hsm_mpc.agent.succession.votes import acknowledge
from hsm_mpc.audit import Json
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.done import ack_message
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadEncoding, ProtocolAbort, Refused
from hsm_mpc.ids import EpochHash
from hsm_mpc.protocols import refresh, reshare
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.ack import Ack
from hsm_mpc.succession.addresses import address_in, expected_in
from hsm_mpc.succession.newcomers import Newcomers
from hsm_mpc.succession.propose import Proposed
from hsm_mpc.succession.successor import NO_SHARE, successor_body
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import Message, bundle, parse_envelope, unbundled
from hsm_mpc.wire.inbox import Inbox
from hsm_mpc.wire.rounds import ACK

_ANOTHER_ATTEMPT: Final = "a dealing names another attempt than its message"


@dataclass(frozen=True, slots=True)
class Dealings:
    """The DEAL messages of all dealers of an attempt, in their order."""

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
        dealings, culprits = {}, []
        for message in self.messages:
            try:
                dealings[message.address.sender] = dealing_in(self.proposed, message)
            except BadEncoding:
                culprits.append(message.address.sender)
        if culprits:
            raise ProtocolAbort(_ANOTHER_ATTEMPT, culprits)
        return dealings


def dealing_in(proposed: Proposed, message: Message) -> bytes:
    """What stands in a DEAL behind α and sid.

    Raises:
        BadEncoding: it names another attempt, which convicts its dealer (step 6.4.9).
    """
    head = proposed.head_of_deals
    if not message.payload.startswith(head):
        raise BadEncoding(_ANOTHER_ATTEMPT)
    return message.payload[len(head) :]


def stage(
    live: LiveEpoch, suite: Suite, deals: Sequence[bytes], channels: Sequence[bytes]
) -> bytes:
    """The own ACK message; a repeat is answered with the same bytes.

    Args:
        deals: one DEAL of each member, ascending.
        channels: the CHANNEL messages of the members, ascending: the DEALs verify under them.

    Raises:
        Refused: `not-dealt`, `attempt-overtaken`, `complained`, `other-vote` or `other-roster`.
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
    proposed = proposed_in(live, propose, asked_in(live, alpha).resharing)
    if live.register.promised != alpha:
        raise Refused("attempt-overtaken", "a higher attempt than this one was joined")
    if live.attempts.kept(alpha, AttemptDocument.COMPLAINT) is not None:
        raise Refused("complained", "this holder has complained of a dealer in that attempt")
    dealings = received_dealings(live.body, proposed, deals, channels)
    if live.holder.me in proposed.dealers:
        own = dealings.messages[proposed.dealers.index(live.holder.me)]
        if own.to_bytes() != live.attempts.kept(alpha, AttemptDocument.DEAL):
            raise ProtocolAbort("the own dealing came back altered")
    if proposed.newcomers is not None:
        require_no_lost_key(live.holder, proposed.newcomers.resharing.roster)
        h = _checked(live, suite, dealings, proposed.newcomers)
        voted = acknowledge(live.register, attempt, h)
        live.holder.registers.write(live.wallet_id, voted)
        return _acknowledged(live, attempt, h, NO_SHARE, NO_SHARE)
    with successor_made(live, suite, dealings) as (successor, share):
        voted = acknowledge(live.register, attempt, successor.body.hash)
        sealed = seal_successor(live, successor, share)
    live.holder.registers.write(live.wallet_id, voted)
    record = replace(sealed.record, state=EpochState.ACKED)
    live.epochs.change(record)
    return _acknowledged(live, attempt, record.epoch_hash, sealed.kek_digest, record.blob_digest)


def _acknowledged(
    live: LiveEpoch, attempt: Attempt, h: EpochHash, kek_digest: bytes, blob_digest: bytes
) -> bytes:
    """The own ACK message, on disk."""
    signed = ack_message(h, live.holder.me, kek_digest, blob_digest)
    signature = live.holder.identity.sign(Tag.ACK, signed)
    payload = Ack(attempt, h, Acknowledgement(kek_digest, blob_digest, signature)).to_bytes()
    address = address_in(live.body, attempt, live.holder.me)
    message = live.holder.signed_by_identity(ACK, address, payload)
    live.attempts.keep(attempt.to_bytes(), AttemptDocument.ACK, message)
    return message


def attempt_of(deals: Sequence[bytes]) -> Attempt:
    """Which attempt dealings are of; nothing is checked yet. Raises: BadEncoding: there is none."""
    if not deals:
        raise BadEncoding("call: no dealings")
    return Attempt.read(Reader(parse_envelope(deals[0]).payload, "deal"))


def received_dealings(
    replaced: EpochBody, proposed: Proposed, deals: Sequence[bytes], channels: Sequence[bytes]
) -> Dealings:
    """One valid DEAL of each dealer. A CHANNEL is judged at the attempt's counter (section 6.2).

    Raises:
        ProtocolAbort: a dealing is made for another proposal. No holder is to blame: a coordinator
            that has signed two may show it beside the wrong one.
        BadEncoding, BadInput, InvalidSignature, Refused: a message is not what is waited for.
    """
    dealers, attempt = proposed.dealers, proposed.content.attempt
    if len(deals) != len(dealers) or len(channels) != len(dealers):
        raise BadEncoding(f"{len(deals)} dealings of {len(dealers)} dealers")
    book = proposed.keys.alone()
    messages = []
    for index, source, channel in zip(dealers, deals, channels, strict=True):
        if book.learn_message(channel, attempt.counter) != index:
            raise BadEncoding(f"the channel of another holder than {index}")
        expected = expected_in(deal_kind(proposed), replaced, attempt, (index,))
        message = Inbox(book).receive(source, expected, attempt.counter)
        _require_for(proposed, message)
        messages.append(message)
    pairs = (each for pair in zip(channels, deals, strict=True) for each in pair)
    return Dealings(proposed, tuple(messages), bundle([proposed.source, *pairs]))


def _require_for(proposed: Proposed, message: Message) -> None:
    """Of another attempt it convicts its dealer; of another proposal of this one, nobody."""
    alpha, head = proposed.content.attempt.to_bytes(), proposed.head_of_deals
    if message.payload.startswith(alpha) and not message.payload.startswith(head):
        raise ProtocolAbort(
            f"holder {message.address.sender} has dealt for another proposal of that attempt than "
            "the one beside it"
        )


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
        with evidence_kept(live.holder, live.body, dealings):
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


def _checked(live: LiveEpoch, suite: Suite, dealings: Dealings, newcomers: Newcomers) -> EpochHash:
    """Of the successor that a resharing makes, as everybody can see it (step 6.8.3).

    Raises:
        ProtocolAbort: naming every holder whose dealing is bad, with evidence on disk.
    """
    setup = reshare_setup(live.body, suite, dealings.proposed, newcomers)
    with evidence_kept(live.holder, live.body, dealings):
        commitments = reshare.check(setup, dealings.payloads())
    return successor_body(live.body, commitments, dealings.digests, dealings.proposed).hash


def _successor_of(live: LiveEpoch, dealings: Dealings, commitments: Iterable[bytes]) -> Successor:
    body = successor_body(live.body, commitments, dealings.digests, dealings.proposed)
    return Successor(body, dealings.proposed.content.attempt, dealings.transcript)


@contextmanager
def evidence_kept(holder: ActingHolder, replaced: EpochBody, dealings: Dealings) -> Iterator[None]:
    """A dealing that does not hold is evidence, and a line in the audit log."""
    named: dict[str, Json] = {
        "wallet_id": replaced.terms.wallet_id.hex(),
        "epoch_hash": replaced.hash.hex(),
        "attempt": dealings.proposed.content.attempt.to_bytes().hex(),
    }
    among = replace(holder, keys=holder.keys.under(dealings.proposed.keys.roster))
    with refusals_recorded(among, named, unbundled(dealings.transcript)):
        yield
