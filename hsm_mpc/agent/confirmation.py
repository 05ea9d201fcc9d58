"""After the released signature: CERT, the own DONE, and the DONEs of all (step 2.6.8).

Everything here stands on the store and the HSM alone, so it goes on after a restart. Callers see
to it that one thread at a time works on a wallet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hsm_mpc.agent.acting import NO_EPOCH, ActingHolder
from hsm_mpc.agent.first_share import open_and_check
from hsm_mpc.agent.refusals import refusals_recorded
from hsm_mpc.agent.wallets import check_register
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.done import Done
from hsm_mpc.errors import BadEncoding, BadInput, NotReady, ProtocolAbort, Refused, Tampered
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.sealing.cms import SHARE_BYTES
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import EpochRecord, EpochState
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.wire.dones import check_all_done
from hsm_mpc.wire.envelope import bundle, parse_envelope
from hsm_mpc.wire.inbox import Expected
from hsm_mpc.wire.rounds import CERTIFICATE, DONE


def certify(holder: ActingHolder, source: bytes) -> bytes:
    """PREPARED → CERTIFIED on a valid certificate; the own DONE message, repeated verbatim.

    Raises:
        BadEncoding, InvalidSignature, Tampered: no valid certificate under the pinned roster.
        Refused: `unknown-wallet`, or `other-share`: it certifies another blob than the own.
        Tampered: the own share does not open any more, or the HSM's register disagrees.
    """
    certificate = _certificate_in(holder, source)
    h = certificate.body.hash
    epochs, record = _own_record(holder, certificate, h)
    kept = epochs.kept(h, EpochDocument.DONE)
    if kept is not None:
        return kept
    _check_own_share(holder, certificate, record)
    if record.state is EpochState.PREPARED:
        holder.audit("keygen-certified", {"epoch_hash": h.hex()})
        _keep_once(epochs, h, EpochDocument.CERTIFICATE, certificate.to_bytes())
        _keep_roster(holder, certificate)
        epochs.change(replace(record, state=EpochState.CERTIFIED))
    kept = _done_message(holder, certificate)
    epochs.keep(h, EpochDocument.DONE, kept)
    return kept


def activate(holder: ActingHolder, wallet_id: WalletId, sources: Sequence[bytes]) -> None:
    """CERTIFIED → ACTIVE on the DONEs of all n holders (step 2.6.8).

    Raises:
        BadEncoding, InvalidSignature: a message is not a DONE of this wallet.
        ProtocolAbort: a signed DONE does not say what the certificate says (the DONEs are kept as
            evidence), or the own one came back altered.
        Refused, NotReady: no such wallet, or it is not certified.
    """
    epochs = holder.epochs(wallet_id)
    record, certificate = _certified(epochs, parse_envelope(sources[0]).address.session_id)
    h, seat = record.epoch_hash, holder.at(certificate.body)
    try:
        check_all_done(seat.keys, certificate, sources, holder.clock())
    except ProtocolAbort:
        named = {"wallet_id": wallet_id.hex(), "epoch_hash": h.hex()}
        with refusals_recorded(holder, named, sources):
            raise
    if sources[seat.me - 1] != epochs.kept(h, EpochDocument.DONE):
        raise ProtocolAbort("the own done came back altered")  # step 1.7.5
    if record.state is EpochState.CERTIFIED:
        holder.audit("keygen-active", {"epoch_hash": h.hex()})
        _keep_once(epochs, h, EpochDocument.DONES, bundle(sources))
        epochs.change(replace(record, state=EpochState.ACTIVE))


def _certificate_in(holder: ActingHolder, source: bytes) -> Certificate:
    """The certificate in a CERT message: it proves itself, whoever carried it."""
    message = parse_envelope(source)
    address = message.address
    named = (CERTIFICATE, address.wallet_id, address.session_id, NO_EPOCH)
    if holder.keys.knows_coordinator(address.sender):
        holder.inbox().accept(message, Expected(*named, None), holder.clock())
    certificate = Certificate.from_bytes(message.payload)
    seat = _seated(holder, certificate)
    if not holder.keys.knows_coordinator(address.sender):  # whom it counts, the roster says
        seat.inbox().accept(message, Expected(*named, seat.everybody()), holder.clock())
    belongs = (certificate.body.terms.wallet_id, certificate.extension.session_id)
    if belongs != (address.wallet_id, address.session_id):
        raise BadEncoding("CERT: the certificate of another wallet or session")
    certificate.verify(seat.roster)
    return certificate


def _keep_roster(holder: ActingHolder, certificate: Certificate) -> None:
    """Of a wallet that not all holders of the pinned roster have (step 2.6.1)."""
    terms, seat = certificate.body.terms, holder.at(certificate.body)
    began = Lineage.of((), (), terms, seat.keys)
    if began.to_bytes():
        holder.keep_lineage(terms.wallet_id, began)


def _seated(holder: ActingHolder, certificate: Certificate) -> ActingHolder:
    """This holder among those of a wallet, which it was proposed to. Raises: Tampered."""
    try:
        return holder.at(certificate.body)
    except (Refused, Tampered) as foreign:
        raise Tampered(f"certificate: it is of another roster: {foreign}") from foreign


def _certified(epochs: Epochs, session_id: bytes) -> tuple[EpochRecord, Certificate]:
    """The epoch that was made in this session, with its certificate.

    Raises:
        Refused, NotReady: there is none, or it is prepared only.
    """
    records = epochs.records()
    if not records:
        raise Refused("unknown-wallet", "this holder has no share of that wallet")
    for record in records:
        encoded = epochs.kept(record.epoch_hash, EpochDocument.CERTIFICATE)
        if encoded is None or record.state is EpochState.PREPARED:
            continue
        try:
            certificate = Certificate.from_bytes(encoded)
        except BadInput as broken:
            raise Tampered(f"the kept certificate: {broken}") from broken
        if certificate.extension.session_id == session_id:
            return record, certificate
    raise NotReady("this wallet has no certificate here yet")


def _own_record(
    holder: ActingHolder, certificate: Certificate, h: EpochHash
) -> tuple[Epochs, EpochRecord]:
    epochs = holder.epochs(certificate.body.terms.wallet_id)
    for record in epochs.records():
        if record.epoch_hash == h:
            return epochs, record
    raise Refused("unknown-wallet", "this holder has no share of the certified wallet")


def _check_own_share(holder: ActingHolder, certificate: Certificate, record: EpochRecord) -> None:
    """DONE says that the share opens, so it is opened: a restored disk or HSM may not have it."""
    position = holder.at(certificate.body).me - 1
    if certificate.acknowledgements[position].blob_digest != record.blob_digest:
        raise Refused("other-share", "the certificate names another blob than the own one")
    check_register(holder, certificate.body)
    with holder.arena.scope() as take:
        delivery_key = certificate.extension.delivery_keys[position]
        open_and_check(holder, certificate.body, delivery_key, take(SHARE_BYTES))


def _done_message(holder: ActingHolder, certificate: Certificate) -> bytes:
    position = holder.at(certificate.body).me - 1
    ack = certificate.acknowledgements[position]
    done = Done(
        Attempt.NONE,
        certificate.body.hash,
        certificate.extension.delivery_keys[position],
        ack.kek_digest,
        ack.blob_digest,
    )
    wallet_id, session_id = certificate.body.terms.wallet_id, certificate.extension.session_id
    seat = holder.at(certificate.body)
    return seat.identity_message(DONE, wallet_id, session_id, done.to_bytes())


def _keep_once(epochs: Epochs, h: EpochHash, document: EpochDocument, content: bytes) -> None:
    """A document that a crash may have left whole, by others' hands in other bytes as valid."""
    if epochs.kept(h, document) is None:
        epochs.keep(h, document, content)
