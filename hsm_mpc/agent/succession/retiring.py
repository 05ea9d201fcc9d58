"""RETIRE → DESTROYED: the key of the replaced epoch goes, and every old copy with it (6.5.7).

The record that says so is durable before the key is destroyed, and the own share of the successor
has opened before that. Each step may be done again: what a crash interrupts is finished at the
next start.
"""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.holdings import newest_done, say_done_again
from hsm_mpc.agent.offers import is_of_offer, kept_offer
from hsm_mpc.agent.succession.adopting import (
    certificate_in,
    done_of,
    is_in,
    share_of,
)
from hsm_mpc.agent.succession.dropping import destroy_all_but, destroy_keys
from hsm_mpc.agent.succession.live import SUCCESSOR_STATES, LiveEpoch, opened_share, require_closed
from hsm_mpc.agent.succession.votes import obey
from hsm_mpc.agent.wallets import HeldEpoch
from hsm_mpc.audit import Json
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.order import Order
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import (
    BadInput,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    Tampered,
)
from hsm_mpc.hsm.register import Register
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.store.attempts import AttemptDocument, Attempts
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.succession.addresses import address_in, expected_in
from hsm_mpc.succession.destroyed import Destroyed
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.ordering import replaced_in
from hsm_mpc.succession.propose import Proposed
from hsm_mpc.succession.retirement import Retired, Retirement
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.envelope import parse_envelope, unbundled
from hsm_mpc.wire.rounds import ADOPTION, DESTROYED, RETIRE

_Shown = tuple[SuccessorCertificate, Proposed]
"""What certifies a successor, verified once, and the attempt that made it."""
_UNKNOWN = "this holder does not know the successor: it wants the certificate"


def begin(
    live: LiveEpoch, suite: Suite, source: bytes, certificate: bytes, transcript: bytes
) -> None:
    """Condemn the live epoch on the proof in a RETIRE message: durable, then `finish` it.

    Args:
        certificate: the CERT message of the successor, for a holder that has not adopted it.
        transcript: what made it, for a holder without a share of it; else empty.

    Raises:
        Refused: `other-vote` or `other-order`: an order that this holder does not obey.
        ProtocolAbort: it is no proof; nobody is to blame. Or a dealing for this holder is bad.
        NotReady: this holder has no share of the successor: certificate and transcript are wanted.
        Tampered: the own share of the successor does not open: nothing is destroyed.
        BackendError: HSM or disk; to be called again.
        BadEncoding, InvalidSignature: a message is not what is waited for.
    """
    retired, payload, shown = _retired_in(live, source, certificate)
    register = live.register
    if retired.order is not None:
        register = obey(register, retired.attempt, retired.successor)
    _take_successor(live, suite, retired, shown, transcript)
    live.audit(
        "epoch-retiring",
        {
            "successor": retired.successor.hex(),
            "attempt": retired.attempt.to_bytes().hex(),
            "adopters": list(retired.adopters),
            **_ordered(retired.order),
        },
    )
    if register != live.register:
        live.holder.registers.write(live.wallet_id, register)
    kept = live.epochs.kept(live.body.hash, EpochDocument.RETIREMENT)
    if kept is None:
        live.epochs.keep(live.body.hash, EpochDocument.RETIREMENT, payload)
    elif kept != payload and live.held.record.state is not EpochState.RETIRING:
        # Who offered a repair was shown it, and ended nothing for it.
        live.epochs.renew(live.body.hash, EpochDocument.RETIREMENT, payload)
    live.epochs.change(replace(live.held.record, state=EpochState.RETIRING))


def _ordered(order: Order | None) -> dict[str, Json]:
    """What the audit log says of an order that is obeyed."""
    if order is None:
        return {}
    return {"order": order.terms.hex(), "suspects": list(order.suspects), "reason": order.reason}


def finish(live: LiveEpoch) -> bytes:
    """Destroy what a durable retirement has condemned; the own DESTROYED message.

    Raises:
        Tampered: the share of the successor does not open: nothing is destroyed.
        BackendError: HSM or disk; to be called again.
    """
    retired, certificate = _kept_retirement(live)
    live.keep(live.lineage_after(certificate))
    successor = live.successor(retired.successor)
    if successor is None and not _leaves(live, retired.successor):
        raise Tampered("the share of the successor is missing: nothing is destroyed")
    if successor is not None:
        with opened_share(live.holder, successor.body):
            pass
    overtaken = [each.record for each in live.successors if each is not successor]
    for record in (live.held.record, *overtaken):
        destroy_keys(live.holder, live.wallet_id, record)
    staying = [] if successor is None else [successor.record]
    destroy_all_but(live.holder, live.wallet_id, staying)
    require_closed(live.holder, live.body)
    message = _destroyed_message(live, retired)
    if successor is None:
        _leave(live)
        return message
    said = live.epochs.kept(successor.body.hash, EpochDocument.DONE)
    if certificate.shared_anew is None:
        _keep_own_done(live, retired, successor, said)
    elif said is not None:  # as a new holder it has, before it voted
        say_done_again(live.holder, successor.body, said)
    live.holder.registers.write(live.wallet_id, Register(successor.body.hash))
    settle(live.holder, live.wallet_id, Register(successor.body.hash))
    return message


