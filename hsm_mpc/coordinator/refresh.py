"""Refresh at the relay: it carries signed messages, and sees no secret (section 6).

An attempt runs from ASK to CERT with all holders that are not known to be away; who adopts what it
made, and whose old key is gone, is asked again and again until it is everybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.attempt_relay import AttemptRelay
from hsm_mpc.coordinator.keygen import CoSign
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.rotation import Rotations
from hsm_mpc.coordinator.successions import (
    Epochs,
    Succession,
    attempt_in,
    first_body,
    signing_body,
)
from hsm_mpc.errors import (
    BadInput,
    HsmMpcError,
    InvalidSignature,
    NotReady,
    Refused,
)
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.retirement import Retirement, adoption_in
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import RETIRE, SUCCESSOR


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
    ) -> None:
        self._links = links
        self._registry = registry
        self._rosters = Rosters(channels.keys, registry)
        self._relay = AttemptRelay(links, registry, channels, self._rosters, number, sign, clock)
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

    def newest(self, wallet: Registered) -> tuple[EpochBody, Succession | None]:
        """The last epoch that is certified, adopted or not, and how it came; None: it is the first.

        For whoever looks again and again: nothing before it is read.
        """
        last = self._registry.newest_successions(wallet.wallet_id, 1)
        if last:
            return last[0].body, last[0]
        return first_body(wallet.certificate), None

    def _newest_body(self, wallet_id: WalletId) -> EpochBody | None:
        wallet = self._registry.with_id(wallet_id)
        return None if wallet is None else self.newest(wallet)[0]

    def signing(self, wallet: Registered, candidates: Collection[int]) -> EpochBody:
        """The epoch in which these holders sign together (step 6.5.8)."""
        newest = self._registry.newest_successions(wallet.wallet_id, 2)
        return signing_body(first_body(wallet.certificate), newest, candidates)

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
        present = [index for index in self._links.indices if index not in absent]
        sizes = first_body(wallet.certificate).terms.sizes
        if len(present) < sizes.join:
            raise BadInput(
                f"{len(present)} of {sizes.n} holders are left: a refresh of this wallet wants "
                f"{sizes.join}"
            )
        with self.alone_with(wallet.wallet_id):
            epochs = self.epochs(wallet)
            if replacing not in (None, epochs.newest_body.hash):
                return epochs
            epochs, overtaken = self._advanced(epochs)
            if not overtaken:
                self._require_retired(epochs)
            self._rotations.carry(present)  # a holder turns to another key between two successions
            self._registry.keep(self._relay.attempt(wallet.wallet_id, self.epochs(wallet), present))
            epochs = self._advanced(self.epochs(wallet))[0]
            self._require_adopted(epochs)
            return epochs

    def advance(self, wallet: Registered) -> Epochs:
        """Ask those whose part of the newest succession is missing; what there is now."""
        with self.alone_with(wallet.wallet_id):
            return self._advanced(self.epochs(wallet))[0]

    def tell_of_amendments(self, body: EpochBody, among: Sequence[int]) -> None:
        """What has amended the roster of this epoch. Who does not hear of another identity key now
        learns it before the next RETIRE, or from the next PROPOSE.
        """
        for amendment in self._rosters.lineage(body.terms).to_carry(body.terms.roster_hash):
            asked = [body.terms.wallet_id, amendment]
            self._links.ask_each(HolderMethod.AMEND, asked, among=among)

    @contextmanager
    def alone_with(self, wallet_id: WalletId) -> Iterator[None]:
        """One succession of a wallet at a time, or one repair and the refresh that follows it."""
        with self._lock:
            mine = self._wallets.setdefault(wallet_id, threading.RLock())
        with mine:
            yield

    # Until everybody is done

    def _advanced(self, epochs: Epochs) -> tuple[Epochs, bool]:
        """DONEs from those that have not adopted the newest successor; then DESTROYEDs.

        True: a holder has joined a higher attempt than that of the newest succession, and says
        nothing in it any more: only another attempt leads on.
        """
        newest = epochs.newest
        if newest is None:
            return epochs, False
        replaced, overtaken = epochs.body(newest.epoch - 1), False
        if not newest.transcript:
            newest = replace(
                newest, transcript=self._relay.transcript_of(newest.wallet_id, newest.body)
            )
        if not newest.retirement:
            newest, overtaken = self._adopted(newest, replaced)
        if newest.retirement:
            newest, overtaken = self._retired(newest, replaced), False
        return replace(epochs, successions=(*epochs.successions[:-1], newest)), overtaken

    def _adopted(self, newest: Succession, replaced: EpochBody) -> tuple[Succession, bool]:
        attempt = attempt_in(newest.propose)
        certificate = self._relay.said(SUCCESSOR, replaced, attempt, newest.certificate)
        parts = [newest.propose, certificate, newest.transcript, newest.history]
        waiting = newest.waiting_for(self._links.indices)
        answers = self._links.ask_each(HolderMethod.ADOPT, parts, among=waiting)
        vote, keys = (attempt, newest.body.hash), self._rosters.keys_since(newest.body)

        def adopts(source: bytes) -> bool:
            done = adoption_in(source, replaced, keys)
            return (done.attempt, done.epoch_hash) == vote

        for source in self._messages(answers, adopts):
            newest = newest.with_done(source)
        votes = newest.votes
        if len(votes) >= replaced.terms.sizes.adopt:
            dones = Retirement(tuple(votes[index] for index in sorted(votes)))
            dones.check(replaced, keys)
            newest = replace(newest, retirement=dones.to_bytes())
        self._registry.keep(newest)
        return newest, any(_is_overtaken(answer) for answer in answers.values())

    def _retired(self, newest: Succession, replaced: EpochBody) -> Succession:
        attempt = attempt_in(newest.propose)
        parts = [
            self._relay.said(RETIRE, replaced, attempt, newest.retirement),
            self._relay.said(SUCCESSOR, replaced, attempt, newest.certificate),
            newest.transcript,
        ]
        waiting = newest.waiting_for(self._links.indices)
        self.tell_of_amendments(replaced, waiting)  # who has voted by a new key is known by it
        answers = self._links.ask_each(HolderMethod.RETIRE, parts, among=waiting)
        h, keys = newest.body.hash, self._rosters.keys_since(newest.body)

        def destroyed(source: bytes) -> bool:
            return destroyed_in(source, replaced, keys).successor == h

        def holds(source: bytes) -> bool:
            """A holder that was away says only now, by what key the next epoch reaches it."""
            return adoption_in(source, replaced, keys).epoch_hash == h

        for source in self._messages(answers, destroyed, 0, of=2):
            newest = newest.with_destroyed(source)
        for source in self._messages(answers, holds, 1, of=2):
            newest = newest.with_done(source)
        self._registry.keep(newest)
        return newest

    def _require_retired(self, epochs: Epochs) -> None:
        """A new succession begins only when the last one has ended (step 6.1.4). What a lost HSM
        had before, nobody destroys any more.
        """
        newest = epochs.newest
        if newest is None:
            return
        lost = self._rosters.replaced_since(newest.body) if newest.retirement else ()
        missing = [i for i in newest.waiting_for(self._links.indices) if i not in lost]
        if missing:
            raise not_retired(self._links, newest, missing)

    def _require_adopted(self, epochs: Epochs) -> None:
        """Clients are shown what a quorum has adopted, and nothing before."""
        newest = epochs.newest
        if newest is not None and newest is not epochs.adopted():
            raise NotReady(
                f"epoch {newest.epoch} is certified, and not adopted yet",
                [self._links.name(index) for index in newest.waiting_for(self._links.indices)],
            )

    def _messages(
        self,
        answers: Mapping[int, tuple[bytes, ...] | HsmMpcError],
        wanted: Callable[[bytes], bool],
        part: int = 0,
        of: int = 1,
    ) -> Iterator[bytes]:
        """That part of the answer of each holder that has said what is wanted: what another one
        says costs the others nothing.
        """
        for index, answer in answers.items():
            if isinstance(answer, HsmMpcError) or len(answer) != of:
                continue
            try:
                said = answer[part]
                if parse_envelope(said).address.sender == index and wanted(said):
                    yield said
            except (BadInput, InvalidSignature):
                continue  # it is asked again


def not_retired(links: HolderLinks, newest: Succession, missing: Sequence[int]) -> NotReady:
    """The epoch before the newest one waits for these holders to end."""
    names = [links.name(index) for index in missing]
    return NotReady(f"epoch {newest.epoch - 1} is not retired yet", names)


def _is_overtaken(answer: tuple[bytes, ...] | HsmMpcError) -> bool:
    return isinstance(answer, Refused) and answer.rule == "attempt-overtaken"
