"""Who lied: the accused dealer, or whose COMPLAINT it is (steps 6.4.8, 6.4.9 and 6.8.3).

Everybody comes to the same answer. A new holder of a resharing complains as 0x4000 + k, for it
counts in another roster than the dealer.
"""

from __future__ import annotations

from hsm_mpc.agent.succession.dealing import asked_in, proposed_in, reshare_setup, setup_of
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.agent.succession.shown import Shown, convicted_anew, dealt_by
from hsm_mpc.agent.succession.staging import Dealings, dealing_in, received_dealings
from hsm_mpc.agent.verdicts import (
    Verdict,
    convicted_accuser,
    convicted_alone,
    convicted_by_complaint,
    record,
)
from hsm_mpc.audit import Json
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Refused
from hsm_mpc.protocols import refresh_complaint, reshare_complaint
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.dealing_checks import verify_possession
from hsm_mpc.protocols.refresh_messages import ZeroDealing
from hsm_mpc.protocols.reshare_messages import ShareDealing
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.succession.addresses import expected_in, signed_by_identity
from hsm_mpc.succession.complained import Complained, digest_of
from hsm_mpc.succession.propose import Proposed
from hsm_mpc.wire.envelope import Message, unbundled
from hsm_mpc.wire.rounds import COMPLAINT, FIRST_NEW_HOLDER, NEW_COMPLAINT


def judge(live: LiveEpoch, suite: Suite, source: bytes, shown: Shown) -> Verdict:
    """The first time, the verdict goes into the audit log, with the evidence on disk.

    Raises:
        Refused: `other-proposal`: this holder has answered another one in that attempt.
        BadInput: the complaint is not about one of these dealings.
        BackendError, Tampered: disk.
        BadEncoding, InvalidSignature, ProtocolAbort: the messages are not those of an attempt.
    """
    attempt = shown.attempt
    dealings = _judged(live, attempt, shown)
    complained = _complained(live, attempt, source, dealings.proposed)
    verdict = _verdict(live, suite, attempt, complained, dealings)
    _recorded(live, attempt, verdict, dealings, (source,))
    return verdict


def judge_alone(live: LiveEpoch, suite: Suite, accused: int, shown: Shown) -> Verdict:
    """The accused dealer, if what it signed is proof by itself: no complaint is needed (6.4.9).

    Raises:
        Refused: `not-proven`: it is none; `other-proposal`.
        Others: as `judge`.
    """
    attempt = shown.attempt
    dealings = _judged(live, attempt, shown)
    verdict = convicted_by_its_words(live, suite, accused, dealings)
    if verdict is None:
        raise Refused("not-proven", f"what holder {accused} signed does not convict it by itself")
    _recorded(live, attempt, verdict, dealings, ())
    return verdict


def convicted_by_its_words(
    live: LiveEpoch, suite: Suite, accused: int, dealings: Dealings
) -> Verdict | None:
    """By what everybody sees (steps 6.4.9 and 6.8.3). Raises: BadInput: it deals nothing."""
    proposed, message = dealings.proposed, dealt_by(accused, dealings)
    if proposed.newcomers is not None:
        return convicted_anew(live.body, suite, accused, dealings, proposed.newcomers)
    setup = setup_of(live, suite, proposed)
    try:
        verify_possession(
            setup, accused, ZeroDealing.from_bytes(dealing_in(proposed, message), setup)
        )
    except (BadEncoding, InvalidSignature) as own_words:
        return convicted_alone(accused, str(own_words))
    return None


def _judged(live: LiveEpoch, attempt: Attempt, shown: Shown) -> Dealings:
    """What is judged by. Of two proposals for one attempt a member goes by that which it has
    answered itself; and no dealing is judged beside another one than it names.

    Raises:
        Refused: `other-proposal`.
    """
    alpha, resharing = attempt.to_bytes(), None
    kept = live.attempts.kept(alpha, AttemptDocument.PROPOSE)
    if kept is not None:
        if kept != shown.propose:
            raise Refused("other-proposal", "this holder has answered another one in that attempt")
        resharing = asked_in(live, alpha).resharing
    proposed = proposed_in(live, shown.propose, resharing)
    return received_dealings(live.body, proposed, shown.deals, shown.channels)


def _complained(live: LiveEpoch, attempt: Attempt, source: bytes, proposed: Proposed) -> Message:
    """COMPLAINT of a holder of the epoch; in a resharing, of one that it gives the key to."""
    kind, keys, senders = COMPLAINT, proposed.keys, range(1, live.body.terms.sizes.n + 1)
    if proposed.newcomers is not None:
        roster = proposed.newcomers.resharing.roster
        kind, keys = NEW_COMPLAINT, keys.of_new_holders(roster)
        senders = range(FIRST_NEW_HOLDER + 1, FIRST_NEW_HOLDER + roster.n + 1)
    return signed_by_identity(source, expected_in(kind, live.body, attempt, senders), keys)


def _verdict(
    live: LiveEpoch, suite: Suite, attempt: Attempt, complained: Message, dealings: Dealings
) -> Verdict:
    """Nobody is convicted by a complaint that is about another message than the one shown, for it
    may be true of that one.

    Raises:
        BadInput: it is; or of nobody that has dealt to its sender.
    """
    accuser, group = complained.address.sender, live.body.terms.group
    try:
        said = Complained.from_bytes(complained.payload, attempt.to_bytes(), group)
    except BadEncoding as malformed:
        return convicted_accuser(accuser, malformed)
    message = dealt_by(said.complaint.accused, dealings)
    if digest_of(message) != said.about:
        raise BadInput("the complaint is about another dealing than the one that is shown")
    alone = convicted_by_its_words(live, suite, said.complaint.accused, dealings)
    if alone is not None:
        return alone
    dealing = dealing_in(dealings.proposed, message)
    is_true = _is_true(live, suite, accuser, said.complaint, dealing, dealings.proposed)
    return convicted_by_complaint(is_true, accuser, said.complaint.accused)


def _is_true(
    live: LiveEpoch,
    suite: Suite,
    accuser: int,
    complaint: Complaint,
    dealing: bytes,
    proposed: Proposed,
) -> bool:
    arena = live.holder.arena
    if proposed.newcomers is not None:
        anew = reshare_setup(live.body, suite, proposed, proposed.newcomers)
        shares = ShareDealing.from_bytes(dealing, anew)
        return reshare_complaint.judge(anew, accuser - FIRST_NEW_HOLDER, complaint, shares, arena)
    setup = setup_of(live, suite, proposed)
    deltas = ZeroDealing.from_bytes(dealing, setup)
    return refresh_complaint.judge(setup, accuser, complaint, deltas, arena) != accuser


def _recorded(
    live: LiveEpoch,
    attempt: Attempt,
    verdict: Verdict,
    dealings: Dealings,
    complaints: tuple[bytes, ...],
) -> None:
    named: dict[str, Json] = {
        "wallet_id": live.wallet_id.hex(),
        "name": live.body.terms.name,
        "epoch_hash": live.body.hash.hex(),
        "attempt": attempt.to_bytes().hex(),
    }
    record(live.holder, named, verdict, (*unbundled(dealings.transcript), *complaints))
