"""After the released signature: CERT, the own DONE, and the DONEs of all (step 2.6.8).

Everything here stands on the store alone, so it goes on after a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.done import Done
from hsm_mpc.encoding import lv32
from hsm_mpc.errors import BadEncoding, NotReady, Refused
from hsm_mpc.ids import EpochHash
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import EpochRecord, EpochState
from hsm_mpc.wire.dones import check_all_done
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.inbox import Expected
from hsm_mpc.wire.rounds import CERTIFICATE, DONE

_NO_EPOCH = EpochHash(bytes(32))


def certify(holder: ActingHolder, source: bytes) -> bytes:
    """PREPARED → CERTIFIED on a valid certificate; the own DONE message, repeated verbatim.

    Raises:
        BadEncoding, Tampered: the message is no valid certificate under the pinned roster.
        Refused: `unknown-wallet`, or `other-share`: it certifies another blob than the own.
    """
    certificate = _certificate_in(holder, source)
    epochs, record = _own_record(holder, certificate)
    h = certificate.body.hash
    _check_own_share(holder, certificate, record)
    kept = epochs.kept(h, EpochDocument.DONE)
    if record.state is EpochState.PREPARED:
        holder.audit("keygen-certified", {"epoch_hash": h.hex()})
        epochs.keep(h, EpochDocument.CERTIFICATE, certificate.to_bytes())
        record = replace(record, state=EpochState.CERTIFIED)
        epochs.change(record)
    if kept is None:
        kept = _done_message(holder, certificate)
        epochs.keep(h, EpochDocument.DONE, kept)
    return kept


def activate(holder: ActingHolder, sources: Sequence[bytes]) -> None:
    """CERTIFIED → ACTIVE on the DONEs of all n holders (step 2.6.8).

    Raises:
        BadEncoding, InvalidSignature: a message is not a DONE of this wallet.
        Tampered: a signed DONE does not say what the certificate says.
        Refused, NotReady: no such wallet, or it is not certified.
    """
    if not sources:
        raise BadEncoding("no done at all")
    wallet_id = parse_envelope(sources[0]).address.wallet_id
    epochs = holder.epochs(wallet_id)
    for record in epochs.records():
        encoded = epochs.kept(record.epoch_hash, EpochDocument.CERTIFICATE)
        if record.state is EpochState.PREPARED or encoded is None:
            raise NotReady("this wallet has no certificate here yet")
        certificate = Certificate.from_bytes(encoded)
        check_all_done(holder.keys, certificate, sources, holder.clock())
        if record.state is EpochState.CERTIFIED:
            holder.audit("keygen-active", {"epoch_hash": record.epoch_hash.hex()})
            all_done = b"".join(lv32(source) for source in sources)
            epochs.keep(record.epoch_hash, EpochDocument.DONES, all_done)
            epochs.change(replace(record, state=EpochState.ACTIVE))
        return
    raise Refused("unknown-wallet", "this holder has no share of that wallet")


def _certificate_in(holder: ActingHolder, source: bytes) -> Certificate:
    """The certificate in a CERT message: it proves itself, whoever carried it."""
    message = parse_envelope(source)
    certificate = Certificate.from_bytes(message.payload)
    session_id = certificate.extension.session_id
    wallet_id = certificate.body.terms.wallet_id
    senders = None if holder.keys.knows_coordinator(message.address.sender) else holder.everybody()
    expected = Expected(CERTIFICATE, wallet_id, session_id, _NO_EPOCH, senders)
    holder.inbox().receive(source, expected, holder.clock())
    certificate.verify(holder.roster)
    return certificate


def _own_record(holder: ActingHolder, certificate: Certificate) -> tuple[Epochs, EpochRecord]:
    epochs = holder.epochs(certificate.body.terms.wallet_id)
    if certificate.body.hash not in epochs.hashes():
        raise Refused("unknown-wallet", "this holder has no share of the certified wallet")
    return epochs, epochs.record(certificate.body.hash)


def _check_own_share(holder: ActingHolder, certificate: Certificate, record: EpochRecord) -> None:
    if certificate.acknowledgements[holder.me - 1].blob_digest != record.blob_digest:
        raise Refused("other-share", "the certificate names another blob than the own one")


def _done_message(holder: ActingHolder, certificate: Certificate) -> bytes:
    position = holder.me - 1
    ack = certificate.acknowledgements[position]
    done = Done(
        Attempt.NONE,
        certificate.body.hash,
        certificate.extension.delivery_keys[position],
        ack.kek_digest,
        ack.blob_digest,
    )
    wallet_id, session_id = certificate.body.terms.wallet_id, certificate.extension.session_id
    return holder.identity_message(DONE, wallet_id, session_id, done.to_bytes())