def _leaves(live: LiveEpoch, successor: EpochHash) -> bool:
    """Whether this holder has no share of a certified successor: it was shared anew to others, or
    to the HSM that this holder has lost since.
    """
    encoded = live.epochs.kept(successor, EpochDocument.CERTIFICATE)
    new = None if encoded is None else SuccessorCertificate.from_bytes(encoded).shared_anew
    return new is not None and not is_in(live.holder, new.roster)


def _leave(live: LiveEpoch) -> None:
    """Nothing of the wallet stays but public documents; the register goes last."""
    for each in live.successors:
        live.epochs.drop(each.body.hash)
    live.epochs.forget_share(live.body.hash)
    for attempt in live.attempts.all():
        live.attempts.forget(attempt)
    live.holder.registers.destroy(live.wallet_id)


def settle(holder: ActingHolder, wallet_id: WalletId, register: Register) -> None:
    """The store follows the register: its epoch is active, and nothing is left of older ones. Of a
    holder that has left, no register is left either.

    Raises:
        Tampered, BackendError: HSM or disk; to be called again.
    """
    epochs, attempts = holder.epochs(wallet_id), holder.attempts(wallet_id)
    destroyed = epochs.kept(register.epoch_hash, EpochDocument.DESTROYED)
    if destroyed is not None and not epochs.records():
        for attempt in attempts.all():
            attempts.forget(attempt)
        holder.registers.destroy(wallet_id)
        return
    for record in epochs.records():
        if record.epoch_hash == register.epoch_hash:
            if record.state in SUCCESSOR_STATES:
                epochs.change(replace(record, state=EpochState.ACTIVE))
        elif record.state is EpochState.RETIRING:
            epochs.forget_share(record.epoch_hash)
        elif _is_to_be_repaired(holder, wallet_id, record):
            if not is_of_offer(holder, wallet_id, record):
                destroy_keys(holder, wallet_id, record)
            epochs.unreserve(record.epoch_hash)
        elif _is_dead(epochs, record, register.epoch_hash):
            destroy_keys(holder, wallet_id, record)
            epochs.drop(record.epoch_hash)
    for attempt in attempts.all():
        if not _is_to_replace(attempts, attempt, register.epoch_hash):
            attempts.forget(attempt)


def _retired_in(
    live: LiveEpoch, source: bytes, certificate: bytes
) -> tuple[Retired, bytes, _Shown]:
    message = parse_envelope(source)
    try:
        retirement = Retirement.from_bytes(message.payload)
        shown = _successor_shown(live, retirement.successor_in(live.body), certificate)
        if shown is None:
            raise NotReady(_UNKNOWN)
        lineage = live.lineage_told(shown[0])
        keys = lineage.voters(live.body.terms.roster_hash, shown[0])
        lost = replaced_in(lineage, live.body.hash)
        retired = retirement.check(live.body, keys, shown[0], lost)
    except (BadInput, InvalidSignature) as broken:
        raise ProtocolAbort(f"a retirement that is none: {broken}") from broken
    senders = live.holder.keys.may_show_proof(message.address.sender)
    expected = expected_in(RETIRE, live.body, retired.attempt, senders)
    live.holder.inbox().accept(message, expected, live.holder.clock())
    return retired, message.payload, shown


def _successor_shown(live: LiveEpoch, h: EpochHash, certificate: bytes) -> _Shown | None:
    """The certificate of the successor `h` that is kept here, else the one in a CERT message."""
    known = live.epochs.kept(h, EpochDocument.CERTIFICATE)
    if known is not None:
        return certificate_in(live, known)
    return certificate_in(live, parse_envelope(certificate).payload) if certificate else None


def _take_successor(
    live: LiveEpoch, suite: Suite, retired: Retired, shown: _Shown, transcript: bytes
) -> None:
    """The own share of the successor is there and certified, adopted or not (step 6.5.7)."""
    certified, made_in = shown
    live.keep(live.lineage_told(certified))
    share_of(live, suite, certified, made_in, transcript)
    live.keep_certificate(certified)


def _kept_retirement(live: LiveEpoch) -> tuple[Retired, SuccessorCertificate]:
    payload = live.epochs.kept(live.body.hash, EpochDocument.RETIREMENT)
    if payload is None:
        raise Tampered("the proof of a retirement is missing: nothing is destroyed")
    return kept_retirement(live.holder, live.body, payload, live.lineage)


def kept_retirement(
    holder: ActingHolder, replaced: EpochBody, payload: bytes, lineage: Lineage
) -> tuple[Retired, SuccessorCertificate]:
    """What a RETIRE in the store proves, and of which successor.

    Raises:
        Tampered: nothing; or the store does not have the successor.
    """
    try:
        retirement = Retirement.from_bytes(payload)
        h = retirement.successor_in(replaced)
        encoded = holder.epochs(replaced.terms.wallet_id).kept(h, EpochDocument.CERTIFICATE)
        certificate = SuccessorCertificate.from_bytes(encoded or b"")
        keys = lineage.voters(replaced.terms.roster_hash, certificate)
        return retirement.check(replaced, keys, certificate, ()), certificate
    except (BadInput, InvalidSignature) as broken:
        raise Tampered(f"the kept retirement: {broken}") from broken


