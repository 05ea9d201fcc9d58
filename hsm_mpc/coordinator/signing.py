"""One signature seen from the relay: ROAST's decisions carried out over links (section 7).

Answers come in any order on the holders' threads, where their envelopes are verified; they are put
into one queue, and the machine in quorum.py sees one event after the other. No holder keeps the
others waiting, whatever it does.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.outcomes import failure, unreachable
from hsm_mpc.coordinator.quorum import Quorum, Standing
from hsm_mpc.coordinator.quorum_actions import Action, Ask, Exclude, Fail, Publish, Send, Suspect
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    HsmMpcError,
    InvalidSignature,
    NotReady,
    Refused,
)
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.protocols.signing_messages import (
    LEASE_ID_BYTES,
    Commitment,
    CommitPayload,
    PartialPayload,
    list_hash,
)
from hsm_mpc.protocols.wallet_key import Aggregation
from hsm_mpc.tags import Tag
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address, Message, seal_envelope
from hsm_mpc.wire.inbox import Equivocation, Expected, Inbox
from hsm_mpc.wire.rounds import COMMIT, EVERYBODY, PARTIAL, REQUEST, SIGN, Key, MessageKind

_NO_SESSION: Final = bytes(32)
_FIRST_SIGNATURE: Final = 0
_LEASE_LOST: Final = frozenset({"lease-unknown", "lease-used", "lease-session"})

_PATIENCE: Final = 5.0
"""Seconds after which who does not answer is asked no more: a holder that died is back by then."""
_PAUSE: Final = 0.25
"""Seconds of silence after which those that do not answer are asked again."""
_GRACE: Final = 0.03
"""Seconds of silence after which who has signed is asked for a next nonce: mostly none is needed,
and each costs its HSM an opening."""

_LEASE_ID_AT: Final = {COMMIT.name: 2, PARTIAL.name: 0}

CoSign = Callable[[Tag, bytes], bytes]
Received = tuple[Message, bytes]
"""A message whose envelope was verified, and its bytes."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that verifies, and who made it."""

    signature: bytes
    signers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Event:
    """What came back from one call to one holder."""

    index: int
    sign_payload: bytes | None
    """What it was asked to sign; None: it was asked for a nonce."""
    outcome: Future[Received]

    @property
    def signer(self) -> int | None:
        """Who was asked to sign, and did answer."""
        answered = self.sign_payload is not None and self.outcome.exception() is None
        return self.index if answered else None


