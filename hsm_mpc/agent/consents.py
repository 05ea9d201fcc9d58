"""What this holder takes part in only with its operator's consent (step 1.6.7)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.certificates.plan import Consent, Plan, PlanKind, consent_message
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Refused, Tampered
from hsm_mpc.tags import Tag

MOST_PLANS: Final = 16
"""That wait at once; the one whose time is over first makes room for another."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A plan that this holder was asked to take part in."""

    digest: bytes
    proposal: Proposal
    policy_file: bytes
    consented: bool


class Consents:
    """The plans and consents of one holder. Safe to use from threads."""

    def __init__(self, holder: ActingHolder) -> None:
        self._holder = holder
        self._lock = threading.Lock()

    def require(self, plan: Plan, policy_file: bytes) -> None:
        """Go on only with the operator's consent; without one the plan is kept for him.

        Raises:
            Refused: `consent`.
            Tampered: what is kept as his consent is none.
        """
        with self._lock:
            if self._has_consent(plan.digest):
                return
            self._make_room(plan.digest)
            self._holder.store.plans.offer(plan.to_bytes(), policy_file)
        raise Refused(
            "consent",
            f"this holder's operator has not consented: hsm-mpc holder admit {plan.digest.hex()}",
        )

    def waiting(self) -> Sequence[Waiting]:
        """All plans that wait, those whose time is over first."""
        with self._lock:
            self._forget_late()
            plans = self._holder.store.plans
            found = [
                Waiting(
                    digest, self._proposal(digest), plans.policy(digest), self._has_consent(digest)
                )
                for digest in plans.digests()
            ]
        return sorted(found, key=lambda each: each.proposal.deadline)

    def agree(self, digest: bytes) -> Consent:
        """The operator has read the plan and consents to it, once, until its deadline.

        Raises:
            Refused: `unknown-plan`: no such plan waits here.
        """
        with self._lock:
            self._forget_late()
            self._require_waiting(digest)
            plans, identity = self._holder.store.plans, self._holder.identity
            expiry = self._proposal(digest).deadline
            if not self._has_consent(digest):
                self._holder.audit("plan-consented", {"plan": digest.hex(), "expiry": expiry})
                signature = identity.sign(Tag.CONSENT, consent_message(digest, expiry))
                plans.agree(digest, Consent(digest, expiry, signature).to_bytes())
            return Consent.from_bytes(plans.consent(digest) or b"")

    def decline(self, digest: bytes) -> None:
        """The operator wants no part in it: plan and consent go.

        Raises:
            Refused: `unknown-plan`.
        """
        with self._lock:
            self._require_waiting(digest)
            self._holder.audit("plan-declined", {"plan": digest.hex()})
            self._holder.store.plans.forget(digest)

    def strike(self, plan: Plan) -> None:
        """It is being carried out: the consent has served."""
        with self._lock:
            self._holder.store.plans.forget(plan.digest)

    def _has_consent(self, digest: bytes) -> bool:
        kept = self._holder.store.plans.consent(digest)
        if kept is None:
            return False
        try:
            consent = Consent.from_bytes(kept)
            consent.verify(self._holder.identity.key)
        except (BadEncoding, InvalidSignature) as broken:
            raise Tampered(f"the consent to plan {digest.hex()}: {broken}") from broken
        return consent.plan_digest == digest and consent.expiry >= self._holder.clock()

    def _require_waiting(self, digest: bytes) -> None:
        if digest not in self._holder.store.plans.digests():
            raise Refused("unknown-plan", f"no plan {digest.hex()} waits here")

    def _make_room(self, wanted: bytes) -> None:
        self._forget_late()
        plans = self._holder.store.plans
        others = [digest for digest in plans.digests() if digest != wanted]
        if len(others) < MOST_PLANS:
            return
        undecided = [digest for digest in others if plans.consent(digest) is None] or others
        plans.forget(min(undecided, key=lambda digest: self._proposal(digest).deadline))

    def _forget_late(self) -> None:
        plans = self._holder.store.plans
        for digest in plans.digests():
            if self._proposal(digest).deadline < self._holder.clock():
                plans.forget(digest)

    def _proposal(self, digest: bytes) -> Proposal:
        """Raises: Tampered: the plan is damaged."""
        kept = self._holder.store.plans.plan(digest)
        try:
            return Proposal.from_bytes(Plan.from_bytes(kept).content)
        except BadInput as broken:
            raise Tampered(f"plan {digest.hex()}: {broken}") from broken


def plan_of(proposal: Proposal) -> Plan:
    """What an operator consents to before his holder takes part in making a wallet."""
    return Plan(PlanKind.PROPOSAL, proposal.to_bytes())
