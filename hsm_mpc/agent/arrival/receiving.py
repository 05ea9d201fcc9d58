"""All DEALs → ACK': the new holder's share is checked, sealed, opened (steps 6.8.3 and 6.8.4).

CERT → DONE': it is certified, and opens. Neither is a vote: the old holders decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.arrival.greeting import Greeted, place_in
from hsm_mpc.agent.kek_digest import kek_digest_of
from hsm_mpc.agent.succession.adopting import done_of
from hsm_mpc.agent.succession.blobs import blob_of, require_opens_to
from hsm_mpc.agent.succession.dealing import reshare_setup
from hsm_mpc.agent.succession.staging import Dealings, evidence_kept, received_dealings
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.certificates.done import ack_message
from hsm_mpc.errors import BadInput, InvalidSignature, ProtocolAbort, Refused, Tampered
from hsm_mpc.ids import WalletId
from hsm_mpc.protocols import reshare
from hsm_mpc.protocols.refresh import Renewed
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.roster import Roster
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.succession.ack import Ack
from hsm_mpc.succession.addresses import address_in, expected_in
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.newcomers import Newcomers
from hsm_mpc.succession.propose import Proposed, attempt_of, check_propose
from hsm_mpc.succession.successor import SuccessorCertificate, successor_body
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import (
    FIRST_NEW_HOLDER,
    NEW_ACK,
    NEW_DONE,
    PROPOSE,
    SUCCESSOR,
)


def receive(
    holder: ActingHolder,
    suite: Suite,
    body: EpochBody,
    greeted: Greeted,
    propose: bytes,
    deals: Sequence[bytes],
    channels: Sequence[bytes],
) -> bytes:
    """The own ACK' message: the share is durable, and opens.

    Args:
        body: of the epoch that is shared anew.
        deals: one DEAL of each dealer, ascending; `channels`: their CHANNEL messages.

    Raises:
        ProtocolAbort: the proposal does not hold; or naming every holder whose dealing is bad, with
            evidence on disk.
        Tampered, BackendError: HSM or disk: the attempt is lost.
        BadEncoding, InvalidSignature: a message is not what is waited for.
    """
    proposed = proposed_to(holder, body, greeted, propose)
    dealings = received_dealings(body, proposed, deals, channels)
    with _shared(holder, suite, body, greeted, dealings) as renewed:
        successor = successor_body(body, renewed.commitments, dealings.digests, proposed)
        record = _sealed(holder, body, successor, greeted, dealings, renewed)
    h, k = successor.hash, FIRST_NEW_HOLDER + greeted.place
    digest = kek_digest_of(holder.token, greeted.key)
    signed = ack_message(h, k, digest, record.blob_digest)
    signature = holder.identity.sign(Tag.ACK, signed)
    ack = Ack(greeted.attempt, h, Acknowledgement(digest, record.blob_digest, signature))
    address = address_in(body, greeted.attempt, k)
    message = holder.signed_by_identity(NEW_ACK, address, ack.to_bytes())
    alpha = greeted.attempt.to_bytes()
    holder.attempts(body.terms.wallet_id).keep(alpha, AttemptDocument.NEW_ACK, message)
    return message


def confirm(
    holder: ActingHolder, body: EpochBody, source: bytes
) -> tuple[bytes, SuccessorCertificate]:
    """CERT → the own DONE' message, and what it confirms; a repeat is answered with the same bytes.

    Raises:
        Tampered: the certificate does not hold, or the own share does not open.
        Refused: `not-a-member`: it is of no resharing to this holder; `other-epoch`: this holder's
            HSM has another epoch of that wallet.
        BackendError: HSM or disk.
        BadEncoding, InvalidSignature: the message is not what is waited for.
    """
    message = parse_envelope(source)
    certificate = SuccessorCertificate.from_bytes(message.payload)
    keys = holder.keys_of(body)
    made_in = certificate.verify(body, keys)
    attempt = made_in.content.attempt
    senders = keys.may_show_proof(message.address.sender)
    expected = expected_in(SUCCESSOR, body, attempt, senders)
    holder.inbox(keys).accept(message, expected, holder.clock())
    if made_in.newcomers is None:
        raise Refused("not-a-member", "that successor gives nobody a share anew")
    epochs, h = holder.epochs(body.terms.wallet_id), certificate.body.hash
    kept = epochs.kept(h, EpochDocument.DONE)
    if kept is not None:
        return kept, certificate
    register = holder.registers.read(body.terms.wallet_id)
    if register is not None and register.epoch_hash != body.hash:
        raise Refused("other-epoch", "this holder's HSM has another epoch of that wallet")
    record = epochs.record(h)
    done = done_of(holder, attempt, certificate.body, record)
    if epochs.kept(h, EpochDocument.CERTIFICATE) is None:
        epochs.keep(h, EpochDocument.CERTIFICATE, message.payload)
    k = FIRST_NEW_HOLDER + place_in(holder, made_in.newcomers.resharing.roster)
    said = holder.signed_by_identity(NEW_DONE, address_in(body, attempt, k), done.to_bytes())
    epochs.keep(h, EpochDocument.DONE, said)
    return said, certificate


def proposed_to(holder: ActingHolder, body: EpochBody, greeted: Greeted, source: bytes) -> Proposed:
    """PROPOSE of a coordinator known here that deals to this very HELLO' (step 6.8.1).

    Raises:
        BadEncoding, InvalidSignature: it is no PROPOSE of such a coordinator.
        ProtocolAbort: signed, and it does not hold; or it is of another attempt.
    """
    message, wallet_id = parse_envelope(source), body.terms.wallet_id
    attempt = attempt_of(message)
    keys, attempts = holder.keys_of(body), holder.attempts(wallet_id)
    holder.inbox(keys).accept(message, expected_in(PROPOSE, body, attempt, None), holder.clock())
    alpha = greeted.attempt.to_bytes()
    asked = parse_envelope(attempts.kept(alpha, AttemptDocument.ASK) or b"").payload
    try:
        proposed = check_propose(message, body, keys, Ask.from_bytes(asked).resharing)
    except (BadInput, InvalidSignature) as broken:
        raise ProtocolAbort(
            f"coordinator {message.address.sender} proposes what does not hold: {broken}"
        ) from broken
    content, hello = proposed.content, attempts.kept(alpha, AttemptDocument.HELLO)
    if attempt != greeted.attempt or content.ask_digest != Ask.from_bytes(asked).digest:
        raise ProtocolAbort("a proposal of another attempt than the one that was answered here")
    if not content.hellos or content.hellos[greeted.place - 1] != hello:
        raise ProtocolAbort("the own hello came back altered")
    return proposed


def newcomers_of(proposed: Proposed) -> Newcomers:
    """Those who are dealt to. Raises: ProtocolAbort: nobody is; no holder is to blame."""
    if proposed.newcomers is None:
        raise ProtocolAbort("the proposal shares nothing anew")
    return proposed.newcomers


@contextmanager
def _shared(
    holder: ActingHolder, suite: Suite, body: EpochBody, greeted: Greeted, dealings: Dealings
) -> Iterator[Renewed]:
    """x' for the length of the body (step 6.8.3)."""
    setup = reshare_setup(body, suite, dealings.proposed, newcomers_of(dealings.proposed))
    with holder.arena.open():
        with evidence_kept(holder, body, dealings):
            renewed = reshare.receive(setup, greeted.place, greeted.delivery, dealings.payloads())
        try:
            yield renewed
        finally:
            renewed.share.release()


