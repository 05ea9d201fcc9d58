"""PROPOSE → DEAL: a member of an attempt deals shares of nothing to all holders (step 6.4.2), or in
a resharing its part of the key to the new ones (step 6.8.2).
"""

from __future__ import annotations

from hsm_mpc.agent.succession.joining import ask_in
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.resharing import Resharing
from hsm_mpc.errors import BadInput, InvalidSignature, ProtocolAbort, Refused
from hsm_mpc.protocols import refresh, reshare
from hsm_mpc.protocols.refresh_messages import RefreshSetup
from hsm_mpc.protocols.reshare_messages import ReshareSetup
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.succession.addresses import address_in, expected_in
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.changes import changes_in, changes_of_rotations
from hsm_mpc.succession.newcomers import Newcomers
from hsm_mpc.succession.propose import Proposed, attempt_in, attempt_of, check_propose
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import DEAL, PROPOSE, RESHARE_DEAL, MessageKind


def proposed_in(live: LiveEpoch, source: bytes, resharing: Resharing | None = None) -> Proposed:
    """A PROPOSE of a coordinator known here, for this epoch, which holds (step 6.5.2).

    Args:
        resharing: what it makes of the wallet, if it makes something new that is no refresh.

    Raises:
        BadEncoding, InvalidSignature: it is no PROPOSE of such a coordinator.
        Refused: `split`.
        ProtocolAbort: signed, and against step 6.5.2. No holder is to blame.
    """
    message = parse_envelope(source)
    attempt = attempt_of(message)
    expected = expected_in(PROPOSE, live.body, attempt, None)
    live.holder.inbox().accept(message, expected, live.holder.clock())
    try:
        return check_propose(message, live.body, live.keys, resharing)
    except (BadInput, InvalidSignature) as broken:
        raise ProtocolAbort(
            f"coordinator {message.address.sender} proposes what does not hold: {broken}"
        ) from broken


def deal(live: LiveEpoch, suite: Suite, source: bytes) -> bytes:
    """The own DEAL message, empty of who deals nothing; a repeat is answered with the same bytes.

    Raises:
        Refused: `not-joined`, `attempt-overtaken`, `carried-on`, `other-proposal`, `no-member`,
            `old-confirmation` or `other-roster`.
        Tampered, BackendError: the own share does not open, or HSM or disk fail.
        BadEncoding, InvalidSignature, ProtocolAbort: as `proposed_in`.
    """
    alpha = attempt_in(source).to_bytes()
    asked = asked_in(live, alpha)
    proposed = proposed_in(live, source, asked.resharing)
    kept = live.attempts.kept(alpha, AttemptDocument.PROPOSE)
    if kept is not None and kept != source:
        raise Refused("other-proposal", "another proposal of this attempt was answered here")
    answer = live.attempts.kept(alpha, AttemptDocument.DEAL)
    if answer is not None:
        return answer
    _check_membership(live, proposed, asked)
    live.keep(live.lineage.merged_with(proposed.content.amendments))
    live.attempts.keep(alpha, AttemptDocument.PROPOSE, source)

    if live.holder.me not in proposed.dealers:
        return b""
    address = address_in(live.body, proposed.content.attempt, live.holder.me)
    payload = proposed.head_of_deals + _dealing(live, suite, proposed)
    message = live.holder.channel_message(deal_kind(proposed), address, payload).to_bytes()
    live.attempts.keep(alpha, AttemptDocument.DEAL, message)
    return message


def asked_in(live: LiveEpoch, alpha: bytes) -> Ask:
    """What was asked in an attempt that was joined here. Raises: Refused: `not-joined`."""
    asked = live.attempts.kept(alpha, AttemptDocument.ASK)
    if asked is None or live.attempts.kept(alpha, AttemptDocument.JOIN) is None:
        raise Refused("not-joined", "this attempt was not joined here")
    return ask_in(live.holder, live.body, asked)


def deal_kind(proposed: Proposed) -> MessageKind:
    """What a dealing of this attempt is sent as."""
    return DEAL if proposed.newcomers is None else RESHARE_DEAL


def _dealing(live: LiveEpoch, suite: Suite, proposed: Proposed) -> bytes:
    """Nothing of it is kept: the messages of all, and v, are enough to go on."""

    def draw(into: Secret) -> None:
        suite.group.random_nonzero(into, live.holder.entropy)

    with live.opened() as own:
        if proposed.newcomers is not None:
            setup = reshare_setup(live.body, suite, proposed, proposed.newcomers)
            return reshare.deal(setup, live.holder.me, own.delivery, own.share, draw).to_all
        keep, outbox = refresh.deal(
            setup_of(live, suite, proposed), live.holder.me, own.delivery, draw
        )
        abort(keep)
        return outbox.to_all


def reshare_setup(
    body: EpochBody, suite: Suite, proposed: Proposed, newcomers: Newcomers
) -> ReshareSetup:
    """What all parties of a resharing of the epoch `body` agree on (step 6.8.2)."""
    return ReshareSetup.of(
        suite,
        proposed.session_id,
        proposed.dealers,
        proposed.delivery_keys,
        body.commitments,
        newcomers.delivery_keys,
        newcomers.resharing.sizes.t,
    )


def setup_of(live: LiveEpoch, suite: Suite, proposed: Proposed) -> RefreshSetup:
    """What all dealers of an attempt agree on (step 6.4.1)."""
    return RefreshSetup.of(
        suite,
        proposed.session_id,
        proposed.members,
        proposed.delivery_keys,
        live.body.commitments,
    )


def _check_membership(live: LiveEpoch, proposed: Proposed, asked: Ask) -> None:
    """The own JOIN and the own newest DONE stand in it, and it is the attempt joined last."""
    attempt, me = proposed.content.attempt, live.holder.me
    alpha = attempt.to_bytes()
    joined = live.attempts.kept(alpha, AttemptDocument.JOIN)
    if asked.digest != proposed.content.ask_digest:
        raise Refused("not-joined", "this attempt was not joined here")
    if live.register.promised != alpha:
        raise Refused("attempt-overtaken", "a higher attempt than this one was joined")
    if proposed.content.successor is not None:
        raise Refused("carried-on", "this attempt makes nothing new: there is nothing to deal")
    if me not in proposed.members:
        raise Refused("no-member", "this holder is not a member of the attempt")
    if proposed.content.joins[proposed.members.index(me)] != joined:
        raise ProtocolAbort("the own join came back altered")
    if proposed.content.dones[me - 1] != live.own_done():
        raise Refused("old-confirmation", "the proposal names an older confirmation of this holder")
    known = live.lineage.to_carry(live.body.terms.roster_hash)
    carried = proposed.content.amendments
    if not changes_in(known) <= changes_in(carried):  # a lost HSM has a vote
        raise Refused("other-roster", "the proposal lacks an amendment of the roster")
    if not changes_of_rotations(carried) <= changes_in(live.lineage.amendments):  # step 6.7.9
        raise Refused("other-roster", "the proposal carries a rotation that was not taken here")
