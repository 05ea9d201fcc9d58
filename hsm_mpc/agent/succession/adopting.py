"""CERT → DONE: the holder adopts a certified successor of which it has a share (step 6.5.5).

A holder that was away makes its share from the transcript first (catch-up, step 6.4.7). Of a
resharing an old holder says no more than its vote: who has a share says so as a new one (6.8.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.kek_digest import kek_digest_of
from hsm_mpc.agent.opener import find_wrapping_key
from hsm_mpc.agent.succession.dealing import proposed_in
from hsm_mpc.agent.succession.live import LiveEpoch, opened_share
from hsm_mpc.agent.succession.resharing import require_no_lost_key
from hsm_mpc.agent.succession.staging import Dealings, received_dealings, successor_made
from hsm_mpc.agent.succession.successor_share import seal_successor
from hsm_mpc.agent.succession.votes import adopt as vote_for
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.done import Done
from hsm_mpc.errors import (
    BadEncoding,
    BadInput,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.hsm.register import Vote
from hsm_mpc.ids import EpochHash
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.roster import Roster
from hsm_mpc.store import names
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.succession.addresses import address_in, expected_in
from hsm_mpc.succession.carrying import check_carried
from hsm_mpc.succession.propose import Proposed
from hsm_mpc.succession.retirement import check_arrivals
from hsm_mpc.succession.successor import NO_SHARE, SuccessorCertificate
from hsm_mpc.wire.envelope import bundle, parse_envelope, unbundled
from hsm_mpc.wire.rounds import ADOPTION, SUCCESSOR


def adopt(
    live: LiveEpoch,
    suite: Suite,
    propose: bytes,
    source: bytes,
    transcript: bytes,
    history: bytes,
    arrivals: bytes,
) -> bytes:
    """The own DONE message of an attempt; a repeat is answered with the same bytes.

    Args:
        propose: PROPOSE of the attempt: the one that made the successor, or one that carries it on.
        source: the CERT message.
        transcript: of the attempt that made it, for a holder without a share; else empty.
        history: PROPOSE of each attempt between the one that made it and that one, newest first.
        arrivals: DONE' of every new holder of a resharing: what they cannot open nobody votes for,
            since nothing else could be decided after that (step 6.8.4).

    Raises:
        Refused: `attempt-overtaken`, `other-vote`, `other-successor`, `epoch-retiring`,
            `other-roster` or `too-many-attempts`.
        NotReady: this holder has no share of it: its transcript is wanted.
        Tampered: the certificate does not hold, or the own share does not open.
        ProtocolAbort: a dealing for this holder is bad; naming who dealt it. Or a new holder has
            no share yet; nobody is to blame.
        BackendError: HSM or disk.
        BadEncoding, InvalidSignature: a message is not what is waited for.
    """
    message = parse_envelope(source)
    certificate, made_in = certificate_in(live, message.payload)
    h = certificate.body.hash
    carried = _carried(live, certificate, made_in, propose, history)
    attempt = made_in.content.attempt if carried is None else carried.content.attempt
    alpha = attempt.to_bytes()
    senders = live.holder.keys.may_show_proof(message.address.sender)
    expected = expected_in(SUCCESSOR, live.body, attempt, senders)
    live.holder.inbox().accept(message, expected, live.holder.clock())
    kept = live.attempts.kept(alpha, AttemptDocument.DONE)
    if kept is not None:
        return kept
    is_given_again = live.register.adopted == Vote(alpha, h)
    if is_given_again:  # whatever has come since, it was said
        live.require_not_ending()
    else:
        live.require_not_retiring()
        if carried is None and certificate.shared_anew is not None:
            require_no_lost_key(live.holder, certificate.shared_anew.roster)
    _require_arrived(live, certificate, arrivals)
    voted = vote_for(live.register, attempt, h)
    live.keep(live.lineage_told(certificate))
    shown = b"" if carried is None else bundle([propose, *unbundled(history)])
    if is_given_again:  # JOIN can show it, whether a share can be made or not
        _keep_proof(live, alpha, certificate, shown)
    record = share_of(live, suite, certificate, made_in, transcript)
    done = vote_of(live, attempt, certificate, record)
    live.audit("succession-adopted", {"attempt": alpha.hex(), "successor": h.hex()})
    _keep_proof(live, alpha, certificate, shown)
    if certificate.shared_anew is not None:
        _keep_arrivals(live, h, arrivals)
    live.holder.registers.write(live.wallet_id, voted)
    if record is not None:
        live.epochs.change(replace(record, state=EpochState.ADOPTED))
    address = address_in(live.body, attempt, live.holder.me)
    said = live.holder.signed_by_identity(ADOPTION, address, done.to_bytes())
    live.attempts.keep(alpha, AttemptDocument.DONE, said)
    _forget_proofs(live, alpha)
    return said


def _require_arrived(live: LiveEpoch, certificate: SuccessorCertificate, arrivals: bytes) -> None:
    try:
        keys = live.lineage_told(certificate).voters(live.body.terms.roster_hash, certificate)
        check_arrivals(unbundled(arrivals), live.body, keys, certificate)
    except (BadInput, InvalidSignature) as missing:
        raise ProtocolAbort(f"not every new holder has its share: {missing}") from missing


def _keep_proof(
    live: LiveEpoch, alpha: bytes, certificate: SuccessorCertificate, shown: bytes
) -> None:
    """What the next JOIN tells of (step 6.5.1); `shown` is empty where nothing is carried on."""
    live.keep_certificate(certificate)
    if shown:
        live.attempts.carry(alpha, shown)
    elif live.attempts.kept(alpha, AttemptDocument.CARRIED) is not None:  # of a vote never cast
        live.attempts.forget_carried(alpha)


def _forget_proofs(live: LiveEpoch, alpha: bytes) -> None:
    """Of earlier votes: the register has this one, which is the only one that JOIN tells of. Each
    is as long as all of those before it together with one PROPOSE more.
    """
    for earlier in live.attempts.all():
        if earlier < alpha and live.attempts.kept(earlier, AttemptDocument.CARRIED) is not None:
            live.attempts.forget_carried(earlier)


def _keep_arrivals(live: LiveEpoch, h: EpochHash, arrivals: bytes) -> None:
    """A vote leads every later attempt to what it is for, and the next one wants these beside it:
    whoever has said one may say nothing any more, and its coordinator be gone.
    """
    if live.epochs.kept(h, EpochDocument.DONES) is None:
        live.epochs.keep(h, EpochDocument.DONES, arrivals)


def certificate_in(live: LiveEpoch, payload: bytes) -> tuple[SuccessorCertificate, Proposed]:
    """A certificate of a successor of the live epoch, verified, and the PROPOSE that it names.

    Raises:
        BadEncoding, Tampered: it is none.
    """
    certificate = SuccessorCertificate.from_bytes(payload)
    return certificate, certificate.verify(live.body, live.keys)


def share_of(
    live: LiveEpoch,
    suite: Suite,
    certificate: SuccessorCertificate,
    made_in: Proposed,
    transcript: bytes,
) -> EpochRecord | None:
    """The record of the own share of a certified successor: staged before, or made now. None: a
    resharing gives this holder none.

    Raises:
        NotReady: it was not staged here, and there is no transcript to make it from.
        ProtocolAbort, Tampered, BackendError, BadInput: as `adopt`.
    """
    staged = live.successor(certificate.body.hash)
    if staged is not None and staged.record.blob_digest != NOT_SEALED:
        try:
            with opened_share(live.holder, certificate.body):
                return staged.record
        except Tampered:
            if not transcript or made_in.newcomers is not None:
                raise
    if certificate.shared_anew is not None:
        if not is_in(live.holder, certificate.shared_anew.roster):
            return None
        raise Tampered("the share that this holder has acknowledged is missing")
    if not transcript:
        raise NotReady("this holder has no share of the successor: it wants the transcript")
    dealings = _replayed(live, certificate, made_in, transcript)
    with successor_made(live, suite, dealings) as (successor, share):
        if successor.body != certificate.body:
            raise Tampered("the transcript does not make the certified epoch")
        return seal_successor(live, successor, share).record


def _carried(
    live: LiveEpoch,
    certificate: SuccessorCertificate,
    made_in: Proposed,
    propose: bytes,
    history: bytes,
) -> Proposed | None:
    """A PROPOSE that carries this successor on, and may do so; None: it is the one that made it.

    Raises:
        Refused: `other-successor` or `too-many-attempts`; or as `proposed_in`.
        ProtocolAbort: the adoption that it carries on is not proven. No holder is to blame.
        Others: as `proposed_in`.
    """
    new = propose == certificate.propose
    proposed = proposed_in(live, propose, certificate.resharing if new else None)
    if proposed.content.successor is None and propose == certificate.propose:
        return None
    if proposed.content.successor != certificate.body.hash:
        raise Refused("other-successor", "the attempt is not for the certified successor")
    try:
        made, links = made_in.content.attempt, unbundled(history)
        _require_room([propose, *links])
        check_carried(proposed, made, links, live.body, live.keys)
    except (BadInput, InvalidSignature) as broken:
        raise ProtocolAbort(f"what is carried on is not proven: {broken}") from broken
    return proposed


def _require_room(shown: Sequence[bytes]) -> None:
    """What carries it on is to be kept before the vote (step 6.5.11). Raises: Refused."""
    length = len(bundle(shown))
    if length > names.DOCUMENT_CAP:
        raise Refused(
            "too-many-attempts",
            f"that successor was carried on by {len(shown)} attempts: their proof has {length} "
            f"bytes, and {names.DOCUMENT_CAP} are kept at most",
        )


def _replayed(
    live: LiveEpoch, certificate: SuccessorCertificate, made_in: Proposed, transcript: bytes
) -> Dealings:
    """The dealings that the certificate names, out of a transcript."""
    propose, *pairs = unbundled(transcript)
    if propose != certificate.propose or len(pairs) % 2:
        raise BadEncoding("transcript: it is not that of the certificate")
    dealings = received_dealings(live.body, made_in, pairs[1::2], pairs[::2])
    if dealings.digests != certificate.deal_digests:
        raise BadEncoding("transcript: the dealings are not those of the certificate")
    return dealings


def vote_of(
    live: LiveEpoch,
    attempt: Attempt,
    certificate: SuccessorCertificate,
    record: EpochRecord | None,
) -> Done:
    """What the holder says when it adopts a successor."""
    if certificate.shared_anew is None and record is not None:
        return done_of(live.holder, attempt, certificate.body, record)
    with live.opened() as own:
        delivery_key = live.body.terms.group.public_point(own.delivery)
    return Done(attempt, certificate.body.hash, delivery_key, NO_SHARE, NO_SHARE)


def is_in(holder: ActingHolder, roster: Roster) -> bool:
    """Whether this holder stands in a roster, with the identity key that it has, or had before."""
    return any(holder.identity.has(member.key) for member in roster.members)


def done_of(holder: ActingHolder, attempt: Attempt, body: EpochBody, record: EpochRecord) -> Done:
    """What a holder says of its share: that it opens, it has just seen.

    Raises:
        Tampered, BackendError: it does not.
    """
    with opened_share(holder, body) as share:
        delivery_key = body.terms.group.public_point(share.delivery)
    key = find_wrapping_key(holder.token, record.kek_uri, body.terms.wallet_id)
    digest = kek_digest_of(holder.token, key)
    return Done(attempt, body.hash, delivery_key, digest, record.blob_digest)
