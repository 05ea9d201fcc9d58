"""What this holder takes part in only with its operator's consent (step 1.6.7)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.audit import Json
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Consent, Plan, Planned, consent_message
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.resharing import ReshareOrder
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Refused, Tampered
from hsm_mpc.roster import Roster
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import bundle, unbundled

MOST_PLANS: Final = 16
"""That wait at once: people read them."""
LONGEST_PLAN: Final = 32 << 10
"""Bytes: all that wait are listed in one answer."""
FARTHEST_DEADLINE: Final = 7 * 24 * 3600
"""Seconds from now: a consent has an end."""


_ASKED: Final = "consent"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A plan that this holder was asked to take part in."""

    digest: bytes
    asked: Planned
    named: bytes
    """The policy file of a wallet to be made; else the body of the epoch that it is about, of a
    resharing `beside_resharing`.
    """
    consented: bool

    @property
    def wallet(self) -> str:
        """The name of the wallet that it is about."""
        if isinstance(self.asked, Proposal):
            return self.asked.name
        return _epoch_in(self.asked, self.named).terms.name


def beside_resharing(body: EpochBody, in_force: Roster) -> bytes:
    """What people read beside the plan of a resharing: whoever comes has nothing of the wallet."""
    return bundle([body.to_bytes(), in_force.to_bytes()])


def shared_anew(named: bytes) -> tuple[EpochBody, Roster]:
    """Inverse of `beside_resharing`. Raises: BadInput."""
    parts = unbundled(named)
    if len(parts) != 2:
        raise BadEncoding("what is kept beside a resharing: epoch and roster are wanted")
    return EpochBody.from_bytes(parts[0]), Roster.from_bytes(parts[1])


def takes_part(check: Callable[[], None]) -> bool:
    """Whether a holder would go on now; False: its operator is asked.

    Raises:
        HsmMpcError: what `check` raises for any other reason.
    """
    try:
        check()
    except Refused as refused:
        if refused.rule == _ASKED:
            return False
        raise
    return True


