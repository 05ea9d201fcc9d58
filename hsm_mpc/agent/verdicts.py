"""Who lied, as every holder finds it: a line in the audit log, and the evidence, once (6.4.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.evidence import case_of, keep_first
from hsm_mpc.audit import Json
from hsm_mpc.errors import BadEncoding
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import FIRST_NEW_HOLDER


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is convicted, and by what."""

    liar: int
    is_accuser: bool
    alone: bool
    """Its own signed message is proof: no complaint was needed (step 6.4.9)."""
    reason: str

    @property
    def event(self) -> str:
        """What the line in the audit log is called."""
        return "accuser-convicted" if self.is_accuser else "dealer-convicted"


def convicted_alone(liar: int, reason: str) -> Verdict:
    """By nothing but what it has signed as a dealer."""
    said = f"what holder {liar} signed is proof by itself: {reason}"
    return Verdict(liar, is_accuser=False, alone=True, reason=said)


def convicted_accuser(accuser: int, malformed: BadEncoding) -> Verdict:
    """By its own complaint, which is none."""
    said = f"the complaint of {_named(accuser)}: {malformed}"
    return Verdict(accuser, is_accuser=True, alone=False, reason=said)


def convicted_by_complaint(is_true: bool, accuser: int, accused: int) -> Verdict:
    """One of the two, by what the complaint opens.

    Args:
        accuser: as its messages say who sends them: of a new holder 0x4000 + k.
    """
    if not is_true:
        said = f"the complaint of {_named(accuser)} about holder {accused} is false"
        return Verdict(accuser, is_accuser=True, alone=False, reason=said)
    said = f"what holder {accused} sealed for {_named(accuser)} is false, as its complaint shows"
    return Verdict(accused, is_accuser=False, alone=False, reason=said)


def _named(sender: int) -> str:
    if sender > FIRST_NEW_HOLDER:
        return f"new holder {sender - FIRST_NEW_HOLDER}"
    return f"holder {sender}"


def record(
    holder: ActingHolder, named: Mapping[str, Json], verdict: Verdict, messages: Sequence[bytes]
) -> None:
    """The line, then the file that it names; a verdict whose evidence is there already says nothing
    new. Nobody is excluded by it (step 6.4.8).

    Args:
        named: what the line says of attempt or repair.
        messages: what proves it, verbatim.

    Raises:
        BackendError, Tampered: disk; to be called again.
    """
    lineage = holder.store.repairs(parse_envelope(messages[0]).address.wallet_id).lineage()
    case = case_of(holder.keys.alone(), verdict.reason, messages, lineage or b"")
    said: dict[str, Json] = {**named, "convicted": verdict.liar, "reason": verdict.reason}
    keep_first(
        holder.store.evidence, case, lambda shown: holder.audit(verdict.event, {**said, **shown})
    )
