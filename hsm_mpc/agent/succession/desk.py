"""All successions of one holder: what coordinators ask of it, one at a time (section 6)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.consents import Consents, takes_part
from hsm_mpc.agent.succession import (
    adopting,
    complaining,
    dealing,
    joining,
    judging,
    resharing,
    retiring,
    rewrapping,
    staging,
)
from hsm_mpc.agent.succession.joining import JoinPace
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.agent.succession.shown import Shown
from hsm_mpc.agent.verdicts import Verdict
from hsm_mpc.agent.wallets import HeldEpoch, HeldWallets
from hsm_mpc.errors import NotReady, Refused, Tampered
from hsm_mpc.ids import EpochHash, Scheme, WalletId
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.wire.envelope import parse_envelope

ForgetEpoch = Callable[[WalletId, EpochHash], None]
"""Nothing is signed in this epoch any more: its nonces are wiped (step 6.5.7)."""


class Successions:
    """Safe to use from threads. Every method raises what its function in this package raises."""

    def __init__(
        self,
        holder: ActingHolder,
        wallets: HeldWallets,
        suites: Mapping[Scheme, Suite],
        forget_epoch: ForgetEpoch,
        pace: JoinPace,
        consents: Consents,
    ) -> None:
        self._holder = holder
        self._wallets = wallets
        self._suites = suites
        self._forget_epoch = forget_epoch
        self._pace = pace
        self._consents = consents
        self._lock = threading.Lock()

    def recover(self) -> None:
        """At start: finish what a crash interrupted. What does not fit is said aloud, and stays.

        Raises:
            BackendError: HSM or disk.
        """
        for wallet_id in self._holder.store.wallet_ids():
            with self._lock:
                try:
                    live = self._settled(wallet_id)
                except (NotReady, Refused):
                    continue  # no epoch of it was ever active here
                except Tampered as damaged:
                    self._holder.alarm(wallet_id, damaged)
                else:
                    self._say_what_is_lost(live)

    def _say_what_is_lost(self, live: LiveEpoch) -> None:
        """A share that cannot open; a vote that the HSM alone remembers (steps 6.6.1, 6.6.2)."""
        try:
            live.require_sealed()
        except (Refused, Tampered) as closed:
            self._holder.alarm(live.wallet_id, f"its share does not open: {closed}")
        try:
            joining.adopted_certificate(live)
        except Tampered as older:
            # A crash: what was taken by an order is certified, and has no other proof.
            if not (live.is_certified and live.is_obeying()):
                self._holder.alarm(live.wallet_id, older)

    def join(self, source: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        """ASK → the own JOIN, the own newest DONE; of what is adopted the CERT payload, and the
        PROPOSEs since it was made.
        """
        with self.live(source) as (live, _):
            message = joining.join(live, source, self._pace, self._consents)
            certificate = joining.adopted_certificate(live) or b""
            return message, live.own_done(), certificate, joining.carried_on(live) or b""

    def consider(self, source: bytes) -> bool:
        """ASK of a resharing → whether this holder would join it now, as an old holder; False: its
        operator is asked.
        """
        with self.live(source) as (live, _):
            ask = joining.ask_in(live.holder, live.body, source)
            order = ask.order(live.wallet_id, live.body.hash)
            if order is None:
                return True
            lineage, ask_operator = live.lineage, partial(resharing.require_consent, live.holder)
            resharing.require_possible(live.holder, order, live.body, lineage)
            in_force = lineage.newest.roster
            return takes_part(lambda: ask_operator(self._consents, order, live.body, in_force))

    def deal(self, source: bytes) -> bytes:
        """PROPOSE → the own DEAL, empty of who deals nothing."""
        with self.live(source) as (live, suite):
            deal = dealing.deal(live, suite, source)
            self._wallets.forget(live.wallet_id)  # the roster may be another one
            return deal

    def stage(self, deals: Sequence[bytes], channels: Sequence[bytes]) -> bytes:
        """DEALs of all members → the own ACK."""
        staging.attempt_of(deals)
        with self.live(deals[0]) as (live, suite):
            return staging.stage(live, suite, deals, channels)

    def complain(self, accused: int, shown: Shown) -> bytes:
        """PROPOSE, DEALs and CHANNELs of all dealers → the own COMPLAINT about one of them."""
        with self.live(shown.propose) as (live, suite):
            return complaining.complain(live, suite, accused, shown)

    def judge(self, source: bytes, shown: Shown) -> Verdict:
        """COMPLAINT, PROPOSE, DEALs and CHANNELs of all dealers → who lied."""
        with self.live(shown.propose) as (live, suite):
            return judging.judge(live, suite, source, shown)

    def judge_alone(self, accused: int, shown: Shown) -> Verdict:
        """PROPOSE, DEALs, CHANNELs → the accused dealer, if that is proof enough."""
        with self.live(shown.propose) as (live, suite):
            return judging.judge_alone(live, suite, accused, shown)

    def adopt(
        self,
        propose: bytes,
        certificate: bytes,
        transcript: bytes,
        history: bytes = b"",
        arrivals: bytes = b"",
    ) -> bytes:
        """PROPOSE, CERT, transcript or nothing, the PROPOSEs between, the DONE's of the new holders
        of a resharing → the own DONE.
        """
        with self.live(certificate) as (live, suite):
            done = adopting.adopt(live, suite, propose, certificate, transcript, history, arrivals)
            self._wallets.forget(live.wallet_id)  # what was adopted before signs no more
            return done

    def retire(self, source: bytes, certificate: bytes, transcript: bytes) -> tuple[bytes, bytes]:
        """RETIRE, CERT or nothing, transcript or nothing → the own DESTROYED, and the own DONE of
        the epoch that is live now: whoever did not vote for it has said none yet. Empty: there is
        none for this holder.
        """
        address = parse_envelope(source).address
        with self._lock:
            try:
                live = self._settled(address.wallet_id)
            except Refused:  # it has left, maybe only now
                left = self._left(address.wallet_id, address.epoch_hash)
                if left is None:
                    raise
                return left, b""
            said = live.epochs.kept(address.epoch_hash, EpochDocument.DESTROYED)
            if said is not None and live.body.hash != address.epoch_hash:
                return said, live.own_done()
            self._require_live(live, address.epoch_hash)
            retiring.begin(live, self._suite(live), source, certificate, transcript)
            destroyed, succeeding = self._finished(live.wallet_id)
            return destroyed, b"" if succeeding is None else succeeding.own_done()

    def transcript(self, wallet_id: WalletId, h: EpochHash) -> bytes:
        """What an epoch was made from: for holders that were away.

        Raises:
            Refused: `unknown-wallet`: this holder does not have it.
        """
        kept = self._holder.epochs(wallet_id).kept(h, EpochDocument.TRANSCRIPT)
        if kept is None:
            raise Refused("unknown-wallet", "this holder has no transcript of such an epoch")
        return kept

    def rewrap(self, wallet_id: WalletId) -> HeldEpoch:
        """The live epoch, once its share is sealed for a new key and the old key is gone."""
        with self._lock:
            live = self._settled(wallet_id)
            try:
                record = rewrapping.begin(live)
            finally:  # also what fails may have put another key into the record
                self._wallets.forget(wallet_id)
            rewrapping.settle(self._holder, wallet_id)
            return self._wallets.find(wallet_id, record.epoch_hash)

    def forget(self, wallet_id: WalletId, h: EpochHash) -> None:
        """Wipe what waits to sign in this epoch: it has ended, and not by a RETIRE."""
        self._forget_epoch(wallet_id, h)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No succession goes on while the body runs."""
        with self._lock:
            yield

    @contextmanager
    def newest(self, wallet_id: WalletId) -> Iterator[HeldEpoch]:
        """The newest epoch that this holder has adopted and has a share of; nothing takes its
        place meanwhile.

        Raises:
            Refused: `unknown-wallet`, or `wallet-destroyed`.
            NotReady: the wallet is not certified yet.
        """
        with self._lock:
            yield self._newest(wallet_id)

    @contextmanager
    def signing(self, wallet_id: WalletId, h: EpochHash) -> Iterator[HeldEpoch]:
        """One of the at most two epochs in which this holder signs: the live one, unless its end is
        decided, and the successor that it has adopted. Nothing happens to it meanwhile. The live
        one is there also for whoever has lost its share of the other (step 6.7.1).

        Raises:
            Refused: `other-epoch`: it is neither; `unknown-wallet`, or `wallet-destroyed`.
            NotReady: the wallet is not certified yet.
        """
        with self._lock:
            held = self._certified(wallet_id)
            if held is None or held.body.hash != h:
                held = self._settled(wallet_id).held
            if held.body.hash != h:
                held = self._newest(wallet_id)
            if held.body.hash != h:
                raise Refused("other-epoch", "the epochs of that wallet here are other ones")
            yield held

    @contextmanager
    def at(self, wallet_id: WalletId, h: EpochHash) -> Iterator[LiveEpoch]:
        """The live epoch of a wallet; nothing happens to it meanwhile.

        Raises:
            Refused: `other-epoch`: that is not `h`; `unknown-wallet`, or `wallet-destroyed`.
        """
        with self._lock:
            live = self._settled(wallet_id)
            self._require_live(live, h)
            yield live

    @contextmanager
    def live(self, source: bytes) -> Iterator[tuple[LiveEpoch, Suite]]:
        """The live epoch that a message is about, and how keys of its scheme are generated.

        Raises:
            Refused: `other-epoch`: the message is about another one.
        """
        address = parse_envelope(source).address
        with self.at(address.wallet_id, address.epoch_hash) as live:
            yield live, self._suite(live)

    def _settled(self, wallet_id: WalletId) -> LiveEpoch:
        """The live epoch, once nothing of an interrupted succession is left."""
        self._wallets.require_not_destroyed(wallet_id)
        register = self._holder.registers.read(wallet_id)
        if register is not None:
            retiring.settle(self._holder, wallet_id, register)
            rewrapping.settle(self._holder, wallet_id)
        live = LiveEpoch.of(self._holder, self._wallets, wallet_id)
        if live.held.record.state is EpochState.RETIRING:
            _, succeeding = self._finished(wallet_id)
            if succeeding is None:
                raise Refused("unknown-wallet", "this holder has no share of that wallet any more")
            return succeeding
        return live

    def _certified(self, wallet_id: WalletId) -> HeldEpoch | None:
        """The first epoch of a wallet that not all have confirmed yet."""
        self._wallets.require_not_destroyed(wallet_id)
        for held in self._wallets.of(wallet_id):
            if held.record.state is EpochState.CERTIFIED:
                return held
        return None

    def _newest(self, wallet_id: WalletId) -> HeldEpoch:
        certified = self._certified(wallet_id)
        if certified is not None:
            return certified
        live = self._settled(wallet_id)
        adopted = live.register.adopted
        voted = None if adopted is None else live.successor(adopted.epoch_hash)
        return live.held if voted is None else voted

    def _left(self, wallet_id: WalletId, h: EpochHash) -> bytes | None:
        """The own DESTROYED of an epoch after which this holder had a share no more."""
        if self._holder.registers.read(wallet_id) is not None:
            return None
        return self._holder.epochs(wallet_id).kept(h, EpochDocument.DESTROYED)

    def _finished(self, wallet_id: WalletId) -> tuple[bytes, LiveEpoch | None]:
        """The own DESTROYED of the epoch that retires, and the one that is live after it; None: it
        gives this holder no share.
        """
        retired = LiveEpoch.of(self._holder, self._wallets, wallet_id)
        self._forget_epoch(wallet_id, retired.body.hash)
        destroyed = retiring.finish(retired)
        if self._holder.registers.read(wallet_id) is None:
            return destroyed, None
        return destroyed, LiveEpoch.of(self._holder, self._wallets, wallet_id)

    def _suite(self, live: LiveEpoch) -> Suite:
        return self._suites[live.body.terms.scheme]

    @staticmethod
    def _require_live(live: LiveEpoch, h: EpochHash) -> None:
        if live.body.hash != h:
            raise Refused("other-epoch", "this holder is at another epoch of that wallet")
