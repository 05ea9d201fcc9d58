"""A wallet being refreshed, round by round: the relay does as it likes, and holders may die."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.addresses import session_of
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.assembling import assemble
from hsm_mpc.succession.join import Adoption, Join
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.propose import Propose, check_propose, highest_adoption
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle, parse_envelope
from hsm_mpc.wire.rounds import ASK, FIRST_COORDINATOR, PROPOSE, RETIRE, SUCCESSOR, MessageKind
from tests.agent.making import Making
from tests.agent.simulate import World

Answer = tuple[bytes, bytes, bytes, bytes]
"""JOIN, newest DONE, CERT payload of what is adopted, PROPOSEs since that was made."""


@dataclass
class Refreshing:
    """One succession of `replaced`, through as many attempts as it takes.

    `first_dones` are those of that epoch. `before` is the payload of the RETIRE that ended the
    epoch before it; of epoch 0 it is empty.
    """

    world: World
    replaced: EpochBody
    members: Sequence[int]
    first_dones: Sequence[bytes]
    before: bytes = b""
    attempts: int = 0
    coordinator: int = 0
    """Which of those of the world: its number, from 0."""
    lineage: Lineage | None = None
    """Of a wallet whose roster another HSM has amended; None: the pinned one is in force."""
    now: int = field(init=False)
    """By the world's clock when the attempt under way began."""
    answers: dict[int, Answer] = field(default_factory=dict)
    propose: bytes = b""
    deals: list[bytes] = field(default_factory=list)
    channels: list[bytes] = field(default_factory=list)
    certificate: SuccessorCertificate | None = None
    transcript: bytes = b""
    history: bytes = b""
    arrivals: list[bytes] = field(default_factory=list)
    """Of a resharing: DONE' of every new holder."""
    retirement: bytes = b""
    destroyed: dict[int, bytes] = field(default_factory=dict)
    last_dones: dict[int, bytes] = field(default_factory=dict)
    """Of those that have retired `replaced`: their DONEs of the successor."""

    def __post_init__(self) -> None:
        self.now = self.world.clock()

    @classmethod
    def of_new_wallet(cls, world: World) -> Refreshing:
        """Of a 2-of-3 wallet in epoch 0, which is made for it; holder 3 is absent."""
        making = Making.of(world)
        return cls(world, making.active().body, (1, 2), making.dones)

    def next(self) -> Refreshing:
        """The succession after this one, which is over."""
        return Refreshing(
            self.world,
            self.successor,
            self.members,
            [self.last_dones.get(index, done) for index, done in enumerate(self.first_dones, 1)],
            self.retirement,
            self.attempts,
        )

    @property
    def successor(self) -> EpochBody:
        """body'."""
        assert self.certificate is not None
        return self.certificate.body

    @property
    def attempt(self) -> Attempt:
        """The one under way."""
        return Attempt(self.now + self.attempts, FIRST_COORDINATOR + self.coordinator)

    @property
    def keys(self) -> KeyBook:
        """Under the roster that `replaced` names."""
        if self.lineage is None:
            return KeyBook(self.world.roster, {})
        return self.lineage.book(self.replaced.terms.roster_hash)

    # Round by round

    def begin(self) -> None:
        """A new attempt."""
        self.now = self.world.clock()
        self.attempts += 1
        self.answers.clear()

    def ask(self) -> Ask:
        return Ask(self.attempt, "refresh", self.now + 60, self.before)

    def asked_to_join(self, index: int) -> Answer:
        answer: Answer = self.successions(index).join(self.said(ASK, self.ask().to_bytes()))
        return answer

    def join(self, index: int) -> Answer:
        self.answers[index] = self.asked_to_join(index)
        return self.answers[index]

    def proposal(self) -> Propose:
        """Of those that have joined, and the confirmations that they have shown."""
        joined = [self.answers[index] for index in sorted(self.answers)]
        joins = tuple(answer[0] for answer in joined)
        highest = self.highest()
        dones = [
            self.answers[index][1] if index in self.answers else self.first_dones[index - 1]
            for index in sorted(self.world.parties)
        ]
        return Propose(
            self.attempt,
            self.ask().digest,
            None if highest is None else highest.epoch_hash,
            joins,
            tuple(sorted({answer[2] for answer in joined if answer[2]}, key=_digest)),
            tuple(dones),
            self.amendments,
        )

    @property
    def amendments(self) -> tuple[bytes, ...]:
        """Of the roster that `replaced` names."""
        if self.lineage is None:
            return ()
        return tuple(self.lineage.to_carry(self.replaced.terms.roster_hash))

    def highest(self) -> Adoption | None:
        """What those that have joined have adopted last."""
        return highest_adoption(_join_in(answer) for answer in self.answers.values())

    def carry_on(self) -> None:
        """What was adopted last, if anything was: its certificate, and why it may be carried on."""
        highest = self.highest()
        for answer in self.answers.values():
            if highest is not None and _join_in(answer).adopted == highest:
                self.certificate = SuccessorCertificate.from_bytes(answer[2])
                self.history = answer[3]

    def deal(self, index: int) -> bytes:
        message: bytes = self.successions(index).deal(self.propose)
        return message

    def stage(self, index: int) -> bytes:
        message: bytes = self.successions(index).stage(self.deals, self.channels)
        return message

    def adopt(self, index: int, transcript: bytes = b"") -> bytes:
        certified = self.said(SUCCESSOR, self._certificate())
        message: bytes = self.successions(index).adopt(
            self.propose, certified, transcript, self.history, bundle(self.arrivals)
        )
        return message

    def retire(self, index: int, transcript: bytes = b"") -> bytes:
        retire = self.said(RETIRE, self.retirement)
        certified = self.said(SUCCESSOR, self._certificate())
        destroyed, self.last_dones[index] = self.successions(index).retire(
            retire, certified, transcript
        )
        return bytes(destroyed)

    # All of it

    def made(self) -> None:
        """A new attempt, up to its certificate."""
        self.joined()
        self.dealt()
        self.certified()

    def joined(self) -> None:
        """A new attempt, which all members join."""
        self.begin()
        for index in self.members:
            self.join(index)
        self.propose = self.said(PROPOSE, self.proposal().to_bytes())

    def dealt(self) -> None:
        """All members have dealt."""
        self.deals = [self.deal(index) for index in self.members]
        parties = self.world.parties
        self.channels = [parties[index].acting.channel_announcement() for index in self.members]

    def certified(self) -> None:
        """All members have acknowledged what was dealt."""
        self.certify([self.stage(index) for index in self.members])

    def certify(self, acks: Sequence[bytes]) -> None:
        """The certificate of what was dealt, and the transcript that made it."""
        proposed = check_propose(parse_envelope(self.propose), self.replaced, self.keys)
        self.certificate = assemble(self.replaced, proposed, self.deals, acks)
        self.certificate.verify(self.replaced, self.keys)
        pairs = (each for pair in zip(self.channels, self.deals, strict=True) for each in pair)
        self.transcript = bundle([self.propose, *pairs])

    def drive(self, absent: Collection[int] = ()) -> None:
        """From wherever it stands to the end: nobody opens `replaced` any more.

        `absent`: members of the wallet that were not there, and are now.
        """
        if self.certificate is None:
            self.joined()
            self.carry_on()
            if self.certificate is None:
                self.dealt()
                self.certified()
        everybody = [*self.members, *absent]
        if not self.retirement:
            self.decided(*sorted(everybody))
        for index in everybody:
            said = self.retire(index, self.transcript)
            assert self.destroyed.setdefault(index, said) == said

    def decided(self, *everybody: int) -> None:
        """All of them adopt what was certified; nobody has ended `replaced` for it yet."""
        dones = [self.adopt(index, self.transcript) for index in everybody]
        self.retirement = Retirement(tuple(dones)).to_bytes()

    def carried_on(self, *members: int) -> None:
        """A new attempt of these, for what any of them has adopted."""
        self.members = members
        self.joined()
        self.carry_on()

    def said(self, kind: MessageKind, payload: bytes) -> bytes:
        """A message of the coordinator in the attempt under way."""
        wallet_id, h = self.replaced.terms.wallet_id, EpochHash(self.replaced.hash)
        session = session_of(h, self.attempt)
        return self.world.said(kind, wallet_id, session, h, payload, self.coordinator)

    def successions(self, index: int) -> Any:
        """Of a party, which may be watched."""
        return self.world.parties[index].successions

    def _certificate(self) -> bytes:
        assert self.certificate is not None
        return self.certificate.to_bytes()


def _join_in(answer: Answer) -> Join:
    return Join.from_bytes(parse_envelope(answer[0]).payload)


def _digest(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()
