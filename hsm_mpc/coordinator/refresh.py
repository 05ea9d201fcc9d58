"""Refresh at the relay: it carries signed messages, and sees no secret (section 6).

An attempt runs from ASK to CERT with all holders that are not known to be away; who adopts what it
made, and whose old key is gone, is asked again and again until it is everybody.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.keygen import CoSign
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.successions import (
    Epochs,
    Succession,
    attempt_in,
    first_body,
    signing_body,
)
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.succession.addresses import address_in
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.assembling import assemble
from hsm_mpc.succession.carrying import check_carried
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.join import Adoption, Join
from hsm_mpc.succession.propose import Propose, check_propose, highest_adoption
from hsm_mpc.succession.retirement import Retirement, adoption_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle, parse_envelope, seal_envelope, unbundled
from hsm_mpc.wire.rounds import ASK, PROPOSE, RETIRE, SUCCESSOR, Key, MessageKind

ATTEMPT_SECONDS: Final = 180
"""How long an attempt is good for, as people are told."""
REASON: Final = "refresh"


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
    ) -> None:
        self._links = links
        self._registry = registry
        self._channels = channels
        self._number = number
        self._sign = sign
        self._clock = clock
        self._rosters = Rosters(channels.keys, registry)
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
            self._registry.keep(self._attempt(wallet.wallet_id, epochs, present))
            epochs = self._advanced(self.epochs(wallet))[0]
            self._require_adopted(epochs)
            return epochs

    def advance(self, wallet: Registered) -> Epochs:
        """Ask those whose part of the newest succession is missing; what there is now."""
        with self.alone_with(wallet.wallet_id):
            return self._advanced(self.epochs(wallet))[0]

    @contextmanager
    def alone_with(self, wallet_id: WalletId) -> Iterator[None]:
        """One succession of a wallet at a time, or one repair and the refresh that follows it."""
        with self._lock:
            mine = self._wallets.setdefault(wallet_id, threading.RLock())
        with mine:
            yield

    # One attempt

    def _attempt(self, wallet_id: WalletId, epochs: Epochs, present: Sequence[int]) -> Succession:
        """ASK to CERT. What was adopted before is carried on (step 6.5.2)."""
        epoch = len(epochs.successions)
        if epochs.newest is not None and not epochs.newest.retirement:
            epoch -= 1
        replaced = epochs.body(epoch)
        lineage = self._rosters.lineage(replaced.terms)
        self._links.ask_some(present, HolderMethod.CHANNEL, [])  # before anybody promises anything
        attempt = Attempt(self._registry.next_counter(wallet_id, self._clock()), self._number)
        deadline = self._clock() + ATTEMPT_SECONDS
        ask = Ask(attempt, REASON, deadline, epochs.retirement_of(epoch))
        message = self._said(ASK, replaced, attempt, ask.to_bytes())
        joined = self._links.ask_parts(present, HolderMethod.JOIN, [message], 4)
        joins = {index: parts[0] for index, parts in joined.items()}
        certificates = self._shown_certificates(joined)
        highest = highest_adoption(
            Join.from_bytes(parse_envelope(each).payload) for each in joins.values()
        )
        dones = [
            joined[index][1] if index in joined else epochs.newest_done(index, epoch)
            for index in self._links.indices
        ]
        amendments = (
            lineage.since(replaced.terms.roster_hash)
            if highest is None
            else next(
                SuccessorCertificate.from_bytes(each).amendments
                for each in certificates
                if _digest(each) == highest.certificate_digest
            )
        )
        content = Propose(
            attempt,
            ask.digest,
            None if highest is None else highest.epoch_hash,
            tuple(joins.values()),
            tuple(sorted(certificates, key=_digest)),
            tuple(dones),
            amendments,
        )
        propose = self._said(PROPOSE, replaced, attempt, content.to_bytes())
        if highest is None:
            return self._made(wallet_id, replaced, propose)
        certificate, history = self._carried(replaced, propose, joined, highest)
        transcript = self._transcript_of(wallet_id, certificate.body)
        return Succession(
            wallet_id,
            certificate.body.epoch,
            propose,
            certificate.to_bytes(),
            transcript,
            {},
            history,
        )

    def _shown_certificates(self, joined: Mapping[int, tuple[bytes, ...]]) -> set[bytes]:
        """What certifies each adoption that a JOIN tells of, from whoever tells of it.

        Raises:
            ProtocolAbort: naming who shows another one, or none.
        """
        culprits = []
        for index, (join, _, certificate, _) in joined.items():
            adopted = Join.from_bytes(parse_envelope(join).payload).adopted
            wanted = None if adopted is None else adopted.certificate_digest
            if wanted != (_digest(certificate) if certificate else None):
                culprits.append(index)
        if culprits:
            raise ProtocolAbort("an adoption is told of and not shown", culprits)
        return {parts[2] for parts in joined.values() if parts[2]}

    def _carried(
        self,
        replaced: EpochBody,
        propose: bytes,
        joined: Mapping[int, tuple[bytes, ...]],
        highest: Adoption,
    ) -> tuple[SuccessorCertificate, bytes]:
        """What the highest adoption is of, verified, and the PROPOSEs since that was made.

        Raises:
            ProtocolAbort: it cannot have been adopted there; naming who says so.
        """
        keys = self._rosters.keys_of(replaced)
        proposed = check_propose(parse_envelope(propose), replaced, keys)
        claimed = (highest.attempt, highest.epoch_hash)
        culprits = []
        for index, (join, _, source, history) in joined.items():
            adopted = Join.from_bytes(parse_envelope(join).payload).adopted
            if adopted is None or (adopted.attempt, adopted.epoch_hash) != claimed:
                continue
            try:
                certificate = SuccessorCertificate.from_bytes(source)
                made_in = certificate.verify(replaced, keys)
                if certificate.body.hash != highest.epoch_hash:
                    raise BadInput("the certificate is of another successor")
                check_carried(proposed, made_in, unbundled(history), replaced, keys)
            except (BadInput, InvalidSignature, Tampered):
                culprits.append(index)
            else:
                return certificate, history
        raise ProtocolAbort("an adoption is told of that is not proven", culprits)

    def _made(self, wallet_id: WalletId, replaced: EpochBody, propose: bytes) -> Succession:
        """DEAL and ACK of all members, and the certificate that they make."""
        keys = self._rosters.keys_of(replaced)
        proposed = check_propose(parse_envelope(propose), replaced, keys)
        members = proposed.members
        deals = [*self._links.ask_single(members, HolderMethod.DEAL, [propose]).values()]
        channels = [self._channel(index, proposed.keys) for index in members]
        acks = self._links.ask_single(members, HolderMethod.STAGE, [*deals, *channels])
        certificate = assemble(replaced, proposed, deals, [*acks.values()])
        certificate.verify(replaced, keys)
        pairs = (each for pair in zip(channels, deals, strict=True) for each in pair)
        return Succession(
            wallet_id,
            certificate.body.epoch,
            propose,
            certificate.to_bytes(),
            bundle([propose, *pairs]),
            {},
        )

    def _transcript_of(self, wallet_id: WalletId, body: EpochBody) -> bytes:
        """What made an epoch, from the first holder that has it; empty: nobody has, now."""
        for index in self._links.indices:
            try:
                (found,) = self._links.ask(index, HolderMethod.TRANSCRIPT, [wallet_id, body.hash])
            except (HsmMpcError, ValueError):
                continue  # it does not answer, or was not there: the others were
            return found
        return b""

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
            newest = replace(newest, transcript=self._transcript_of(newest.wallet_id, newest.body))
        if not newest.retirement:
            newest, overtaken = self._adopted(newest, replaced)
        if newest.retirement:
            newest, overtaken = self._retired(newest, replaced), False
        return replace(epochs, successions=(*epochs.successions[:-1], newest)), overtaken

    def _adopted(self, newest: Succession, replaced: EpochBody) -> tuple[Succession, bool]:
        attempt = attempt_in(newest.propose)
        certificate = self._said(SUCCESSOR, replaced, attempt, newest.certificate)
        parts = [newest.propose, certificate, newest.transcript, newest.history]
        waiting = newest.waiting_for(self._links.indices)
        answers = self._links.ask_each(HolderMethod.ADOPT, parts, among=waiting)
        vote, keys = (attempt, newest.body.hash), self._rosters.keys_of(newest.body)

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
            self._said(RETIRE, replaced, attempt, newest.retirement),
            self._said(SUCCESSOR, replaced, attempt, newest.certificate),
            newest.transcript,
        ]
        waiting = newest.waiting_for(self._links.indices)
        answers = self._links.ask_each(HolderMethod.RETIRE, parts, among=waiting)
        h, keys = newest.body.hash, self._rosters.keys_of(newest.body)

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
        if not missing:
            return
        raise NotReady(
            f"epoch {newest.epoch - 1} is not retired yet",
            [self._links.name(index) for index in missing],
        )

    def _require_adopted(self, epochs: Epochs) -> None:
        """Clients are shown what a quorum has adopted, and nothing before."""
        newest = epochs.newest
        if newest is not None and newest is not epochs.adopted():
            raise NotReady(
                f"epoch {newest.epoch} is certified, and not adopted yet",
                [self._links.name(index) for index in newest.waiting_for(self._links.indices)],
            )

    # Saying and asking

    def _said(
        self, kind: MessageKind, replaced: EpochBody, attempt: Attempt, payload: bytes
    ) -> bytes:
        address = address_in(replaced, attempt, self._number)
        return seal_envelope(kind, address, payload, Key.COORDINATOR, self._sign).to_bytes()

    def _channel(self, index: int, keys: KeyBook) -> bytes:
        """The CHANNEL message under which this holder's dealing verifies."""
        message = self._channels.message(index) if self._channels.learn(index, keys) else None
        if message is None:
            raise BackendError(f"holder {self._links.name(index)} does not show its channel")
        return message

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


def _is_overtaken(answer: tuple[bytes, ...] | HsmMpcError) -> bool:
    return isinstance(answer, Refused) and answer.rule == "attempt-overtaken"


def _digest(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()