def _sealed(
    holder: ActingHolder,
    body: EpochBody,
    successor: EpochBody,
    greeted: Greeted,
    dealings: Dealings,
    renewed: Renewed,
) -> EpochRecord:
    """x' ‖ v' under KEK', with all documents of the epoch; opened again and compared (6.4.6)."""
    wallet_id = body.terms.wallet_id
    roster = newcomers_of(dealings.proposed).resharing.roster
    _keep_documents(holder, body, successor, dealings.transcript, roster)
    epochs = holder.epochs(wallet_id)
    reserved = _reserved(holder, wallet_id, successor, greeted)
    epochs.reserve(reserved)
    blob = blob_of(holder, successor, greeted.key, renewed.share, greeted.delivery)
    record = epochs.seal(reserved, blob)
    require_opens_to(holder, successor, renewed.share, greeted.delivery)
    acked = replace(record, state=EpochState.ACKED)
    epochs.change(acked)
    return acked


def _keep_documents(
    holder: ActingHolder, body: EpochBody, successor: EpochBody, transcript: bytes, roster: Roster
) -> None:
    """Body, messages, and what the epoch before had: policy and clients stay the same."""
    epochs, h = holder.epochs(body.terms.wallet_id), successor.hash
    epochs.keep(h, EpochDocument.BODY, successor.to_bytes())
    epochs.keep(h, EpochDocument.TRANSCRIPT, transcript)
    epochs.keep(h, EpochDocument.ROSTER, roster.to_bytes())
    for document in (EpochDocument.POLICY, EpochDocument.CLIENTS):
        content = epochs.kept(body.hash, document)
        if content is None:
            raise Tampered(f"the {document.value} of epoch {body.hash.hex()} is missing")
        epochs.keep(h, document, content)


def _reserved(
    holder: ActingHolder, wallet_id: WalletId, successor: EpochBody, greeted: Greeted
) -> EpochRecord:
    clients = ClientList.from_bytes(
        holder.epochs(wallet_id).kept(successor.hash, EpochDocument.CLIENTS) or b""
    )
    return EpochRecord(
        state=EpochState.STAGED,
        epoch_hash=successor.hash,
        blob_digest=NOT_SEALED,
        kek_uri=greeted.key.key_uri,
        extra_uris=(),
        key_generation=0,
        clients_version=clients.version,
        clients_hash=clients.hash,
        pairs=(),
    )
