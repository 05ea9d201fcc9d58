"""A dealer that sealed a false delta: its receiver proves it, and the others judge (step 6.4.8).

One complaint in an attempt, on disk before it is sent and repeated as it is; the attempt is dead
with it, for its holder acknowledges nothing in it any more. So of each attempt at most S^e and S^d
of one dealing become public, and that dealing was opened here just before and found false. Killed
before the complaint was on disk, its holder has sent nothing; it makes it anew with another nonce
of the proof, and S^e and S^d are the same.
"""

from __future__ import annotations

from hsm_mpc.agent.succession.dealing import asked_in, proposed_in, setup_of
from hsm_mpc.agent.succession.judging import convicted_by_its_words
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.agent.succession.shown import Shown, complained_before, dealt_by
from hsm_mpc.agent.succession.staging import dealing_in, received_dealings
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.errors import Refused
from hsm_mpc.protocols import refresh_complaint
from hsm_mpc.protocols.refresh_messages import ZeroDealing
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.succession.addresses import address_in
from hsm_mpc.succession.complained import Complained, digest_of
from hsm_mpc.succession.propose import Proposed
from hsm_mpc.wire.rounds import COMPLAINT


def complain(live: LiveEpoch, suite: Suite, accused: int, shown: Shown) -> bytes:
    """The own COMPLAINT message about dealer `accused`; in this attempt no other is ever made.

    Raises:
        Refused: `not-joined`, `other-proposal`, `no-receiver`, `attempt-overtaken` or
            `acknowledged`;
            `complained`: of another dealer; `proof-enough`: what the dealer signed convicts it.
        BadInput: what it sealed for this holder is sound: nothing is revealed; or it deals nothing.
        Tampered, BackendError: the own share does not open, or HSM or disk fail.
        BadEncoding, InvalidSignature, ProtocolAbort: the messages are not those of an attempt.
    """
    attempt = shown.attempt
    proposed = _joined(live, attempt, shown)
    kept = complained_before(live.attempts, attempt, accused, live.body)
    if kept is not None:
        return kept
    _require_unacknowledged(live, attempt)
    dealings = received_dealings(live.body, proposed, shown.deals, shown.channels)
    alone = convicted_by_its_words(live, suite, accused, dealings)
    if alone is not None:
        raise Refused("proof-enough", alone.reason)
    _require_dealt_to(proposed)
    setup, message = setup_of(live, suite, proposed), dealt_by(accused, dealings)
    dealing = ZeroDealing.from_bytes(dealing_in(proposed, message), setup)

    def draw(into: Secret) -> None:
        suite.group.random_nonzero(into, live.holder.entropy)

    with live.opened() as own:
        complaint = refresh_complaint.accuse(
            setup, live.holder.me, own.delivery, accused, dealing, draw
        )
    payload = Complained(digest_of(message), complaint).to_bytes(attempt.to_bytes())
    address = address_in(live.body, attempt, live.holder.me)
    live.audit("complained", {"attempt": attempt.to_bytes().hex(), "accused": accused})
    said = live.holder.signed_by_identity(COMPLAINT, address, payload)
    live.attempts.keep(attempt.to_bytes(), AttemptDocument.COMPLAINT, said)
    return said


def _joined(live: LiveEpoch, attempt: Attempt, shown: Shown) -> Proposed:
    """The proposal that this holder has answered in the attempt. Raises: Refused."""
    alpha = attempt.to_bytes()
    asked = asked_in(live, alpha)
    if live.attempts.kept(alpha, AttemptDocument.PROPOSE) != shown.propose:
        raise Refused("other-proposal", "this holder has not answered that proposal")
    return proposed_in(live, shown.propose, asked.resharing)


def _require_dealt_to(proposed: Proposed) -> None:
    """Raises: Refused: `no-receiver`."""
    if proposed.newcomers is not None:
        raise Refused("no-receiver", "in a resharing nothing is dealt to the holders of before")


def _require_unacknowledged(live: LiveEpoch, attempt: Attempt) -> None:
    """It is the attempt joined last, and the register, which is written before an acknowledgement
    is sent, has no vote in it: without that of this member it has no certificate.

    Raises:
        Refused: `attempt-overtaken` or `acknowledged`.
    """
    alpha, register = attempt.to_bytes(), live.register
    if register.promised != alpha:
        raise Refused("attempt-overtaken", "a higher attempt than this one was joined")
    votes = [vote.attempt for vote in (register.acked, register.adopted) if vote is not None]
    if alpha in votes:
        raise Refused("acknowledged", "this holder has acknowledged that attempt")
