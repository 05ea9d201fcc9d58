"""A dealer that sealed a false delta: its receiver proves it, and the others judge (6.4.8, 6.4.9).

One complaint in an attempt, on disk before it is sent and repeated as it is; the attempt is dead
with it, for its holder acknowledges nothing in it any more. So of each attempt at most S^e and S^d
of one dealing become public, and that dealing was opened here just before and found false. Killed
before the complaint was on disk, its holder has sent nothing; it makes it anew with another nonce
of the proof, and S^e and S^d are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.agent.succession.dealing import asked_in, proposed_in, reshare_setup, setup_of
from hsm_mpc.agent.succession.live import LiveEpoch
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
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, ProtocolAbort, Refused
from hsm_mpc.protocols import refresh_complaint, reshare
from hsm_mpc.protocols.dealing_checks import verify_possession
from hsm_mpc.protocols.refresh_messages import RefreshSetup, ZeroDealing
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.succession.addresses import address_in, expected_in, signed_by_identity
from hsm_mpc.succession.complained import Complained, digest_of
from hsm_mpc.succession.propose import Proposed
from hsm_mpc.wire.envelope import Message, parse_envelope, unbundled
from hsm_mpc.wire.rounds import COMPLAINT


@dataclass(frozen=True, slots=True)
class Shown:
    """The messages of an attempt, as they were signed."""

    propose: bytes
    deals: tuple[bytes, ...]
    """One of each dealer, ascending."""
    channels: tuple[bytes, ...]
    """The CHANNEL messages of the dealers, ascending: the DEALs verify under them."""

    @classmethod
    def of(cls, propose: bytes, deals: bytes, channels: bytes) -> Shown:
        """DEALs and CHANNELs come bundled. Raises: BadEncoding."""
        return cls(propose, unbundled(deals), unbundled(channels))

    @property
    def attempt(self) -> Attempt:
        """As PROPOSE says: a dealer may lie about it. Raises: BadEncoding."""
        return Attempt.read(Reader(parse_envelope(self.propose).payload, "propose"))


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
    kept = live.attempts.kept(attempt.to_bytes(), AttemptDocument.COMPLAINT)
    if kept is not None:
        return _repeated(kept, live, attempt, accused)
    _require_unacknowledged(live, attempt)
    dealings = received_dealings(live.body, proposed, shown.deals, shown.channels)
    alone = _convicted_alone(live, suite, accused, dealings)
    if alone is not None:
        raise Refused("proof-enough", alone.reason)
    _require_dealt_to(proposed)
    setup, message = setup_of(live, suite, proposed), _dealt_by(accused, dealings)
    dealing = _sound_dealing(message, proposed, setup)

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


def judge(live: LiveEpoch, suite: Suite, source: bytes, shown: Shown) -> Verdict:
    """Who lied: the accused dealer, or whose COMPLAINT it is. Everybody comes to the same answer;
    the first time it goes into the audit log, with the evidence on disk.

    Raises:
        Refused: `other-proposal`: this holder has answered another one in that attempt.
        BadInput: the complaint is not about one of these dealings.
        BackendError, Tampered: disk.
        BadEncoding, InvalidSignature, ProtocolAbort: the messages are not those of an attempt.
    """
    attempt = shown.attempt
    dealings = _judged(live, attempt, shown)
    proposed = dealings.proposed
    _require_dealt_to(proposed)
    senders = range(1, live.body.terms.sizes.n + 1)
    expected = expected_in(COMPLAINT, live.body, attempt, senders)
    message = signed_by_identity(source, expected, proposed.keys)
    setup, arena = setup_of(live, suite, proposed), live.holder.arena
    verdict = _verdict(message, attempt, setup, dealings, arena)
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
    verdict = _convicted_alone(live, suite, accused, dealings)
    if verdict is None:
        raise Refused("not-proven", f"what holder {accused} signed does not convict it by itself")
    _recorded(live, attempt, verdict, dealings, ())
    return verdict


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


def _repeated(kept: bytes, live: LiveEpoch, attempt: Attempt, accused: int) -> bytes:
    """The very bytes. Raises: Refused: `complained`: they are about another dealer."""
    payload, group = parse_envelope(kept).payload, live.body.terms.group
    said = Complained.from_bytes(payload, attempt.to_bytes(), group)
    if said.complaint.accused != accused:
        raise Refused("complained", "this holder has complained of another dealer in that attempt")
    return kept


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


def _dealt_by(dealer: int, dealings: Dealings) -> Message:
    """Raises: BadInput: it deals nothing in this attempt."""
    for message in dealings.messages:
        if message.address.sender == dealer:
            return message
    raise BadInput(f"holder {dealer} deals nothing in that attempt")


def _convicted_alone(
    live: LiveEpoch, suite: Suite, accused: int, dealings: Dealings
) -> Verdict | None:
    """By what everybody sees (steps 6.4.9 and 6.8.3). Raises: BadInput: it deals nothing."""
    proposed, message = dealings.proposed, _dealt_by(accused, dealings)
    if proposed.newcomers is not None:
        setup = reshare_setup(live.body, suite, proposed, proposed.newcomers)
        try:
            reshare.check(setup, dealings.payloads())
        except ProtocolAbort as unsound:
            if accused in unsound.culprits:
                return convicted_alone(accused, str(unsound))
        return None
    try:
        _sound_dealing(message, proposed, setup_of(live, suite, proposed))
    except (BadEncoding, InvalidSignature) as own_words:
        return convicted_alone(accused, str(own_words))
    return None


def _sound_dealing(message: Message, proposed: Proposed, setup: RefreshSetup) -> ZeroDealing:
    """A dealing that only its receivers may find false.

    Raises:
        BadEncoding, InvalidSignature: what is signed here convicts its dealer by itself (6.4.9).
    """
    dealing = ZeroDealing.from_bytes(dealing_in(proposed, message), setup)
    verify_possession(setup, message.address.sender, dealing)
    return dealing


def _verdict(
    complained: Message, attempt: Attempt, setup: RefreshSetup, dealings: Dealings, arena: Arena
) -> Verdict:
    """Nobody is convicted by a complaint that is about another message than the one shown, for it
    may be true of that one.

    Raises:
        BadInput: it is; or of nobody that has dealt to its sender.
    """
    accuser, group = complained.address.sender, setup.suite.group
    try:
        said = Complained.from_bytes(complained.payload, attempt.to_bytes(), group)
    except BadEncoding as malformed:
        return convicted_accuser(accuser, f"the complaint of holder {accuser}: {malformed}")
    accused = said.complaint.accused
    message = _dealt_by(accused, dealings)
    if digest_of(message) != said.about:
        raise BadInput("the complaint is about another dealing than the one that is shown")
    try:
        dealing = _sound_dealing(message, dealings.proposed, setup)
    except (BadEncoding, InvalidSignature) as own_words:
        return convicted_alone(accused, str(own_words))
    liar = refresh_complaint.judge(setup, accuser, said.complaint, dealing, arena)
    return convicted_by_complaint(liar, accuser, accused)


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
