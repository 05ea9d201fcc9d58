"""The epochs of one wallet as its coordinators know them, and their attempts to replace the newest.

Each attempt keeps all that was ever answered in it, and may go on with it at any time: so attempts
race, and a message comes late or again, or never.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.stages import carried_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.rounds import PROPOSE
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing

if TYPE_CHECKING:
    from tests.agent.simulate import World

Stage = Literal["join", "deal", "stage", "adopt", "retire"]
STAGES: Final[tuple[Stage, ...]] = ("join", "deal", "stage", "adopt", "retire")
"""What a holder is asked for one after the other in an attempt."""


@dataclass
class Epoch:
    """An epoch that all holders have come to, and what is known of its end."""

    body: EpochBody
    certificate: Certificate | SuccessorCertificate
    dones: dict[int, bytes]
    """Each holder's newest DONE of it."""
    before: bytes = b""
    """RETIRE payload for the one before it."""
    trials: list[Trial] = field(default_factory=list)
    decided: Trial | None = None
    """The first one in which W holders have adopted one successor."""
    destroyed: dict[int, bytes] = field(default_factory=dict)
    last_dones: dict[int, bytes] = field(default_factory=dict)
    """Of those that have retired it: their DONEs of the successor."""

    def is_over(self) -> bool:
        """Nobody opens it any more."""
        return len(self.destroyed) == len(self.dones)


@dataclass
class Trial:
    """One attempt of one coordinator to replace an epoch."""

    epoch: Epoch
    relay: Refreshing
    asked: tuple[int, ...]
    """Who is asked to join."""
    transcripts: dict[EpochHash, bytes]
    """What made each successor: whoever has it shows it to all."""
    joining: dict[int, Any] = field(default_factory=dict)
    deals: dict[int, bytes] = field(default_factory=dict)
    channels: dict[int, bytes] = field(default_factory=dict)
    acks: dict[int, bytes] = field(default_factory=dict)
    dones: dict[int, bytes] = field(default_factory=dict)

    @property
    def successor(self) -> EpochHash | None:
        """h', once there is a certificate."""
        certificate = self.relay.certificate
        return None if certificate is None else EpochHash(certificate.body.hash)

    @property
    def is_proposed(self) -> bool:
        return bool(self.relay.propose)

    def wants(self, index: int) -> Stage | None:
        """What comes next for this holder; None: nothing, or others have to answer before."""
        if not self.is_proposed:
            return "join" if index in self.asked and index not in self.joining else None
        if self.successor is None:
            if index not in self.relay.members:
                return None
            if index not in self.deals:
                return "deal"
            is_dealt = len(self.deals) == len(self.relay.members)
            return "stage" if is_dealt and index not in self.acks else None
        if index not in self.dones and self.epoch.decided is None:
            return "adopt"
        decided = self.epoch.decided is self and index not in self.epoch.destroyed
        return "retire" if decided else None

    def question(self, stage: Stage, index: int) -> Callable[[], Any] | None:
        """How to ask this holder for this; None as long as a message before it is missing."""
        relay = self.relay
        if stage == "join":
            return partial(relay.asked_to_join, index)
        if stage == "deal":
            return partial(relay.deal, index) if self.is_proposed else None
        if stage == "stage":
            if not self.is_proposed or len(self.deals) < len(relay.members):
                return None
            relay.deals = [self.deals[each] for each in relay.members]
            relay.channels = [self.channels[each] for each in relay.members]
            return partial(relay.stage, index)
        if self.successor is None:
            return None
        transcript = self.transcripts[self.successor]
        if stage == "adopt":
            return partial(relay.adopt, index, transcript)
        if not relay.retirement:
            return None
        return partial(relay.retire, index, transcript)

    def take(self, stage: Stage, index: int, answer: Any, channel: bytes) -> None:
        """What this holder has answered. `channel`: its CHANNEL message, as it was then.

        One attempt's messages are repeated as they were (step 1.7.4).
        """
        if stage == "join":
            assert self.joining.setdefault(index, answer)[0] == answer[0]
        elif stage == "deal":
            self.channels.setdefault(index, channel)
            self.deals.setdefault(index, answer)
        elif stage == "stage":
            self.acks.setdefault(index, answer)
            if self.successor is None and len(self.acks) == len(self.relay.members):
                self.relay.certify([self.acks[each] for each in self.relay.members])
                self.transcripts[self._made] = self.relay.transcript
        elif stage == "adopt":
            self.dones[index] = answer
            self._count()
        else:
            self.epoch.destroyed.setdefault(index, answer)
            self.epoch.last_dones[index] = self.relay.last_dones[index]

    def propose(self) -> None:
        """To those that have joined so far; who joins later, joins for nothing."""
        relay, known = self.relay, self.epoch.dones
        relay.answers = dict(self.joining)
        relay.members = tuple(sorted(self.joining))
        relay.first_dones = [known[index] for index in sorted(known)]
        relay.propose = relay.said(PROPOSE, relay.proposal().to_bytes())
        relay.carry_on()

    def _count(self) -> None:
        """Where W have adopted it, the epoch ends, and for the sake of nothing else (I1)."""
        if len(self.dones) < self.epoch.body.terms.sizes.adopt:
            return
        self.relay.retirement = Retirement(
            tuple(self.dones[index] for index in sorted(self.dones))
        ).to_bytes()
        if self.epoch.decided is None:
            self.epoch.decided = self
        assert self.epoch.decided.successor == self.successor, "two successors of one epoch"

    @property
    def _made(self) -> EpochHash:
        assert self.successor is not None
        return self.successor


class Line:
    """The epochs of a wallet from its key generation on. Its coordinators share what they know, but
    not the numbers of their attempts.
    """

    def __init__(self, world: World, making: Making) -> None:
        self.world = world
        self.making = making
        certificate = making.certificate()
        dones = dict(enumerate(making.dones, 1))
        self.epochs = [Epoch(certificate.body, certificate, dones)]
        self.transcripts: dict[EpochHash, bytes] = {}
        self.lineage: Lineage | None = None
        """Where another HSM has amended the roster."""
        self._counters: dict[int, int] = {}

    @property
    def wallet_id(self) -> WalletId:
        return self.making.wallet_id

    @property
    def newest(self) -> Epoch:
        return self.epochs[-1]

    def begin(self, asked: tuple[int, ...], coordinator: int = 0) -> Trial:
        """A new attempt to replace the newest epoch."""
        newest, world = self.newest, self.world
        relay = Refreshing(world, newest.body, (), (), newest.before, coordinator=coordinator)
        relay.lineage = self.lineage
        relay.attempts = max(0, self._counters.get(coordinator, 0) + 1 - relay.now)
        self._counters[coordinator] = relay.now + relay.attempts
        trial = Trial(newest, relay, asked, self.transcripts)
        newest.trials.append(trial)
        return trial

    def follow(self) -> Epoch | None:
        """The next epoch, once everybody has come to it."""
        newest = self.newest
        if newest.decided is None or not newest.is_over():
            return None
        relay = newest.decided.relay
        assert relay.certificate is not None
        certificate = relay.certificate
        if self.lineage is not None:
            carried = carried_in(certificate)
            self.lineage = self.lineage.after(newest.body.terms.roster_hash, carried)
        self.epochs.append(
            Epoch(certificate.body, certificate, dict(newest.last_dones), relay.retirement)
        )
        return self.newest
