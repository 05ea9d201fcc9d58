"""R1 and R2 → the own share again, sealed, opened and said to be there (step 6.7.5).

Order: the offer names the repair → a record → blob → the record that names it, whose rename is the
commit → DONE → keys that no record names go → the register → the roster's amendment → the offer
goes. What a crash interrupts, the same call finishes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.offers import Offer, kept_offer
from hsm_mpc.agent.opener import find_wrapping_key
from hsm_mpc.agent.refusals import refusals_recorded
from hsm_mpc.agent.repair.helping import named, received_splits
from hsm_mpc.agent.repair.offering import (
    kek_digest_in,
    opened_offer,
    spend_if_complained,
    withdraw_if_useless,
)
from hsm_mpc.agent.repair.orders import setup_of
from hsm_mpc.agent.repair.register import catch_up, is_in_roster, is_undecided
from hsm_mpc.agent.succession.blobs import blob_of, require_opens_to
from hsm_mpc.agent.succession.dropping import destroy_all_but
from hsm_mpc.agent.succession.live import opened_share
from hsm_mpc.agent.wallets import body_of
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.certificates.done import Done, ack_message
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Refused, Tampered
from hsm_mpc.ids import WalletId
from hsm_mpc.protocols import repair, repair_checks
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.store.repairs import RepairDocument
from hsm_mpc.succession.amendment import Repaired
from hsm_mpc.succession.repairing import RepairAck, address_in_repair, expected_in_repair
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import bundle, parse_envelope, unbundled
from hsm_mpc.wire.rounds import REPAIR_ACK, REPAIR_DONE, SUM


def recover(
    holder: ActingHolder,
    suite: Suite,
    order: RepairOrder,
    body: EpochBody,
    messages: tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes]],
) -> tuple[bytes, bytes]:
    """The own ACK and DONE messages, once the share is there.

    Args:
        messages: the DONEs of the order; R1 and R2 of all helpers, ascending.

    Raises:
        Refused: `other-order`: it is not about what this holder has prepared; or `complained`.
        ProtocolAbort: naming every helper whose message is bad, with evidence on disk; or nobody.
        Tampered, BackendError: HSM or disk; to be called again.
        BadEncoding, InvalidSignature: a message is not what is waited for.
    """
    settle(holder, order.wallet_id)
    said = _done_in(holder, order)
    if said is not None:
        return _acknowledged(holder, order, body), said
    repairs = holder.store.repairs(order.wallet_id)
    if repairs.kept(order.session_id, RepairDocument.COMPLAINT) is not None:
        raise Refused("complained", "this holder has complained of a helper in that repair")
    offered = kept_offer(holder, order.wallet_id)
    if offered is None:
        raise Refused("other-order", "this holder has prepared no repair of that wallet")
    digest = kek_digest_in(holder, order.wallet_id, offered)
    ours = offered.delivery_key, digest, holder.identity.key
    if (order.delivery_key, order.kek_digest, order.identity_key) != ours:
        raise Refused("other-order", "that order is about another key than this holder's")
    if not _is_sealed(holder, body, offered):
        dones, splits, sums = messages
        setup = setup_of(holder, suite, order, body, dones)
        if repairs.kept(order.session_id, RepairDocument.ORDER) is None:
            begun = bundle([order.terms, *dones])
            repairs.keep(order.session_id, RepairDocument.ORDER, begun)
        if repairs.kept(order.session_id, RepairDocument.SIGNED) is None:
            repairs.keep(order.session_id, RepairDocument.SIGNED, order.to_bytes())
        with refusals_recorded(holder, named(order, body), (*splits, *sums)):
            checked = repair_checks.verify(setup, received_splits(holder, order, body, splits))
            received = received_sums(holder, order, body, sums)
            with opened_offer(holder, body, offered) as delivery:
                share = repair.recover(checked, delivery, received)
                try:
                    repairs.put_offer(replace(offered, taken_by=order.session_id).to_bytes())
                    _seal(holder, order, body, offered, share, delivery)
                finally:
                    share.release()
    done = _finished(holder, order, body)
    return _acknowledged(holder, order, body), done


def settle(holder: ActingHolder, wallet_id: WalletId) -> None:
    """Finish what a crash or a failing HSM interrupted once the share was sealed, or the own
    complaint was on disk. Nothing is left of an offer that is of no use any more.

    Raises:
        Tampered, BackendError: HSM or disk; to be called again.
    """
    if holder.store.repairs(wallet_id).offer() is None:
        return
    offered = kept_offer(holder, wallet_id)
    if offered is not None and offered.taken_by:
        _settle_sealed(holder, wallet_id, offered)
    spend_if_complained(holder, wallet_id)
    withdraw_if_useless(holder, wallet_id)


def _settle_sealed(holder: ActingHolder, wallet_id: WalletId, offered: Offer) -> None:
    kept = holder.store.repairs(wallet_id).kept(offered.taken_by, RepairDocument.ORDER)
    if kept is None:  # the disk has lost it: another order is wanted
        return
    order = RepairOrder.from_terms(unbundled(kept)[0])
    encoded = holder.epochs(wallet_id).kept(order.epoch_hash, EpochDocument.BODY)
    if encoded is None:  # a successor whose share was never sealed went at the start
        return
    body = body_of(order.epoch_hash, encoded)
    if _is_sealed(holder, body, offered):
        _finished(holder.at(body), order, body)


def is_done(holder: ActingHolder, order: RepairOrder) -> bool:
    """Whether this very repair was finished here."""
    return _done_in(holder, order) is not None


def _done_in(holder: ActingHolder, order: RepairOrder) -> bytes | None:
    """The own DONE of this very repair."""
    said = holder.epochs(order.wallet_id).kept(order.epoch_hash, EpochDocument.DONE)
    if said is None:
        return None
    message = parse_envelope(said)
    ours = message.kind is REPAIR_DONE and message.address.session_id == order.session_id
    return said if ours else None


def received_sums(
    holder: ActingHolder, order: RepairOrder, body: EpochBody, sources: Sequence[bytes]
) -> Mapping[int, bytes]:
    """R2 of each helper, ascending, to the holder that is repaired.

    Raises:
        BadEncoding, InvalidSignature: it is not that.
    """
    if len(sources) != len(order.helpers):
        raise BadEncoding(f"{len(sources)} messages R2 of {len(order.helpers)} helpers")
    inbox, received = holder.inbox(holder.lineage_of(body).newest), {}
    for helper, source in zip(order.helpers, sources, strict=True):
        expected = expected_in_repair(SUM, order, (helper,), order.lost)
        received[helper] = inbox.receive(source, expected, holder.clock()).payload
    return received


def _is_sealed(holder: ActingHolder, body: EpochBody, offered: Offer) -> bool:
    """Whether the record names this key already, and the share opens with it."""
    for record in holder.epochs(body.terms.wallet_id).records():
        if record.epoch_hash != body.hash or record.blob_digest == NOT_SEALED:
            continue
        if record.kek_uri == offered.kek_uri:
            with suppress(Tampered), opened_share(holder, body):
                return True
    return False


def _seal(
    holder: ActingHolder,
    order: RepairOrder,
    body: EpochBody,
    offered: Offer,
    share: Secret,
    delivery: Secret,
) -> None:
    """x_r ‖ v_r under the new key, opened again and compared."""
    key = find_wrapping_key(holder.token, offered.kek_uri, order.wallet_id)
    blob = blob_of(holder, body, key, share, delivery)
    holder.audit("share-repaired", named(order, body))
    holder.epochs(order.wallet_id).seal(_reserved(holder, body, offered), blob)
    require_opens_to(holder, body, share, delivery)


def _reserved(holder: ActingHolder, body: EpochBody, offered: Offer) -> EpochRecord:
    """The record that was there, with another key; or a new one of an epoch that lives, or may
    come to, on disk before its blob is.
    """
    epochs = holder.epochs(body.terms.wallet_id)
    for record in epochs.records():
        if record.epoch_hash == body.hash:
            certified = record.state is EpochState.CERTIFIED  # and all have confirmed it since
            return replace(
                record,
                state=EpochState.ACTIVE if certified else record.state,
                kek_uri=offered.kek_uri,
                extra_uris=(),
                key_generation=offered.key_generation,
            )
    clients = ClientList.from_bytes(epochs.kept(body.hash, EpochDocument.CLIENTS) or b"")
    reserved = EpochRecord(
        state=EpochState.STAGED if is_undecided(holder, body) else EpochState.ACTIVE,
        epoch_hash=body.hash,
        blob_digest=NOT_SEALED,
        kek_uri=offered.kek_uri,
        extra_uris=(),
        key_generation=offered.key_generation,
        clients_version=clients.version,
        clients_hash=clients.hash,
        pairs=(),
    )
    epochs.reserve(reserved)
    return reserved


def _finished(holder: ActingHolder, order: RepairOrder, body: EpochBody) -> bytes:
    """DONE goes to disk in the place of the one before: the next succession names V_r by it. Then
    what is not needed any more goes.
    """
    epochs = holder.epochs(order.wallet_id)
    digest = epochs.record(body.hash).blob_digest
    done = Done(Attempt.NONE, body.hash, order.delivery_key, order.kek_digest, digest)
    address = address_in_repair(order, holder.me)
    said = holder.signed_by_identity(REPAIR_DONE, address, done.to_bytes())
    epochs.renew(body.hash, EpochDocument.DONE, said)
    destroy_all_but(holder, order.wallet_id, epochs.records())
    catch_up(holder, body)
    if not is_in_roster(holder, body):
        _amend(holder, order, body)
    holder.store.repairs(order.wallet_id).remove_offer()
    return said


def _amend(holder: ActingHolder, order: RepairOrder, body: EpochBody) -> None:
    """This holder's HSM is another one than before: what proves it to the others goes to disk."""
    signed = holder.store.repairs(order.wallet_id).kept(order.session_id, RepairDocument.SIGNED)
    ack = _acknowledged(holder, order, body)
    try:
        amendment = Repaired(RepairOrder.from_bytes(signed or b""), ack).to_bytes()
        lineage = holder.lineage_of(body).with_pending(amendment)
    except (BadInput, InvalidSignature) as broken:
        raise Tampered(f"the order of a repair does not hold any more: {broken}") from broken
    roster_hash = lineage.newest.roster.hash.hex()
    holder.audit("roster-amended", {**named(order, body), "roster_hash": roster_hash})
    holder.keep_lineage(order.wallet_id, lineage)


def _acknowledged(holder: ActingHolder, order: RepairOrder, body: EpochBody) -> bytes:
    """ACK: the share is sealed under that key, and opens."""
    with opened_share(holder, body):
        digest = holder.epochs(order.wallet_id).record(body.hash).blob_digest
    signed = ack_message(body.hash, holder.me, order.kek_digest, digest)
    ack = Acknowledgement(order.kek_digest, digest, holder.identity.sign(Tag.ACK, signed))
    address = address_in_repair(order, holder.me)
    payload = RepairAck(body.hash, ack).to_bytes()
    return holder.signed_by_identity(REPAIR_ACK, address, payload)
