"""One key generation, message by message, with one tampering; what each honest party says to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from hsm_mpc.agent.keygen import KeyGeneration
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.hello import Hello
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.client.known import KnownWallets
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.coordinator.certifying import assemble
from hsm_mpc.errors import NotReady, ProtocolAbort
from hsm_mpc.ids import Scheme, WalletId
from hsm_mpc.store.record import EpochState
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import DONE, PROPOSAL
from hsm_mpc.wire.wallet_calls import Shown
from tests.agent.simulate import LAB_POLICY, NOTHING, World
from tests.malice.aftermath import evidence_kept, leaves_nothing
from tests.malice.fields import Change
from tests.malice.verdicts import LIAR, Verdict

END = "end"
STAGES = ("PROPOSAL", "HELLO", "msg1", "round 3", "CERT", "DONE")
_OF_EACH = ("HELLO", "msg1", "round 3", "DONE")
"""Messages of which there is one of each holder."""

_numbers = itertools.count(1)

NOWHERE: Final = Path("/nowhere")


@dataclass
class Shows:
    """A coordinator that gives a client always the same answer."""

    parts: tuple[bytes, ...]

    def call(self, method: int, parts: Sequence[bytes], timeout: float) -> tuple[bytes, ...]:
        return self.parts

    def close(self) -> None:
        """Nothing to give up."""


@dataclass
class Ceremony:
    """`sent[stage][holder]` is what this holder receives; each stage's answers fill the next."""

    world: World
    asked: Proposal
    """What the client asked for."""
    proposal: Proposal
    """What the coordinator proposes."""
    policy: bytes = LAB_POLICY
    sent: dict[str, dict[int, list[bytes]]] = field(default_factory=dict)
    channels: dict[int, list[bytes]] = field(default_factory=dict)
    certificate: bytes = b""
    """What the client is shown."""
    reached: str = STAGES[0]
    liars: frozenset[int] = frozenset()
    sealed: bool = False
    """The honest have a share already, which stays for their operators (step 2.6.8)."""
    intact: bool = True
    """No honest holder has taken what was false, and no session was aborted."""

    @classmethod
    def of(cls, world: World, scheme: Scheme) -> Ceremony:
        proposal = world.proposal(f"w{next(_numbers):04}", 2, scheme=scheme)
        self = cls(world, proposal, proposal)
        message = world.said(PROPOSAL, self.wallet_id, NOTHING, NOTHING, self.proposal.to_bytes())
        self.sent[STAGES[0]] = {index: [message] for index in world.parties}
        return self

    @property
    def wallet_id(self) -> WalletId:
        return self.proposal.terms.wallet_id

    @property
    def honest(self) -> list[int]:
        return [index for index in self.world.parties if index not in self.liars]

    def message(self, stage: str, index: int = LIAR) -> bytes:
        """What holder `index` sent, or the coordinator."""
        return self.sent[stage][1][index - 1 if stage in _OF_EACH else 0]

    def change(self, stage: str, change: Change, receivers: Sequence[int] = ()) -> None:
        """The one message of the coordinator, or that of the liar, on its way to these."""
        position = LIAR - 1 if stage in _OF_EACH else 0
        for index in receivers or self.world.parties:
            before = self.sent[stage][index]
            changed = change(before[position])
            self.sent[stage][index] = [*before[:position], changed, *before[position + 1 :]]

    def to(self, stage: str) -> Ceremony:
        """Honest up to there."""
        while STAGES.index(self.reached) < STAGES.index(stage):
            verdicts = self._deliver()
            assert not verdicts, verdicts
        return self

    def play(self, until: str = END) -> list[Verdict]:
        """From here on, until somebody honest refuses or the client has its wallet.

        `until` is a stage that needs not be played if the certificate is the expected one.
        """
        first, expected = self.reached, self.certificate
        verdicts = self._deliver()
        if not verdicts and self.reached == until and self.certificate == expected:
            self.reached = END
        while not verdicts and self.reached != END:
            verdicts = self._deliver()
        if first != "round 3" and self.reached != first:
            self.intact = False
        return verdicts

    def attacked(self, tamper: Callable[[Ceremony], None], *liars: int) -> list[Verdict]:
        """`play` with a tampering that is undone afterwards, as far as nobody took it."""
        before = {name: value for name, value in vars(self).items() if name != "intact"}
        self.sent = {stage: dict(lists) for stage, lists in self.sent.items()}
        self.channels = dict(self.channels)
        self.liars = frozenset(liars)
        tamper(self)
        verdicts = self.play(until="CERT")
        self._check_invariants(verdicts)
        vars(self).update(before)
        return verdicts

    def end(self) -> None:
        """Nothing stays under way."""
        for party in self.world.parties.values():
            for reserved in party.ceremonies._reserved.all():
                if reserved.live is not None:
                    party.ceremonies._end(reserved, "the attack is over")
                else:
                    party.ceremonies.discard(reserved.files.wallet_id)

    def _check_invariants(self, verdicts: Sequence[Verdict]) -> None:
        """Whatever was done."""
        for verdict in verdicts:
            verdict.check_blame(self.liars)
            early = self.reached in ("HELLO", "msg1") and not self.sealed
            if verdict.judge[0] == "h" and verdict.aborted and early:
                party = self.world.parties[int(verdict.judge[1:])]
                assert leaves_nothing(party, self.proposal), verdict
        if verdicts and self.reached != "DONE":
            for index in self.honest:
                held = self.world.parties[index].wallets.of(self.wallet_id)
                assert all(each.record.state is not EpochState.ACTIVE for each in held)

    # One stage

    def _deliver(self) -> list[Verdict]:
        stage = self.reached
        verdicts = self._assembled() if stage == "round 3" else self._taken(stage)
        if not verdicts:
            self.reached = (*STAGES, END)[STAGES.index(self.reached) + 1]
        return verdicts

    def _taken(self, stage: str) -> list[Verdict]:
        answers, verdicts = {}, []
        for index in self.honest:
            try:
                answers[index] = self._asked(stage, index)
            except Exception as refused:
                if isinstance(refused, ProtocolAbort) and stage in ("HELLO", "msg1"):
                    self.intact = False
                kept = evidence_kept(self.world.parties[index], refused)
                verdicts.append(Verdict.of(f"h{index}", refused, kept))
        if stage in ("CERT", "DONE"):
            verdicts += self._shown(stage)
        if verdicts:
            self.intact = self.intact and not answers
            return verdicts
        for index in self.liars:
            answers[index] = self._answer_of_liar(stage, index)
        if stage != "DONE":
            following = [answers[index] for index in sorted(answers)]
            self.sent[STAGES[STAGES.index(stage) + 1]] = {
                index: list(following) for index in self.world.parties
            }
        if stage == "msg1" and not self.liars:
            self.certificate = self._certificate().to_bytes()
        if stage == "HELLO":
            self.channels = {index: self.world.channels() for index in self.world.parties}
        return []

    def _asked(self, stage: str, index: int) -> bytes:
        ceremonies, received = self.world.parties[index].ceremonies, self.sent[stage][index]
        match stage:
            case "PROPOSAL":
                return ceremonies.propose(received[0], self.policy)
            case "HELLO":
                return ceremonies.take_hellos(received)
            case "msg1":
                return ceremonies.take_dealings(received, self.channels[index])
            case "CERT":
                return ceremonies.certify(received[0])
        ceremonies.activate(received)
        return b""

    def _assembled(self) -> list[Verdict]:
        """The coordinator's turn."""
        try:
            certificate = self._certificate()
        except Exception as refused:
            return [Verdict.of("coordinator", refused)]
        self.certificate = certificate.to_bytes()
        message = self.world.certified(certificate)
        self.sent["CERT"] = {index: [message] for index in self.world.parties}
        return []

    def _certificate(self) -> Certificate:
        of = {stage: self.sent[stage][self.honest[0]] for stage in ("HELLO", "msg1", "round 3")}
        return assemble(self.proposal, of["HELLO"], of["msg1"], of["round 3"])

    def _shown(self, stage: str) -> list[Verdict]:
        """What the client says, which asked for the wallet and is shown what the holders got."""
        dones = self.sent["DONE"][self.honest[0]] if stage == "DONE" else []
        try:
            self.created_by_client(self.certificate, dones)
        except Exception as refused:
            if not (stage == "CERT" and isinstance(refused, NotReady)):
                return [Verdict.of("client", refused)]
        return []

    def created_by_client(self, certificate: bytes, dones: Sequence[bytes]) -> None:
        """`wallet create`, answered with these."""
        world, asked = self.world, self.asked
        transport = Shows(Shown(certificate, tuple(dones)).to_parts())
        client = WalletClient(
            transport,
            world.roster,
            "me",
            world.client.public,
            world.client.sign,
            world.clock,
            KnownWallets(NOWHERE),
        )
        client.create(asked.name, asked.scheme, asked.sizes.t, LAB_POLICY)

    # A liar whose own software goes along

    def _answer_of_liar(self, stage: str, index: int) -> bytes:
        """It confirms whatever is certified, and never minds the others."""
        if stage == "DONE":
            return b""
        if stage != "CERT":
            return self._asked(stage, index)
        certificate = Certificate.from_bytes(self.certificate)
        ack = certificate.acknowledgements[index - 1]
        done = Done(
            Attempt.NONE,
            certificate.body.hash,
            certificate.extension.delivery_keys[index - 1],
            ack.kek_digest,
            ack.blob_digest,
        )
        session_id = certificate.extension.session_id
        acting = self.world.parties[index].acting
        return acting.identity_message(DONE, self.wallet_id, session_id, done.to_bytes())

    def follow(self, hello: bytes) -> None:
        """The liar stands by another HELLO than its software made."""
        session = self.session(LIAR)
        assert session.secrets is not None
        vars(session)["hello"] = hello
        said = Hello.from_bytes(parse_envelope(hello).payload, self.proposal.terms.group)
        session.secrets.own = replace(said, delivery_key=session.secrets.own.delivery_key)

    def session(self, index: int) -> KeyGeneration:
        reserved = self.world.parties[index].ceremonies._reserved.find(self.wallet_id)
        assert reserved is not None
        assert reserved.live is not None
        return reserved.live


def finished(world: World, scheme: Scheme) -> Ceremony:
    """An honest one, to its end."""
    ceremony = Ceremony.of(world, scheme).to("DONE")
    assert ceremony.play() == []
    return ceremony