def retired_for(holder: ActingHolder, replaced: EpochBody, lineage: Lineage) -> EpochHash | None:
    """The successor for which an epoch has ended, as its kept proof says. Raises: Tampered."""
    kept = holder.epochs(replaced.terms.wallet_id).kept(replaced.hash, EpochDocument.RETIREMENT)
    return None if kept is None else kept_retirement(holder, replaced, kept, lineage)[0].successor


def _destroyed_message(live: LiveEpoch, retired: Retired) -> bytes:
    """Said once, with the time of the first try (M10); the audit log has it before."""
    kept = live.epochs.kept(live.body.hash, EpochDocument.DESTROYED)
    if kept is not None:
        return kept
    digest = said_kek_digest(live.holder, live.body)
    destroyed = Destroyed(
        retired.attempt, live.body.hash, retired.successor, digest, live.holder.clock()
    )
    live.audit("epoch-destroyed", {"kek_digest": digest.hex(), "at": destroyed.at})
    address = address_in(live.body, retired.attempt, live.holder.me)
    message = live.holder.signed_by_identity(DESTROYED, address, destroyed.to_bytes())
    live.epochs.keep(live.body.hash, EpochDocument.DESTROYED, message)
    return message


def said_kek_digest(holder: ActingHolder, body: EpochBody) -> bytes:
    """Of the own key of an epoch, as the own DONE names it. An old disk may have none: then nobody
    remembers that key, which is gone with all that no record names, and this is zeros.
    """
    said = holder.epochs(body.terms.wallet_id).kept(body.hash, EpochDocument.DONE)
    if said is None:
        return bytes(32)
    return Done.from_bytes(parse_envelope(said).payload, body.terms.group).kek_digest


def _keep_own_done(
    live: LiveEpoch, retired: Retired, successor: HeldEpoch, said: bytes | None
) -> None:
    """The own DONE of the successor goes with it: the next succession names V_i by it."""
    h = successor.body.hash
    own = _own_done(live, retired, successor, said)
    if said is None:
        live.epochs.keep(h, EpochDocument.DONE, own)
    elif own != said:  # a share that was repaired has been made anew since
        live.epochs.renew(h, EpochDocument.DONE, own)


def _own_done(live: LiveEpoch, retired: Retired, successor: HeldEpoch, kept: bytes | None) -> bytes:
    """The newest one that was said; where none was, or of a share that had to be made anew since,
    one of the attempt that was promised last.

    A holder that was away, or had promised a higher attempt, did not vote. Once the successor is
    decided, what it says is no vote any more; and it says nothing below its promise (step 6.5.1).
    """
    promised = Attempt.read(Reader(live.register.promised, "register"))
    attempt = max(promised, retired.attempt)
    done = done_of(live.holder, attempt, successor.body, successor.record)
    for said in (kept, newest_done(live.holder, successor.body)):
        if said is not None:
            before = Done.from_bytes(parse_envelope(said).payload, successor.body.terms.group)
            if replace(before, attempt=attempt) == done:
                return said
    address = address_in(live.body, attempt, live.holder.me)
    return live.holder.signed_by_identity(ADOPTION, address, done.to_bytes())


def _is_to_replace(attempts: Attempts, attempt: bytes, live: EpochHash) -> bool:
    """Whether what is kept of an attempt is about this epoch. Who was away has adopted in an
    attempt that it never joined: its DONE is all there is of it.
    """
    for document in AttemptDocument:
        kept = attempts.kept(attempt, document)
        if kept is not None:
            try:
                said = unbundled(kept)[0] if document is AttemptDocument.CARRIED else kept
                return parse_envelope(said).address.epoch_hash == live
            except BadInput as broken:
                raise Tampered(f"attempt {attempt.hex()}: {document.value}: {broken}") from broken
    return False


def _is_to_be_repaired(holder: ActingHolder, wallet_id: WalletId, record: EpochRecord) -> bool:
    """A reserved successor that was never sealed, by a repair or from the transcript, and for whose
    repair a key is offered: the repair goes on by that key.
    """
    if record.state is not EpochState.STAGED or record.blob_digest != NOT_SEALED:
        return False
    offered = kept_offer(holder, wallet_id)
    return offered is not None and offered.epoch_hash == record.epoch_hash


def _is_dead(epochs: Epochs, record: EpochRecord, live: EpochHash) -> bool:
    """A successor of another epoch than the live one, or one that was never sealed."""
    if record.state not in SUCCESSOR_STATES:
        return False
    body = EpochBody.from_bytes(epochs.kept(record.epoch_hash, EpochDocument.BODY) or b"")
    return body.prev_hash != live or record.blob_digest == NOT_SEALED
