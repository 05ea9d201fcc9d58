"""All arrivals at one holder: what coordinators ask of it as a new holder, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.arrival import receiving
from hsm_mpc.agent.arrival.greeting import Arriving, forget_greetings, greet, place_in
from hsm_mpc.agent.consents import Consents, takes_part
from hsm_mpc.agent.succession import joining, resharing
from hsm_mpc.agent.succession.desk import Successions
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.certificates.resharing import ReshareOrder
from hsm_mpc.errors import HsmMpcError, Refused
from hsm_mpc.ids import Scheme, WalletId
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.succession.ask import Ask
from hsm_mpc.wire.envelope import parse_envelope

LONGEST_WAIT: Final = 120.0
"""Seconds from HELLO' to the dealings: v' waits for them in protected memory."""
MOST_ARRIVING: Final = 8
"""Wallets at once, whose v' wait."""
_ATTEMPT_BYTES: Final = 10


@dataclass(frozen=True, slots=True)
class _Waiting:
    arriving: Arriving
    until: float


class Arrivals:
    """Safe to use from threads. Every method raises what its function in this package raises.

    `ticks` is seconds of a clock that only runs forward.
    """

    def __init__(
        self,
        holder: ActingHolder,
        consents: Consents,
        successions: Successions,
        suites: Mapping[Scheme, Suite],
        ticks: Callable[[], float],
    ) -> None:
        self._holder = holder
        self._consents = consents
        self._successions = successions
        self._suites = suites
        self._ticks = ticks
        self._waiting: dict[WalletId, _Waiting] = {}

    def settle(self) -> None:
        """At start: of a HELLO' that led to no share, v' is gone, and its wrapping key goes.

        Raises:
            BackendError: HSM or disk.
        """
        for wallet_id in self._holder.store.wallet_ids():
            self._forget(wallet_id)

    def consider(self, source: bytes) -> bool:
        """ASK of a resharing → whether this holder would say HELLO' now; False: its operator is
        asked.
        """
        with self._asked(source) as (live, _, order):
            return takes_part(lambda: self._require_consent(live, order))

    def hello(self, source: bytes) -> bytes:
        """ASK → the own HELLO'; a repeat is answered with the same bytes.

        Raises:
            Refused: `not-a-member`, `arrival-over`: v' of that attempt is gone; or as
                `resharing.require_possible`, or `consent`.
        """
        with self._asked(source) as (live, ask, order):
            wallet_id, alpha = live.wallet_id, ask.attempt.to_bytes()
            kept = live.attempts.kept(alpha, AttemptDocument.HELLO)
            if kept is not None:
                self._arriving(wallet_id, alpha)
                return kept
            self._require_consent(live, order)
            self._drop(wallet_id)
            if len(self._waiting) >= MOST_ARRIVING:
                raise Refused("too-many-arrivals", f"{MOST_ARRIVING} resharings are under way here")
            arriving = greet(self._holder, live.body, ask, order.resharing, source)
            self._waiting[wallet_id] = _Waiting(arriving, self._ticks() + LONGEST_WAIT)
            return live.attempts.kept(alpha, AttemptDocument.HELLO) or b""

    def receive(self, propose: bytes, deals: Sequence[bytes], channels: Sequence[bytes]) -> bytes:
        """PROPOSE, DEALs of all dealers → the own ACK'; a repeat is answered with the same bytes.

        Raises:
            Refused: `arrival-over`.
        """
        with self._successions.live(propose) as (live, suite):
            alpha = parse_envelope(propose).payload[:_ATTEMPT_BYTES]
            kept = live.attempts.kept(alpha, AttemptDocument.NEW_ACK)
            if kept is not None:
                return kept
            arriving = self._arriving(live.wallet_id, alpha)
            try:
                return receiving.receive(
                    self._holder, suite, live.body, arriving, propose, deals, channels
                )
            finally:  # sealed, or the attempt is lost
                self._drop(live.wallet_id)

    def confirm(self, source: bytes) -> bytes:
        """CERT → the own DONE'."""
        with self._successions.live(source) as (live, _):
            return receiving.confirm(self._holder, live.body, source)

    def expire(self) -> None:
        """Wipe every v' whose dealings did not come in time."""
        now = self._ticks()
        for wallet_id, waiting in list(self._waiting.items()):
            if now >= waiting.until:
                with self._successions.alone():
                    self._drop(wallet_id)

    def close(self) -> None:
        """Wipe all of them: the signer ends."""
        for waiting in self._waiting.values():
            waiting.arriving.delivery.release()
        self._waiting.clear()

    @contextmanager
    def _asked(self, source: bytes) -> Iterator[tuple[LiveEpoch, Ask, ReshareOrder]]:
        """What is asked of this holder as a new one, and may be."""
        with self._successions.live(source) as (live, _):
            ask = joining.ask_in(live, source)
            order = ask.order(live.wallet_id, live.body.hash)
            if order is None:
                raise Refused("not-a-member", "that attempt gives nobody a share anew")
            place_in(self._holder, order.resharing)
            resharing.require_possible(self._holder, order, live.body, live.lineage)
            yield live, ask, order

    def _require_consent(self, live: LiveEpoch, order: ReshareOrder) -> None:
        resharing.require_consent(self._holder, self._consents, order, live.body)

    def _arriving(self, wallet_id: WalletId, alpha: bytes) -> Arriving:
        waiting = self._waiting.get(wallet_id)
        if waiting is None or waiting.arriving.attempt.to_bytes() != alpha:
            raise Refused("arrival-over", "what this holder would be dealt to with is gone")
        return waiting.arriving

    def _drop(self, wallet_id: WalletId) -> None:
        """v' of this wallet is wiped; its wrapping key goes unless a share is sealed under it."""
        waiting = self._waiting.pop(wallet_id, None)
        if waiting is not None:
            waiting.arriving.delivery.release()
            self._forget(wallet_id)

    def _forget(self, wallet_id: WalletId) -> None:
        try:
            forget_greetings(self._holder, wallet_id)
        except HsmMpcError as failed:  # at the next start
            self._holder.alarm(wallet_id, failed)
