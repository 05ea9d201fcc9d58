"""ROAST: which holders sign next, and who is left out (docs/protocols/signing.md section 7).

A pure state machine for one signature: events in, actions out; no I/O, no clock, no randomness. If
t honest holders that the policy allows together are reachable, it ends in a signature, whatever the
others do, and it waits for nobody in particular. It excludes only on evidence that a third party
can check: never on silence, refusals, transport errors or unsigned bytes (step 7.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import combinations
from operator import attrgetter
from typing import Final

from hsm_mpc.coordinator.quorum_actions import (
    Action,
    Ask,
    Exclude,
    Fail,
    Publish,
    Send,
    Suspect,
)
from hsm_mpc.errors import BadEncoding, HsmMpcError, InvalidSignature, ProtocolAbort
from hsm_mpc.protocols.signing_messages import Commitment, PartialPayload, SignPayload, list_hash
from hsm_mpc.protocols.wallet_key import AggregatedList, Aggregation

LOST_LEASES: Final = 3
"""How often a holder may lose a lease that it offered; then this request does without it."""


class Standing(Enum):
    """Where a holder stands (step 7.2); the value is said where a request fails."""

    UNASKED = "nothing heard"
    READY = "offered a nonce"
    BUSY = "owes a partial signature"
    PARKED = "silent"
    DECLINED = "declined"
    EXCLUDED = "proven faulty"


_slot_of = attrgetter("index", "lease_id")
_preference = attrgetter("lost", "offered")
"""The fewest losses first, then the earliest offers."""
_OUT: Final = (Standing.DECLINED, Standing.EXCLUDED)


@dataclass(slots=True)
class _Session:
    """One SIGN list that was sent, and the partial signatures that came back and verify."""

    payload: bytes
    hash: bytes
    commits: dict[int, Commitment]
    aggregator: AggregatedList
    answers: dict[int, bytes] = field(default_factory=dict)
    """The partial signatures."""
    messages: dict[int, bytes] = field(default_factory=dict)
    """The PARTIAL messages that they came in."""


@dataclass(slots=True)
class _Holder:
    """What is known of one holder."""

    index: int
    standing: Standing = Standing.UNASKED
    offer: Commitment | None = None
    """Its next COMMIT. While it is BUSY the offer waits: nobody is in two sessions at once."""
    offered: int = 0
    """Which of all offers it is, counted."""
    session: _Session | None = None
    """Where it is BUSY."""
    lost: int = 0
    reason: str = ""


class Quorum:
    """The machine. Each event returns what is to be done, in order.

    Envelopes are verified before: an event names the holder that signed it. `allowed` says of a
    t-set whether the policy lets it sign (step 7.4), and says the same as long as the request
    lasts; it is asked about sets in the order of preference until it agrees, which takes long where
    it agrees to few of many. Who must not sign at all stands outside of `candidates` (all, unless
    given) and is not asked.
    """

    def __init__(
        self,
        t: int,
        n: int,
        k: int,
        scheme: Aggregation,
        allowed: Callable[[frozenset[int]], bool],
        candidates: frozenset[int] | None = None,
    ) -> None:
        self._t = t
        self._k = k
        self._scheme = scheme
        self._allowed = allowed
        self._holders = {index: _Holder(index) for index in range(1, n + 1)}
        self._somebody_left = True
        """Since it was last looked whether those who are left can still sign."""
        if candidates is not None:
            for index in self._holders.keys() - candidates:
                self._leave(index, Standing.DECLINED, "not a candidate")
        self._seen: dict[bytes, Commitment] = {}
        self._offers = 0
        self._attempt = 0
        self._actions: list[Action] = []
        self.finished = False

    def standing(self, index: int) -> Standing:
        """Where a holder stands."""
        return self._holders[index].standing

    def start(self) -> Sequence[Action]:
        """Ask everybody who is a candidate."""
        self._actions += [Ask(index) for index in self._not_out()]
        return self._advanced()

    def on_commit(self, commitment: Commitment) -> Sequence[Action]:
        """A COMMIT of this session, signed by `commitment.index`."""
        index, holder = commitment.index, self._holders[commitment.index]
        if holder.standing in _OUT or commitment.k != self._k:
            return ()
        known = self._seen.get(commitment.lease_id) or self._seen.get(commitment.public_nonce)
        if known is not None and _slot_of(known) == _slot_of(commitment):
            if known.public_nonce == commitment.public_nonce:
                return self._revived(index)  # it repeats its answer
            both = (known.message, commitment.message)
            self._exclude(index, "two COMMITs for one lease", both)  # step 1.7.4
            return self._advanced()
        try:
            nonce = self._scheme.parse_nonce(commitment.public_nonce)
        except BadEncoding:
            self._exclude(index, "its nonce is no point", (commitment.message,))
            return self._advanced()
        if known is not None:
            both = (known.message, commitment.message)
            self._actions.append(Suspect((known.index, index), both))
            self._lose(index)
            return self._advanced()
        self._seen[commitment.lease_id] = self._seen[commitment.public_nonce] = commitment
        self._offers += 1
        holder.offer, holder.offered = commitment.parsed(nonce), self._offers
        if holder.standing is not Standing.BUSY:
            holder.standing = Standing.READY
        return self._advanced()

    def on_partial(self, index: int, partial: PartialPayload, message: bytes) -> Sequence[Action]:
        """A PARTIAL signed by holder `index`; a COMMIT that rode on it is the event after this."""
        holder = self._holders[index]
        session = holder.session
        if (
            self.finished
            or session is None
            or session.hash != partial.list_hash
            or session.commits[index].lease_id != partial.lease_id
        ):
            return self._revived(index)
        holder.session = None
        try:
            session.aggregator.verify(index, partial.signature)  # step 3.5.1
        except ProtocolAbort as error:
            self._exclude(index, str(error), (session.payload, message))
            return self._advanced()
        session.answers[index], session.messages[index] = partial.signature, message
        if session.answers.keys() == session.commits.keys():
            return self._published(session)
        self._free(index)
        return self._advanced()

    def on_lost_lease(self, index: int, sign_payload: bytes) -> Sequence[Action]:
        """Holder `index` refused this SIGN because it has no such lease (it restarted, say)."""
        holder = self._holders[index]
        if holder.session is None or holder.session.payload != sign_payload:
            return self._revived(index)
        holder.session = None
        self._lose(index)
        return self._advanced()

    def on_declined(self, index: int, rule: str) -> Sequence[Action]:
        """Holder `index` refuses to sign this, by the named rule: not a fault."""
        if self._holders[index].standing is not Standing.EXCLUDED:
            self._leave(index, Standing.DECLINED, f"declined: {rule}")
        return self._advanced()

    def on_fault(self, index: int, reason: str, evidence: tuple[bytes, ...]) -> Sequence[Action]:
        """Signed bytes of holder `index` that do not decode, or two that contradict (1.7.4)."""
        if self._holders[index].standing is not Standing.EXCLUDED:
            self._exclude(index, reason, evidence)
        return self._advanced()

    def on_silence(self, index: int) -> Sequence[Action]:
        """Nothing comes from holder `index`, for now. Whoever owes a partial still may answer."""
        holder = self._holders[index]
        if holder.standing in (Standing.UNASKED, Standing.READY):
            holder.standing = Standing.PARKED
        return ()

    # Changes of standing

    def _revived(self, index: int) -> Sequence[Action]:
        """A message without use shows at least that its sender is there."""
        if self._holders[index].standing is Standing.PARKED:
            self._free(index)
        return self._advanced()

    def _free(self, index: int) -> None:
        """It owes nothing: ready if it has made the next offer already, else asked for one."""
        holder = self._holders[index]
        holder.standing = Standing.READY if holder.offer else Standing.UNASKED
        if holder.offer is None:
            self._actions.append(Ask(index))

    def _lose(self, index: int) -> None:
        holder = self._holders[index]
        holder.lost += 1
        if holder.lost > LOST_LEASES:
            self._leave(index, Standing.DECLINED, f"lost {holder.lost} nonces that it offered")
        elif holder.session is None:
            self._free(index)

    def _exclude(self, index: int, reason: str, evidence: tuple[bytes, ...]) -> None:
        self._actions.append(Exclude(index, reason, evidence))
        self._leave(index, Standing.EXCLUDED, f"proven faulty: {reason}")

    def _leave(self, index: int, standing: Standing, reason: str) -> None:
        holder = self._holders[index]
        holder.standing, holder.reason = standing, reason
        holder.offer = holder.session = None
        self._somebody_left = True

    # Sessions

    def _advanced(self) -> Sequence[Action]:
        """Open every session that can be opened; the actions so far, none once it is finished."""
        if self.finished:
            return ()
        while (chosen := self._pick(self._ready())) is not None:
            self._open(chosen)
        if self._somebody_left and self._pick(self._not_out()) is None:
            self.finished = True
            holders = self._holders.items()
            reasons = {index: holder.reason or holder.standing.value for index, holder in holders}
            self._actions.append(Fail(reasons))
        self._somebody_left = False
        return self._taken()

    def _taken(self) -> Sequence[Action]:
        actions, self._actions = self._actions, []
        return actions

    def _ready(self) -> Sequence[int]:
        """Who may join a session, by preference."""
        holders = self._holders.values()
        ready = [holder for holder in holders if holder.standing is Standing.READY]
        return [holder.index for holder in sorted(ready, key=_preference)]

    def _not_out(self) -> Sequence[int]:
        return [index for index, holder in self._holders.items() if holder.standing not in _OUT]

    def _pick(self, indices: Sequence[int]) -> tuple[int, ...] | None:
        """The first t of them that the policy lets sign together (step 7.4)."""
        if len(indices) < self._t:
            return None
        sets = combinations(indices, self._t)
        return next((chosen for chosen in sets if self._allowed(frozenset(chosen))), None)

    def _open(self, chosen: tuple[int, ...]) -> None:
        self._attempt += 1
        offers = {index: self._holders[index].offer for index in sorted(chosen)}
        commits = {index: offer for index, offer in offers.items() if offer is not None}
        listed = tuple(commits.values())
        messages = tuple(commitment.message for commitment in listed)
        payload = SignPayload(self._attempt, self._k, messages).to_bytes()
        session = _Session(payload, list_hash(payload), commits, self._scheme.open(listed))
        for index in commits:
            holder = self._holders[index]
            holder.standing, holder.session, holder.offer = Standing.BUSY, session, None
        self._actions.append(Send(tuple(commits), payload))

    def _published(self, session: _Session) -> Sequence[Action]:
        """Finish a complete session, unless all its signers colluded to let it fail."""
        try:
            signature = session.aggregator.signature(session.answers)
        except (InvalidSignature, ProtocolAbort) as error:  # step 3.5.2
            colluders = error.culprits if isinstance(error, ProtocolAbort) else ()
            if not colluders:
                raise HsmMpcError("valid partial signatures make an invalid signature") from error
            for index in colluders:
                others = (sent for of, sent in session.messages.items() if of != index)
                evidence = (session.payload, session.messages[index], *others)
                self._exclude(index, str(error), evidence)
            return self._advanced()
        self.finished = True
        self._actions.append(Publish(signature))
        return self._taken()
