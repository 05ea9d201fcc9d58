"""Refresh at the relay: it carries signed messages, and sees no secret (section 6).

An attempt runs from ASK to CERT with all holders that are not known to be away; then what it made
is completed. Of each wallet one succession goes on at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.resharing import ReshareOrder
from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.attempt_relay import AttemptRelay
from hsm_mpc.coordinator.completion import Completer
from hsm_mpc.coordinator.evidence import EvidenceFolder
from hsm_mpc.coordinator.keygen import CoSign
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.rotation import Rotations
from hsm_mpc.coordinator.successions import Epochs, Succession, first_body, signing_body
from hsm_mpc.errors import BadInput, NotReady
from hsm_mpc.ids import EpochHash, WalletId


class Refresher:
    """All successions that one coordinator drives; used by several threads."""

    def __init__(
        self,
        links: HolderLinks,
        registry: Registry,
        channels: AnnouncedChannels,
        number: int,
        sign: CoSign,
        clock: Callable[[], int],
        report: Callable[[str], None],
        evidence: EvidenceFolder,
    ) -> None:
        self._links = links
        self._registry = registry
        self._rosters = Rosters(channels.keys, registry)
        self._relay = AttemptRelay(
            links, registry, channels, self._rosters, number, sign, clock, evidence
        )
        self._completer = Completer(links, registry, self._rosters, self._relay)
        self._rotations = Rotations(
            links, registry, self._rosters, number, sign, self._newest_body, report
        )
        self._lock = threading.Lock()
        self._wallets: dict[WalletId, threading.RLock] = {}

    def epochs(self, wallet: Registered) -> Epochs:
        """What is registered of a wallet."""
        successions = self._registry.successions(wallet.wallet_id)
        repaired = self._registry.repaired(wallet.wallet_id)
        return Epochs(first_body(wallet.certificate), wallet.dones, successions, repaired)

    def told(self, wallet: Registered) -> tuple[Epochs, bytes]:
        """That, and what has amended the roster, as both were at one moment."""
        while True:
            lineage = self._registry.lineage(wallet.wallet_id)
            epochs = self.epochs(wallet)
            if self._registry.lineage(wallet.wallet_id) == lineage:
                return epochs, lineage

    def newest(self, wallet: Registered) -> tuple[EpochBody, Succession | None]:
        """The last epoch that is certified, adopted or not, and how it came; None: it is the first.

        For whoever looks again and again: nothing before it is read.
        """
        last = self._registry.newest_successions(wallet.wallet_id, 1)
        if last:
            return last[0].body, last[0]
        return first_body(wallet.certificate), None

    def held(self, wallet: Registered) -> EpochBody:
        """Of the newest epoch whose holders have it for good (`Epochs.held`)."""
        last = self._registry.newest_successions(wallet.wallet_id, 2)
        if last and last[-1].is_undecided:
            last = last[:-1]
        return last[-1].body if last else first_body(wallet.certificate)

    def links_of(self, body: EpochBody) -> HolderLinks:
        """To the holders of an epoch, counted as they are in it."""
        return self._completer.links_of(body)

    def _newest_body(self, wallet_id: WalletId) -> EpochBody | None:
        wallet = self._registry.with_id(wallet_id)
        return None if wallet is None else self.newest(wallet)[0]

    def signing(self, wallet: Registered, candidates: Collection[str]) -> EpochBody:
        """The epoch in which the holders of these names sign together (step 6.5.8)."""
        newest = self._registry.newest_successions(wallet.wallet_id, 2)
        first, seats = first_body(wallet.certificate), list[int]()
        if newest and newest[-1].certified.shared_anew is None:
            roster = self._rosters.of_epoch(newest[-1].body)
            seats = [k for k, each in enumerate(roster.members, 1) if each.name in candidates]
        return signing_body(first, newest, seats)

    def refresh(
        self,
        wallet: Registered,
        absent: Collection[int],
        replacing: EpochHash | None = None,
    ) -> Epochs:
        """Make the next epoch of a wallet, without those that are `absent`.

        Args:
            replacing: nothing is made if another epoch is the newest by then.

        Raises:
            BadInput: too few are left.
            NotReady: the epoch before is not retired yet, or the new one was not adopted by as
                many as sign; and who is waited for.
            QuorumUnreachable: a holder that is not absent does not answer.
            Refused, ProtocolAbort, BackendError: what the holders say.
        """
        links = self.links_of(self.held(wallet))
        away = [links.name(index) for index in absent]
        self._present(wallet, away)
        with self.alone_with(wallet.wallet_id):
            epochs = self.epochs(wallet)
            if replacing not in (None, epochs.newest_body.hash):
                return epochs
            epochs, overtaken = self._completer.advanced(epochs)
            self._completer.require_ended(epochs, overtaken)
            present = self._present(wallet, away)  # by now it may have other holders
            roster = self._rosters.of_epoch(self.held(wallet))
            self._rotations.carry(self._links.places(present, roster))  # a turn is between two
            self._registry.keep(self._relay.attempt(wallet.wallet_id, self.epochs(wallet), present))
            return self._adopted_by_now(wallet)

    def _present(self, wallet: Registered, away: Collection[str]) -> list[int]:
        """The holders of a wallet but those `away`. Raises: BadInput: too few are left."""
        body = self.held(wallet)
        links, sizes = self.links_of(body), body.terms.sizes
        present = [index for index in links.indices if links.name(index) not in away]
        if len(present) < sizes.join:
            raise BadInput(
                f"{len(present)} of {sizes.n} holders are left: a refresh of this wallet wants "
                f"{sizes.join}"
            )
        return present

    def reshare(self, wallet: Registered, order: ReshareOrder) -> Epochs:
        """Share the key of a wallet anew, as its holders' operators have consented to.

        Raises:
            Refused: `other-epoch`: the wallet has another epoch by now.
            Others: as `refresh`.
        """
        with self.alone_with(wallet.wallet_id):
            epochs = self._replaceable(wallet)
            attempt = self._relay.attempt(wallet.wallet_id, epochs, None, order)
            self._registry.keep(attempt)
            return self._adopted_by_now(wallet)

    def advance(self, wallet: Registered) -> Epochs:
        """Ask those whose part of the newest succession is missing; what there is now."""
        with self.alone_with(wallet.wallet_id):
            return self._completer.advanced(self.epochs(wallet))[0]

    def replaceable(self, wallet: Registered) -> Epochs:
        """What there is, up to the epoch that a succession may replace now.

        Raises:
            NotReady: the epoch before is not retired yet.
        """
        with self.alone_with(wallet.wallet_id):
            return self._replaceable(wallet).lasting

    def _replaceable(self, wallet: Registered) -> Epochs:
        """Another resharing takes the place of one whose new holders have not all got their shares:
        nobody has voted for that one.
        """
        epochs, overtaken = self._completer.advanced(self.epochs(wallet))
        if overtaken or epochs.newest is None or not epochs.newest.not_arrived:
            self._completer.require_ended(epochs, overtaken)
        return epochs

    def ask_message(self, body: EpochBody, order: ReshareOrder) -> bytes:
        """ASK of a resharing of this epoch, for holders to consider; no attempt begins with it."""
        return self._relay.considered(body, order)

    def tell_of_amendments(self, body: EpochBody, among: Sequence[int]) -> None:
        """As `Completer.tell_of_amendments`."""
        self._completer.tell_of_amendments(body, among)

    def is_settled(self, newest: Succession) -> bool:
        """As `Completer.is_settled`."""
        return self._completer.is_settled(newest)

    def waited_for(self, newest: Succession | None) -> list[str]:
        """As `Completer.waited_for`."""
        return self._completer.waited_for(newest)

    @contextmanager
    def alone_with(self, wallet_id: WalletId) -> Iterator[None]:
        """One succession of a wallet at a time, or one repair and the refresh that follows it."""
        with self._lock:
            mine = self._wallets.setdefault(wallet_id, threading.RLock())
        with mine:
            yield

    def _adopted_by_now(self, wallet: Registered) -> Epochs:
        """Clients are shown what a quorum has adopted, and nothing before."""
        epochs = self._completer.advanced(self.epochs(wallet))[0]
        newest = epochs.newest
        if newest is not None and newest is not epochs.adopted():
            raise NotReady(
                f"epoch {newest.epoch} is certified, and not adopted yet",
                self._completer.waited_for(newest),
            )
        return epochs
