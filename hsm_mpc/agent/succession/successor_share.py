"""The share of a successor goes to disk under a wrapping key of its own (step 6.4.6).

Order, as everywhere: the record names the key → the key in the HSM → blob and record → opened
again. Whatever a crash leaves of it is found by the record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hsm_mpc.agent.kek_digest import kek_digest_of
from hsm_mpc.agent.key_names import free_key
from hsm_mpc.agent.keygen_files import destroy_wrapping_key
from hsm_mpc.agent.offers import kept_offer
from hsm_mpc.agent.opener import find_wrapping_key, key_id_in
from hsm_mpc.agent.succession.blobs import blob_of, require_opens_to
from hsm_mpc.agent.succession.live import LiveEpoch, opened_share
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.wrapping.base import WrappingKey
from hsm_mpc.wrapping.token_keys import made_key


@dataclass(frozen=True, slots=True)
class Successor:
    """An epoch to be: its body, the attempt that made it, and the messages that it came from."""

    body: EpochBody
    made_in: Attempt
    """Of the PROPOSE that made it new, also where a later attempt carries it on."""
    transcript: bytes


@dataclass(frozen=True, slots=True)
class SealedSuccessor:
    """Its record on disk, and what the holder says of its wrapping key."""

    record: EpochRecord
    kek_digest: bytes


def seal_successor(live: LiveEpoch, successor: Successor, share: Secret) -> SealedSuccessor:
    """Draw v', seal x' ‖ v', write blob and record, open it again, compare: STAGED is durable.

    A share of it that was sealed before is kept if it opens; else it is made anew, with another v'.

    Raises:
        Tampered: what was sealed opens to something else, or x' is not the share of this index.
        BackendError: HSM or disk; to be begun again.
    """
    staged = live.successor(successor.body.hash)
    reserved = _reserved(live, successor)
    if staged is not None and staged.record.blob_digest != NOT_SEALED:
        try:
            return _opened_again(live, staged.record, successor.body)
        except Tampered:  # its blob or its key is lost, and here is the share once more
            reserved = replace(staged.record, kek_uri=reserved.kek_uri)
    else:
        _keep_documents(live, successor)
        live.epochs.reserve(reserved)
    key = _fresh_key(live, reserved)
    holder = live.holder
    with holder.arena.open(), holder.arena.scope() as take:
        delivery = take(share.size)
        successor.body.terms.group.random_nonzero(delivery, holder.entropy)
        blob = blob_of(holder, successor.body, key, share, delivery)
        record = live.epochs.seal(reserved, blob)
        require_opens_to(holder, successor.body, share, delivery)
    return SealedSuccessor(record, kek_digest_of(holder.token, key))


def _opened_again(live: LiveEpoch, record: EpochRecord, body: EpochBody) -> SealedSuccessor:
    holder = live.holder
    with opened_share(holder, body):
        pass
    key = find_wrapping_key(holder.token, record.kek_uri, live.wallet_id)
    return SealedSuccessor(record, kek_digest_of(holder.token, key))


def _reserved(live: LiveEpoch, successor: Successor) -> EpochRecord:
    """The record that names the key before there is one (step 6.2.2)."""
    before = live.held.record
    generation, uri = _own_key(live, successor)
    return EpochRecord(
        state=EpochState.STAGED,
        epoch_hash=successor.body.hash,
        blob_digest=NOT_SEALED,
        kek_uri=uri,
        extra_uris=(),
        key_generation=generation,
        clients_version=before.clients_version,
        clients_hash=before.clients_hash,
        pairs=(),
    )


def _own_key(live: LiveEpoch, successor: Successor) -> tuple[int, str]:
    """The first g and URI of a key that is no other epoch's, and of no offer: two successors may
    come from one attempt, where a coordinator and a holder say two things in it.
    """
    offered = kept_offer(live.holder, live.wallet_id)
    others = [each for each in live.epochs.records() if each.epoch_hash != successor.body.hash]
    taken = {uri for each in others for uri in each.kek_uris}
    if offered is not None:
        taken.add(offered.kek_uri)
    origin = live.body.hash, successor.made_in
    return free_key(live.holder, live.wallet_id, origin, 0, taken)


def _keep_documents(live: LiveEpoch, successor: Successor) -> None:
    """Body, messages, and what the epoch before had: policy and clients stay the same. Of a try
    that failed there may be other messages: of a key that was rotated since, or damaged.
    """
    h, epochs = successor.body.hash, live.epochs
    epochs.keep(h, EpochDocument.BODY, successor.body.to_bytes())
    before = epochs.kept(h, EpochDocument.TRANSCRIPT)
    if before is None:
        epochs.keep(h, EpochDocument.TRANSCRIPT, successor.transcript)
    elif before != successor.transcript:
        epochs.renew(h, EpochDocument.TRANSCRIPT, successor.transcript)
    for document in (EpochDocument.POLICY, EpochDocument.CLIENTS):
        content = epochs.kept(live.body.hash, document)
        if content is None:
            raise Tampered(f"the {document.value} of epoch {live.body.hash.hex()} is missing")
        epochs.keep(h, document, content)


def _fresh_key(live: LiveEpoch, record: EpochRecord) -> WrappingKey:
    """The key that the record names; one of a try that a crash ended goes first."""
    holder, wallet_id = live.holder, live.wallet_id
    key_id = key_id_in(holder.token, record.kek_uri)
    destroy_wrapping_key(holder, wallet_id, key_id)
    label = keys.wrapping_label(wallet_id)
    key = keys.generate_wrapping_key(holder.token, key_id, label, holder.wrapping)
    return made_key(holder.token, key, holder.wrapping)