@dataclass(slots=True)
class SigningRun:
    """One request for one signature under one epoch."""

    links: HolderLinks
    channels: AnnouncedChannels
    number: int
    sign: CoSign
    clock: Callable[[], int]
    wallet_id: WalletId
    epoch_hash: EpochHash
    session_id: bytes
    nonce_bytes: int
    """The length of a public nonce in COMMIT."""
    request: bytes
    """REQ, exactly as the client signed it."""
    remind: Callable[[int], None]
    """Tell a holder that the wallet is active, which it has missed."""
    report: Callable[[Exclude | Suspect], None]
    """Somebody cheated: keep the evidence."""
    keys: KeyBook
    """Under the wallet's roster in force."""
    _events: queue.SimpleQueue[_Event] = field(default_factory=queue.SimpleQueue)
    _calls: dict[int, list[Future[Received]]] = field(default_factory=dict)
    """What is under way, by holder."""
    _owed: dict[int, Send] = field(default_factory=dict)
    """What each holder was asked to sign last."""
    _sets: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    """Who was sent which SIGN list, by the list's hash."""
    _signers: tuple[int, ...] = ()
    """The set of the partial signature that came last."""
    _postponed: set[int] = field(default_factory=set)
    """Who has signed and is asked again only if this comes to nothing."""
    _rules: set[str] = field(default_factory=set)
    """By which holders declined."""

    def run(
        self, signing: Aggregation, t: int, candidates: frozenset[int], seconds: float
    ) -> Signed:
        """The signature, or why there is none.

        Args:
            candidates: the holders that may be in a set (`--signers`), else all.

        Raises:
            Declined: so many holders declined that no quorum is left.
            ProtocolAbort: so many were proven to cheat that no quorum is left.
            QuorumUnreachable: too few of them answer within `seconds`.
        """
        inbox = Inbox(self.keys)
        n = self.links.roster.n
        machine = Quorum(t, n, _FIRST_SIGNATURE, signing, lambda _: True, candidates)
        began = time.monotonic()
        finished = self._carry_out(inbox, machine, machine.start())
        try:
            while finished is None:
                waited = time.monotonic() - began
                event = self._next_event()
                if event is not None:
                    actions = self._take(machine, inbox, event)
                    finished = self._carry_out(inbox, machine, actions, event.signer)
                elif self._postponed:
                    for index in self._postponed:
                        self._ask(inbox, index)
                    self._postponed.clear()
                elif waited > (seconds if any(self._calls.values()) else _PATIENCE):
                    standings = {index: machine.standing(index) for index in candidates}
                    raise unreachable(self.links.roster, standings, t)
                else:
                    self._ask_again(inbox, machine)
        finally:
            for call in [call for calls in self._calls.values() for call in calls]:
                call.cancel()
        return finished

    def _next_event(self) -> _Event | None:
        """What comes next; None after a while of silence."""
        try:
            event = self._events.get(timeout=_GRACE if self._postponed else _PAUSE)
        except queue.Empty:
            return None
        self._calls[event.index].remove(event.outcome)
        return event

    # What the machine wants

    def _carry_out(
        self,
        inbox: Inbox,
        machine: Quorum,
        actions: Sequence[Action],
        signer: int | None = None,
    ) -> Signed | None:
        """`signer`: who has just signed."""
        for action in actions:
            if isinstance(action, Ask) and action.index == signer:
                self._postponed.add(signer)
            elif isinstance(action, Ask):
                self._ask(inbox, action.index)
            elif isinstance(action, Send):
                self._sets[list_hash(action.payload)] = action.signers
                for index in action.signers:
                    self._send(inbox, index, action)
            elif isinstance(action, (Exclude, Suspect)):
                self.report(action)
            elif isinstance(action, Publish):
                return Signed(action.signature, self._signers)
            elif isinstance(action, Fail):
                standings = {index: machine.standing(index) for index in action.reasons}
                raise failure(self.links.roster, standings, action, self._rules)
        return None

    def _ask_again(self, inbox: Inbox, machine: Quorum) -> None:
        """Those that did not answer, once more: who died may have started again."""
        for index in self.links.indices:
            if self._calls.get(index):
                continue
            if machine.standing(index) is Standing.PARKED:
                self._ask(inbox, index)
            elif machine.standing(index) is Standing.BUSY:
                self._send(inbox, index, self._owed[index])

    def _ask(self, inbox: Inbox, index: int) -> None:
        message = self._said(REQUEST, _NO_SESSION, self.request)
        self._call(inbox, index, HolderMethod.REQUEST, [message], None)

    def _send(self, inbox: Inbox, index: int, send: Send) -> None:
        self._owed[index] = send
        message = self._said(SIGN, self.session_id, send.payload)
        announced = [self.channels.message(self.links.name(signer)) for signer in send.signers]
        channels = [message for message in announced if message is not None]
        self._call(inbox, index, HolderMethod.SIGN, [message, *channels], send.payload)

    def _call(
        self,
        inbox: Inbox,
        index: int,
        method: HolderMethod,
        parts: Sequence[bytes],
        sign_payload: bytes | None,
    ) -> None:
        work = partial(self._asked, inbox, index, method, parts)
        future = self.links.submit(index, work)
        self._calls.setdefault(index, []).append(future)
        future.add_done_callback(lambda done: self._events.put(_Event(index, sign_payload, done)))

    def _said(self, kind: MessageKind, session_id: bytes, payload: bytes) -> bytes:
        address = Address(self.wallet_id, session_id, self.epoch_hash, self.number, EVERYBODY)
        return seal_envelope(kind, address, payload, Key.COORDINATOR, self.sign).to_bytes()

    # On the holder's thread

    def _asked(
        self, inbox: Inbox, index: int, method: HolderMethod, parts: Sequence[bytes]
    ) -> Received:
        """The message in the holder's answer, signed by it."""
        try:
            (source,) = self.links.ask(index, method, parts)
        except NotReady:
            self.remind(index)
            (source,) = self.links.ask(index, method, parts)
        asked = method is HolderMethod.REQUEST
        expected = Expected(
            COMMIT if asked else PARTIAL,
            self.wallet_id,
            self.session_id,
            self.epoch_hash,
            (index,),
            EVERYBODY if asked else self.number,
        )
        try:
            return inbox.receive(source, expected, self.clock()), source
        except (InvalidSignature, BackendError, Refused) as unknown:
            if not self.channels.learn(index, self.keys):  # it may have started again
                raise InvalidSignature("the channel of this holder is not known") from unknown
            return inbox.receive(source, expected, self.clock()), source

    # What came back

    def _take(self, machine: Quorum, inbox: Inbox, event: _Event) -> Sequence[Action]:
        try:
            message, source = event.outcome.result()
            inbox.remember(message, _lease_id(message))
        except Refused as refused:
            if event.sign_payload is not None and refused.rule in _LEASE_LOST:
                return machine.on_lost_lease(event.index, event.sign_payload)
            self._rules.add(refused.rule)
            return machine.on_declined(event.index, refused.rule)
        except Equivocation as twice:
            return machine.on_fault(event.index, str(twice), twice.evidence)
        except (HsmMpcError, ValueError, CancelledError):  # unsigned bytes, or no answer
            return machine.on_silence(event.index)
        try:
            return self._understood(machine, message, source)
        except BadEncoding as malformed:
            return machine.on_fault(event.index, str(malformed), (source,))

    def _understood(self, machine: Quorum, message: Message, source: bytes) -> Sequence[Action]:
        index = message.address.sender
        if message.kind is COMMIT:
            parsed = CommitPayload.from_bytes(message.payload, self.nonce_bytes)
            return machine.on_commit(
                Commitment(index, parsed.k, parsed.lease_id, parsed.public_nonce, source)
            )
        answer = PartialPayload.from_bytes(message.payload)
        self._signers = self._sets.get(answer.list_hash, ())
        return machine.on_partial(index, answer, source)


def _lease_id(message: Message) -> bytes:
    """What tells two COMMITs or PARTIALs of one holder apart (step 1.7.4)."""
    start = _LEASE_ID_AT[message.kind.name]
    return message.payload[start : start + LEASE_ID_BYTES]
