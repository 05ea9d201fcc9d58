"""All arrivals at one holder: what coordinators ask of it as a new holder, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.arrival import arriving, complaining, receiving
from hsm_mpc.agent.arrival.greeting import (
    Greeted,
    forget_greetings,
    greet,
    newest_greeted,
    place_in,
)
from hsm_mpc.agent.consents import Consents, takes_part
from hsm_mpc.agent.repair.chain import KnownWallet
from hsm_mpc.agent.succession import resharing
from hsm_mpc.agent.succession.desk import Successions
from hsm_mpc.agent.succession.joining import JoinPace, ask_in, require_near, require_only_ask
from hsm_mpc.agent.succession.shown import Shown, complained_before
from hsm_mpc.agent.wallets import HeldWallets
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.resharing import ReshareOrder
from hsm_mpc.errors import HsmMpcError, ProtocolAbort, Refused
from hsm_mpc.ids import EpochHash, Scheme, WalletId
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.roster import Roster
from hsm_mpc.store.attempts import ATTEMPT_BYTES, AttemptDocument
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.wire.envelope import parse_envelope

LONGEST_WAIT: Final = 120.0
"""Seconds from HELLO' to the dealings: v' waits for them in protected memory."""
MOST_ARRIVING: Final = 8
"""Wallets at once, whose v' wait."""

Told = tuple[bytes, bytes, bytes]
"""Chain, policy file and client list of a wallet, for whoever has nothing of it."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    greeted: Greeted
    until: float
    is_lost: bool = False
    """A dealing was found bad: v' stays for a complaint alone, and the wrapping key has gone."""


@dataclass(frozen=True, slots=True)
class _Asked:
    body: EpochBody
    """Of the epoch that is shared anew."""
    ask: Ask
    order: ReshareOrder
    in_force: Roster
    wallet: KnownWallet | None
    """As it is told; None: this holder has a share of it."""