class Consents:
    """The plans and consents of one holder. Safe to use from threads."""

    def __init__(self, holder: ActingHolder) -> None:
        self._holder = holder
        self._plans = holder.store.plans
        self._lock = threading.Lock()
        self._served: set[bytes] = set()

    def require(self, plan: Plan, named: bytes) -> None:
        """Go on only with the operator's consent; without one the plan is kept for him, with what
        it `named`.

        Raises:
            Refused: `consent`; or `declined`, `deadline`, `plan-too-long` or `too-many-plans`.
        """
        with self._lock:
            waiting = {each.digest: each for each in self._waiting()}
            digest = plan.digest
            if digest in waiting and waiting[digest].consented:
                return
            self._require_decidable(plan)
            if digest not in waiting:
                if len(waiting) >= MOST_PLANS:
                    raise Refused("too-many-plans", f"{MOST_PLANS} plans wait at this holder")
                self._plans.offer(plan.to_bytes(), named)
        raise Refused(
            _ASKED,
            f"this holder's operator has not consented: hsm-mpc holder admit {digest.hex()}",
        )

    @contextmanager
    def serving(self, plan: Plan) -> Iterator[None]:
        """A plan is carried out in the body: it is not declined meanwhile, and its consent has
        served at the end.
        """
        digest = plan.digest
        with self._lock:
            self._served.add(digest)
        try:
            yield
            with self._lock:
                self._plans.forget(digest)
        finally:
            with self._lock:
                self._served.discard(digest)

    def roster_of(self, body: EpochBody) -> Roster:
        """The roster in force of a wallet, of which this is an epoch. Raises: Tampered."""
        return self._holder.lineage_of(body).newest.roster

    def waiting(self) -> Sequence[Waiting]:
        """All plans that wait, those whose time is over first."""
        with self._lock:
            return sorted(self._waiting(), key=lambda each: each.asked.deadline)

    def agree(self, digest: bytes) -> Consent:
        """The operator has read the plan and consents to it, once, until its deadline.

        Raises:
            Refused: `unknown-plan`: no such plan waits here.
        """
        with self._lock:
            waiting = self._required(digest)
            if not waiting.consented:
                made = self._consent(waiting)
                proof: dict[str, Json] = {"expiry": made.expiry, "signature": made.signature.hex()}
                self._holder.audit("plan-consented", {**_line(waiting), **proof})
                self._plans.agree(digest, made.to_bytes())
            return Consent.from_bytes(self._plans.consent(digest) or b"")

    def decline(self, digest: bytes) -> None:
        """The operator wants no part in it, also if he has agreed before: that is final.

        Raises:
            Refused: `unknown-plan`; or `under-way`: it is being carried out.
        """
        with self._lock:
            if digest in self._served:
                raise Refused("under-way", "that plan is being carried out")
            waiting = self._required(digest)
            self._holder.audit("plan-declined", _line(waiting))
            self._plans.decline(digest)

    def sign_again(self) -> None:
        """By the key that signs now: that before it is about to go (step 6.7.9)."""
        with self._lock:
            for waiting in list(self._waiting()):
                if waiting.consented:
                    self._plans.renew(waiting.digest, self._consent(waiting).to_bytes())

    def _consent(self, waiting: Waiting) -> Consent:
        digest, expiry = waiting.digest, waiting.asked.deadline
        signature = self._holder.identity.sign(Tag.CONSENT, consent_message(digest, expiry))
        return Consent(digest, expiry, signature)

    def tidy(self) -> None:
        """Forget what is too late, or was carried out when a crash came.

        Raises:
            BackendError, Tampered: the disk.
        """
        with self._lock:
            list(self._waiting())

    def _require_decidable(self, plan: Plan) -> None:
        if plan.digest in self._plans.digests() and self._plans.is_declined(plan.digest):
            raise Refused("declined", "this holder's operator wants no part in that plan")
        if len(plan.to_bytes()) > LONGEST_PLAN:
            raise Refused("plan-too-long", f"a plan to consent to has at most {LONGEST_PLAN} bytes")
        if plan.asked.deadline > self._holder.clock() + FARTHEST_DEADLINE:
            raise Refused("deadline", "the deadline of that plan is too far ahead")

    def _required(self, digest: bytes) -> Waiting:
        for each in self._waiting():
            if each.digest == digest:
                return each
        raise Refused("unknown-plan", f"no plan {digest.hex()} waits here")

    def _waiting(self) -> Iterator[Waiting]:
        """What is kept and not declined; what is over or damaged goes."""
        for digest in self._plans.digests():
            kept = self._kept(digest)
            if kept is None or self._is_over(kept.asked):
                self._plans.forget(digest)
            elif not self._plans.is_declined(digest):
                yield kept

    def _kept(self, digest: bytes) -> Waiting | None:
        """None: it is damaged. Nothing is lost: whoever asked for it asks again."""
        try:
            asked = Plan.from_bytes(self._plans.plan(digest)).asked
            named = self._plans.named(digest)
            _check_named(asked, named)
            consent = self._plans.consent(digest)
            consented = consent is not None and self._holds(digest, Consent.from_bytes(consent))
        except (BadInput, InvalidSignature, Tampered) as damaged:
            self._holder.audit("alarm", {"plan": digest.hex(), "reason": str(damaged)})
            return None
        return Waiting(digest, asked, named, consented)

    def _holds(self, digest: bytes, consent: Consent) -> bool:
        """Raises: InvalidSignature, Tampered: it is no consent of this holder to this plan."""
        consent.verify(self._holder.identity.verify)
        if consent.plan_digest != digest:
            raise Tampered("a consent to another plan")
        return consent.expiry >= self._holder.clock()

    def _is_over(self, asked: Planned) -> bool:
        """Too late; or begun, and then its consent has served."""
        store = self._holder.store
        if isinstance(asked, Proposal):
            wallet_id = asked.terms.wallet_id
            begun = asked.hash in store.proposals.hashes() or wallet_id in store.wallet_ids()
            return begun or store.ended.has(wallet_id) or asked.deadline < self._holder.clock()
        decided = store.destruction(asked.wallet_id).is_decided
        return decided or asked.deadline < self._holder.clock() or self._is_ended(asked)

    def _is_ended(self, asked: Planned) -> bool:
        """Whether an order is about an epoch that does not live any more."""
        if not isinstance(asked, Order):
            return False
        register = self._holder.registers.read(asked.wallet_id)
        return register is None or register.epoch_hash != asked.epoch_hash


def _check_named(asked: Planned, named: bytes) -> None:
    """Raises: Tampered, BadEncoding: what people read is not what the plan names."""
    if isinstance(asked, Proposal):
        fits = hashlib.sha256(named).digest() == asked.policy_hash
    else:
        body = _epoch_in(asked, named)
        fits = (body.terms.wallet_id, body.hash) == (asked.wallet_id, asked.epoch_hash)
    if isinstance(asked, ReshareOrder):
        fits = fits and shared_anew(named)[1].hash == asked.resharing.roster.predecessor
    if not fits:
        raise Tampered("what is kept beside a plan is not what it names")


def _epoch_in(asked: Planned, named: bytes) -> EpochBody:
    """The one that a plan about an epoch is about. Raises: BadInput."""
    if isinstance(asked, ReshareOrder):
        return shared_anew(named)[0]
    return EpochBody.from_bytes(named)


def _line(waiting: Waiting) -> dict[str, Json]:
    """What the audit log says of it."""
    asked = waiting.asked
    wallet_id = asked.terms.wallet_id if isinstance(asked, Proposal) else asked.wallet_id
    return {"plan": waiting.digest.hex(), "name": waiting.wallet, "wallet_id": wallet_id.hex()}
