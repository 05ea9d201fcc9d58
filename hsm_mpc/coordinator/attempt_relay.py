"""One attempt to replace an epoch, at the relay: from ASK to CERT (steps 6.5.1 to 6.5.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.resharing import ReshareOrder, Resharing
from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.blame import NamedAbort, named_in
from hsm_mpc.coordinator.complaints import Exchanged, complaints_judged
from hsm_mpc.coordinator.evidence import EvidenceFolder
from hsm_mpc.coordinator.keygen import CoSign
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.successions import Epochs, Succession
from hsm_mpc.coordinator.telling import told_wallet
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    Tampered,
)
from hsm_mpc.ids import WalletId
from hsm_mpc.succession.addresses import address_in
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.assembling import assemble
from hsm_mpc.succession.carrying import check_carried
from hsm_mpc.succession.join import Adoption, Join
from hsm_mpc.succession.propose import Propose, check_propose, highest_adoption
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle, parse_envelope, seal_envelope, unbundled
from hsm_mpc.wire.rounds import ASK, FIRST_NEW_HOLDER, PROPOSE, Key, MessageKind

ATTEMPT_SECONDS: Final = 180
"""How long an attempt is good for, as people are told."""
REASON: Final = "refresh"


class AttemptRelay:
    """Carries the signed messages of attempts; used by several threads."""

    def __init__(
        self,
        links: HolderLinks,
        registry: Registry,
        channels: AnnouncedChannels,
        rosters: Rosters,
        number: int,
        sign: CoSign,
        clock: Callable[[], int],
        evidence: EvidenceFolder,
    ) -> None:
        self._links = links
        self._registry = registry
        self._channels = channels
        self._rosters = rosters
        self._number = number
        self._sign = sign
        self._clock = clock
        self._evidence = evidence

    def attempt(
        self,
        wallet_id: WalletId,
        epochs: Epochs,
        present: Sequence[int] | None,
        order: ReshareOrder | None = None,
    ) -> Succession:
        """ASK to CERT. What was adopted before is carried on (step 6.5.2).

        Args:
            present: who is to take part; None: all that are there, if they are enough.
            order: to share the key anew; None: a refresh.
        """
        epoch = len(epochs.successions)
        if epochs.newest is not None and not epochs.newest.retirement:
            epoch -= 1
        replaced = epochs.body(epoch)
        links = self._links.seated(self._rosters.of_epoch(replaced))
        present = self._there(links, replaced, present)  # before anybody promises anything
        if order is not None:
            new = self._links.seated(order.resharing.roster)
            new.ask_some(new.indices, HolderMethod.CHANNEL, [])
        attempt = Attempt(self._registry.next_counter(wallet_id, self._clock()), self._number)
        ask = self._ask(attempt, epochs.retirement_of(epoch), order)
        message = self.said(ASK, replaced, attempt, ask.to_bytes())
        joined = links.ask_parts(present, HolderMethod.JOIN, [message], 4)
        joins = {index: parts[0] for index, parts in joined.items()}
        certificates = self._shown_certificates(replaced, joined)
        highest = highest_adoption(
            Join.from_bytes(parse_envelope(each).payload) for each in joins.values()
        )
        dones = [
            joined[index][1] if index in joined else epochs.newest_done(index, epoch)
            for index in links.indices
        ]
        hellos = tuple[bytes, ...]()
        if order is not None and highest is None:
            hellos = self._greeted(message, order.resharing, epochs.lasting)
        content = Propose(
            attempt,
            ask.digest,
            None if highest is None else highest.epoch_hash,
            tuple(joins.values()),
            tuple(sorted(certificates, key=_digest)),
            tuple(dones),
            self._rosters.lineage(replaced.terms).to_carry(replaced.terms.roster_hash),
            hellos,
        )
        propose = self.said(PROPOSE, replaced, attempt, content.to_bytes())
        if highest is None:
            return self._made(wallet_id, replaced, propose, ask.resharing)
        certificate, history = self._carried(replaced, propose, joined, highest)
        transcript = self.transcript_of(wallet_id, certificate.body)
        return Succession(
            wallet_id,
            certificate.body.epoch,
            propose,
            certificate.to_bytes(),
            transcript,
            _arrived(epochs.newest, certificate),
            history,
        )

    def considered(self, replaced: EpochBody, order: ReshareOrder) -> bytes:
        """ASK for holders to consider: that of no attempt."""
        ask = self._ask(Attempt(0, self._number), b"", order)
        return self.said(ASK, replaced, ask.attempt, ask.to_bytes())

    def _ask(self, attempt: Attempt, retirement: bytes, order: ReshareOrder | None) -> Ask:
        if order is None:
            return Ask(attempt, REASON, self._clock() + ATTEMPT_SECONDS, retirement)
        return Ask(attempt, order.reason, order.deadline, retirement, order.resharing)

    def _there(
        self, links: HolderLinks, replaced: EpochBody, present: Sequence[int] | None
    ) -> Sequence[int]:
        """Who takes part, as far as they answer.

        Raises:
            QuorumUnreachable: one of them does not; or too few of all do.
        """
        if present is not None:
            links.ask_some(present, HolderMethod.CHANNEL, [])
            return present
        answers = links.ask_each(HolderMethod.CHANNEL, [])
        there = [index for index, each in answers.items() if not isinstance(each, HsmMpcError)]
        if len(there) < replaced.terms.sizes.join:
            links.ask_some(links.indices, HolderMethod.CHANNEL, [])
        return there

    def _greeted(self, ask: bytes, resharing: Resharing, epochs: Epochs) -> tuple[bytes, ...]:
        """HELLO' of every new holder (step 6.8.1)."""
        links = self._links.seated(resharing.roster)
        old = self._links.seated(self._rosters.of_epoch(epochs.newest_body))
        parts = [ask, *told_wallet(self._registry, old, epochs).to_parts()]
        return tuple(links.ask_single(links.indices, HolderMethod.GREET, parts).values())

    def _shown_certificates(
        self, replaced: EpochBody, joined: Mapping[int, tuple[bytes, ...]]
    ) -> set[bytes]:
        """What certifies each adoption that a JOIN tells of, from whoever tells of it.

        Raises:
            NamedAbort: naming who shows another one, or none.
        """
        culprits = []
        for index, (join, _, certificate, _) in joined.items():
            adopted = Join.from_bytes(parse_envelope(join).payload).adopted
            wanted = None if adopted is None else adopted.certificate_digest
            if wanted != (_digest(certificate) if certificate else None):
                culprits.append(index)
        if culprits:
            names = named_in(self._rosters.of_epoch(replaced), culprits)
            raise NamedAbort("an adoption is told of and not shown", names)
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
            NamedAbort: it cannot have been adopted there; naming who says so.
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
                made = certificate.verify(replaced, keys).content.attempt
                if certificate.body.hash != highest.epoch_hash:
                    raise BadInput("the certificate is of another successor")
                check_carried(proposed, made, unbundled(history), replaced, keys)
            except (BadInput, InvalidSignature, Tampered):
                culprits.append(index)
            else:
                self._follow(replaced, certificate)
                return certificate, history
        names = named_in(keys.roster, culprits)
        raise NamedAbort("an adoption is told of that is not proven", names)

    def _made(
        self,
        wallet_id: WalletId,
        replaced: EpochBody,
        propose: bytes,
        resharing: Resharing | None,
    ) -> Succession:
        """DEAL and ACK of all members, and the certificate that they make. In a resharing the new
        holders have their shares before the old ones vote.
        """
        keys = self._rosters.keys_of(replaced)
        proposed = check_propose(parse_envelope(propose), replaced, keys, resharing)
        members, new_acks = proposed.members, tuple[bytes, ...]()
        links = self._links.seated(proposed.before)
        dealt = links.ask_single(members, HolderMethod.DEAL, [propose])
        deals = [dealt[index] for index in proposed.dealers]
        channels = [self._channel(index, proposed.keys) for index in proposed.dealers]
        pairs = [each for pair in zip(channels, deals, strict=True) for each in pair]
        shown = propose, bundle(deals), bundle(channels)
        exchanged = Exchanged(shown, (propose, *pairs), replaced.terms.sizes.t, proposed.dealers)
        if proposed.newcomers is not None:
            parts = [propose, *deals, *channels]
            new = self._links.seated(proposed.newcomers.resharing.roster)
            with complaints_judged(links, self._evidence, exchanged, new):
                received = new.ask_single(new.indices, HolderMethod.RECEIVE, parts)
            new_acks = tuple(received.values())
        with complaints_judged(links, self._evidence, exchanged):
            acks = links.ask_single(members, HolderMethod.STAGE, [*deals, *channels])
        certificate = assemble(replaced, proposed, deals, [*acks.values()], new_acks)
        certificate.verify(replaced, keys)
        self._follow(replaced, certificate)
        return Succession(
            wallet_id,
            certificate.body.epoch,
            propose,
            certificate.to_bytes(),
            bundle([propose, *pairs]),
            {},
        )

    def _follow(self, replaced: EpochBody, certificate: SuccessorCertificate) -> None:
        if certificate.shared_anew is None:  # that is followed once it is decided
            self._rosters.follow(replaced, certificate)

    def transcript_of(self, wallet_id: WalletId, body: EpochBody) -> bytes:
        """What made an epoch, from the first holder that has it; empty: nobody has, now."""
        for index in self._links.indices:  # whoever has it, of whichever wallet it is a holder
            try:
                (found,) = self._links.ask(index, HolderMethod.TRANSCRIPT, [wallet_id, body.hash])
            except (HsmMpcError, ValueError):
                continue  # it does not answer, or was not there: the others were
            return found
        return b""

    def said(
        self, kind: MessageKind, replaced: EpochBody, attempt: Attempt, payload: bytes
    ) -> bytes:
        address = address_in(replaced, attempt, self._number)
        return seal_envelope(kind, address, payload, Key.COORDINATOR, self._sign).to_bytes()

    def _channel(self, index: int, keys: KeyBook) -> bytes:
        """The CHANNEL message under which this holder's dealing verifies."""
        name = keys.roster.member(index).name
        message = self._channels.message(name) if self._channels.learn(index, keys) else None
        if message is None:
            raise BackendError(f"holder {name} does not show its channel")
        return message


def _digest(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()


def _arrived(before: Succession | None, carried: SuccessorCertificate) -> dict[int, bytes]:
    """What the new holders of a resharing have said stays said, whichever attempt carries it on."""
    if before is None or before.body.hash != carried.body.hash:
        return {}
    return {FIRST_NEW_HOLDER + k: done for k, done in before.arrived.items()}