class Arrivals:
    """Safe to use from threads. Every method raises what its function in this package raises.

    `ticks` is seconds of a clock that only runs forward.
    """

    def __init__(
        self,
        holder: ActingHolder,
        wallets: HeldWallets,
        consents: Consents,
        successions: Successions,
        suites: Mapping[Scheme, Suite],
        ticks: Callable[[], float],
    ) -> None:
        self._holder = holder
        self._wallets = wallets
        self._consents = consents
        self._successions = successions
        self._suites = suites
        self._ticks = ticks
        self._pace = JoinPace(ticks, interval=0)
        self._waiting: dict[WalletId, _Waiting] = {}

    def settle(self) -> None:
        """At start: of a HELLO' that led to no share, v' is gone, and its wrapping key goes.

        Raises:
            BackendError: HSM or disk.
        """
        for wallet_id in self._holder.store.wallet_ids():
            self._forget(wallet_id)

    def consider(self, source: bytes, told: Told) -> bool:
        """ASK of a resharing → whether this holder would say HELLO' now; False: its operator is
        asked.
        """
        with self._asked(source, told) as asked:
            return takes_part(lambda: self._require_consent(asked))

    def hello(self, source: bytes, told: Told) -> bytes:
        """ASK → the own HELLO'; a repeat is answered with the same bytes.

        Raises:
            Refused: `not-a-member`, `arrival-over`: v' of that attempt is gone; `staged-full`,
                `attempt-overtaken`, `other-ask`, `attempt-too-far`, `too-many-attempts`; or as
                `resharing.require_possible`, or `consent`.
        """
        with self._asked(source, told) as asked:
            body, ask = asked.body, asked.ask
            wallet_id, alpha = body.terms.wallet_id, ask.attempt.to_bytes()
            attempts = self._holder.attempts(wallet_id)
            kept = attempts.kept(alpha, AttemptDocument.HELLO)
            if kept is not None:
                self._greeted(wallet_id, alpha)
                return kept
            require_only_ask(attempts, alpha, source)
            require_near(self._holder, ask.attempt)
            if alpha < newest_greeted(attempts):
                raise Refused("attempt-overtaken", "this holder has gone into a newer attempt")
            self._require_consent(asked)
            self._pace.require_room(wallet_id, ask.attempt.initiator)
            self._drop(wallet_id)
            if len(self._waiting) >= MOST_ARRIVING:
                raise Refused("too-many-arrivals", f"{MOST_ARRIVING} resharings are under way here")
            if asked.wallet is not None:
                arriving.take_in(self._holder, asked.wallet)
            self._pace.count(wallet_id, ask.attempt.initiator)
            greeted = greet(self._holder, body, ask, asked.order.resharing, source)
            self._waiting[wallet_id] = _Waiting(greeted, self._ticks() + LONGEST_WAIT)
            return attempts.kept(alpha, AttemptDocument.HELLO) or b""

    def receive(self, propose: bytes, deals: Sequence[bytes], channels: Sequence[bytes]) -> bytes:
        """PROPOSE, DEALs of all dealers → the own ACK'; a repeat is answered with the same bytes.

        Raises:
            Refused: `arrival-over`.
        """
        with self._replaced(propose) as body:
            wallet_id, alpha = body.terms.wallet_id, parse_envelope(propose).payload[:ATTEMPT_BYTES]
            kept = self._holder.attempts(wallet_id).kept(alpha, AttemptDocument.NEW_ACK)
            if kept is not None:
                return kept
            greeted, suite = self._greeted(wallet_id, alpha), self._suites[body.terms.scheme]
            try:
                return receiving.receive(
                    self._holder, suite, body, greeted, propose, deals, channels
                )
            except ProtocolAbort as bad:
                waiting = self._waiting[wallet_id]
                self._waiting[wallet_id] = replace(waiting, is_lost=bool(bad.culprits))
                raise
            finally:  # sealed, or the attempt is lost
                if self._waiting[wallet_id].is_lost:
                    self._forget(wallet_id)
                else:
                    self._drop(wallet_id)

    def has_greeted(self, propose: bytes) -> bool:
        """Whether this holder is a new one in that attempt."""
        message = parse_envelope(propose)
        attempts = self._holder.attempts(message.address.wallet_id)
        return attempts.kept(message.payload[:ATTEMPT_BYTES], AttemptDocument.HELLO) is not None

    def complain(self, accused: int, shown: Shown) -> bytes:
        """PROPOSE, DEALs and CHANNELs of all dealers → the own COMPLAINT about one of them.

        Raises:
            Refused: `complained`: of another dealer; `arrival-over`: or it is acknowledged.
        """
        with self._replaced(shown.propose) as body:
            wallet_id, attempt = body.terms.wallet_id, shown.attempt
            attempts = self._holder.attempts(wallet_id)
            kept = complained_before(attempts, attempt, accused, body)
            if kept is not None:
                return kept
            greeted = self._waited(wallet_id, attempt.to_bytes()).greeted
            suite = self._suites[body.terms.scheme]
            said = complaining.complain(self._holder, suite, body, greeted, accused, shown)
            self._drop(wallet_id)
            return said

    def confirm(self, source: bytes) -> bytes:
        """CERT → the own DONE'. Whoever has nothing else of the wallet does not sign yet."""
        with self._replaced(source) as body:
            said, certificate = receiving.confirm(self._holder, body, source)
            if not self._is_held(body.terms.wallet_id, body.hash):
                arriving.adopt(self._holder, body, certificate)
            self._wallets.forget(body.terms.wallet_id)
            return said

    def arrive(self, source: bytes, certificate: bytes, amendments: Sequence[bytes] = ()) -> bytes:
        """RETIRE, CERT → the own DONE', once the new epoch is the one that lives here. It is for
        those who had no share before: the others retire.

        Args:
            amendments: of the roster of the epoch that ends: who has voted by which key.

        Raises:
            Refused: `other-epoch`: this holder had one.
        """
        address = parse_envelope(source).address
        if self._is_held(address.wallet_id, address.epoch_hash):
            raise Refused("other-epoch", "this holder has a share of the epoch that ends")
        with self._replaced(source) as body:
            said = arriving.arrive(self._holder, body, source, certificate, amendments)
            self._wallets.forget(body.terms.wallet_id)
            return said

    def is_awaited(self, wallet_id: WalletId) -> bool:
        """Whether this holder has shares by resharings, and none of the epochs before them."""
        with self._successions.alone():
            return arriving.is_awaited(self._holder, wallet_id)

    def discard(self, wallet_id: WalletId) -> None:
        """No share is left of resharings that never came to be, as the operator says.

        Raises:
            Refused: `not-prepared`: this holder has other shares of that wallet.
        """
        with self._successions.alone():
            if not arriving.is_awaited(self._holder, wallet_id):
                raise Refused("not-prepared", "no resharing is waited for: it is not discarded")
            self._drop(wallet_id)
            arriving.discard(self._holder, wallet_id)
            self._wallets.forget(wallet_id)

    def expire(self) -> None:
        """Wipe every v' whose dealings did not come in time."""
        now = self._ticks()
        for wallet_id, waiting in list(self._waiting.items()):
            if now >= waiting.until:
                with self._successions.alone():
                    if self._waiting.get(wallet_id) is waiting:  # no newer HELLO' was said since
                        self._drop(wallet_id)

    def close(self) -> None:
        """Wipe all of them: the signer ends."""
        for waiting in self._waiting.values():
            waiting.greeted.delivery.release()
        self._waiting.clear()

    @contextmanager
    def _asked(self, source: bytes, told: Told) -> Iterator[_Asked]:
        """What is asked of this holder as a new one, and may be: about the live epoch here, or one
        that is told of. Nothing of it is kept.

        Raises:
            Refused: `other-epoch`; or as `arriving.told_of`.
        """
        address = parse_envelope(source).address
        if self._is_held(address.wallet_id, address.epoch_hash):
            with self._successions.live(source) as (live, _):
                yield self._possible(source, live.body, live.lineage, None)
        else:
            with self._successions.alone():
                wallet = arriving.told_of(self._holder, self._wallets, address, told)
                lineage = wallet.lineage_over(self._holder.lineage(wallet.body.terms))
                yield self._possible(source, wallet.body, lineage, wallet)

    def _possible(
        self, source: bytes, body: EpochBody, lineage: Lineage, wallet: KnownWallet | None
    ) -> _Asked:
        ask = ask_in(self._holder, body, source)
        order = ask.order(body.terms.wallet_id, body.hash)
        if order is None:
            raise Refused("not-a-member", "that attempt gives nobody a share anew")
        place_in(self._holder, order.resharing.roster)
        resharing.require_possible(self._holder, order, body, lineage)
        return _Asked(body, ask, order, lineage.newest.roster, wallet)

    @contextmanager
    def _replaced(self, source: bytes) -> Iterator[EpochBody]:
        """The epoch that a message is about: the live one here, or one that was told of.

        Raises:
            Refused: `other-epoch`; or as `arriving.known`.
        """
        address = parse_envelope(source).address
        if self._is_held(address.wallet_id, address.epoch_hash):
            with self._successions.live(source) as (live, _):
                yield live.body
        else:
            with self._successions.alone():
                yield arriving.known(self._holder, address)

    def _is_held(self, wallet_id: WalletId, h: EpochHash) -> bool:
        """Whether this holder has a share of an epoch."""
        return any(each.epoch_hash == h for each in self._holder.epochs(wallet_id).records())

    def _require_consent(self, asked: _Asked) -> None:
        resharing.require_consent(
            self._holder, self._consents, asked.order, asked.body, asked.in_force
        )

    def _greeted(self, wallet_id: WalletId, alpha: bytes) -> Greeted:
        waiting = self._waited(wallet_id, alpha)
        if waiting.is_lost:
            raise Refused("arrival-over", "a dealing of that attempt was found bad here")
        return waiting.greeted

    def _waited(self, wallet_id: WalletId, alpha: bytes) -> _Waiting:
        waiting = self._waiting.get(wallet_id)
        if waiting is None or waiting.greeted.attempt.to_bytes() != alpha:
            raise Refused("arrival-over", "what this holder would be dealt to with is gone")
        return waiting

    def _drop(self, wallet_id: WalletId) -> None:
        """v' of this wallet is wiped; its wrapping key goes unless a share is sealed under it."""
        waiting = self._waiting.pop(wallet_id, None)
        if waiting is not None:
            waiting.greeted.delivery.release()
            self._forget(wallet_id)

    def _forget(self, wallet_id: WalletId) -> None:
        try:
            forget_greetings(self._holder, wallet_id)
        except HsmMpcError as failed:  # at the next start
            self._holder.alarm(wallet_id, failed)
