"""What is shown beside a complaint: the messages of an attempt, as they were signed (step 6.4.8).

What of them convicts a dealer by itself, everybody sees, and no complaint is needed (6.4.9, 6.8.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.agent.succession.dealing import reshare_setup
from hsm_mpc.agent.succession.staging import Dealings
from hsm_mpc.agent.verdicts import Verdict, convicted_alone
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import BadInput, ProtocolAbort, Refused
from hsm_mpc.protocols import reshare
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.store.attempts import AttemptDocument, Attempts
from hsm_mpc.succession.complained import Complained
from hsm_mpc.succession.newcomers import Newcomers
from hsm_mpc.succession.propose import attempt_in
from hsm_mpc.wire.envelope import Message, parse_envelope, unbundled


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
        return attempt_in(self.propose)


def dealt_by(dealer: int, dealings: Dealings) -> Message:
    """Its DEAL. Raises: BadInput: it deals nothing in this attempt."""
    for message in dealings.messages:
        if message.address.sender == dealer:
            return message
    raise BadInput(f"holder {dealer} deals nothing in that attempt")


def convicted_anew(
    body: EpochBody, suite: Suite, accused: int, dealings: Dealings, newcomers: Newcomers
) -> Verdict | None:
    """A dealer of a resharing, by what everybody sees (step 6.8.3)."""
    setup = reshare_setup(body, suite, dealings.proposed, newcomers)
    try:
        reshare.check(setup, dealings.payloads())
    except ProtocolAbort as unsound:
        if accused in unsound.culprits:
            return convicted_alone(accused, str(unsound))
    return None


def complained_before(
    attempts: Attempts, attempt: Attempt, accused: int, body: EpochBody
) -> bytes | None:
    """The own COMPLAINT of an attempt, its very bytes; None: there is none yet.

    Raises:
        Refused: `complained`: it is about another dealer.
    """
    alpha = attempt.to_bytes()
    kept = attempts.kept(alpha, AttemptDocument.COMPLAINT)
    if kept is None:
        return None
    said = Complained.from_bytes(parse_envelope(kept).payload, alpha, body.terms.group)
    if said.complaint.accused != accused:
        raise Refused("complained", "this holder has complained of another dealer in that attempt")
    return kept
