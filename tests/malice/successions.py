"""One refresh of a wallet after another, each as far as an attack wants it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hsm_mpc.ids import Scheme, WalletId
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.retirement import Retirement
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World

EVERYBODY = (1, 2, 3)


@dataclass
class Refreshes:
    """Of a 2-of-3 wallet that was refreshed once; `past` is that first one."""

    world: World
    making: Making
    past: Refreshing
    now: Refreshing = field(init=False)
    before: Refreshing = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.past.next()

    @classmethod
    def of(cls, world: World, scheme: Scheme, name: str = "treasury") -> Refreshes:
        making = Making.of(world, name, scheme=scheme)
        past = Refreshing(world, making.active().body, EVERYBODY, making.dones)
        past.drive()
        return cls(world, making, past)

    # What came before goes to its end, or is overtaken

    def asked(self) -> Refreshing:
        """A new attempt, which nobody has joined, after one that all have."""
        self.joined().begin()
        return self.now

    def joined(self) -> Refreshing:
        """All have joined it."""
        self._overtaken()
        self.now.joined()
        return self.now

    def joined_again(self) -> Refreshing:
        """All have joined it, after one that was certified and not adopted: `before`."""
        self.certified()
        self.before = replace(self.now, answers=dict(self.now.answers))
        self.now.certificate = None
        self.now.joined()
        return self.now

    def dealt(self) -> Refreshing:
        """All have dealt in it."""
        self.joined().dealt()
        return self.now

    def acknowledged(self) -> tuple[Refreshing, list[bytes]]:
        """All have a share; and their ACKs."""
        now = self.dealt()
        return now, [now.stage(index) for index in EVERYBODY]

    def certified(self) -> Refreshing:
        """It is certified, and nobody has adopted it."""
        self.dealt().certified()
        return self.now

    def certified_again(self) -> Refreshing:
        """The same, after one that was certified and not adopted: `before`."""
        self.joined_again().dealt()
        self.now.certified()
        return self.now

    def adopted(self) -> tuple[Refreshing, tuple[bytes, ...]]:
        """All have adopted it; and their DONEs."""
        now = self.certified_again()
        dones = tuple(now.adopt(index) for index in EVERYBODY)
        now.retirement = Retirement(dones).to_bytes()
        return now, dones

    def over(self) -> None:
        """What is under way goes on to its end: nobody has the old share, all have the new one."""
        self.now.drive()
        for party in self.world.parties.values():
            states = [(each.body, each.record.state) for each in party.wallets.of(self.wallet_id)]
            assert states == [(self.now.successor, EpochState.ACTIVE)]
        self.past, self.now = self.now, self.now.next()
        self.world.later[0] += 601

    @property
    def wallet_id(self) -> WalletId:
        return self.making.wallet_id

    def _overtaken(self) -> None:
        """Another attempt takes the place of the one under way, unless somebody has adopted it."""
        registers = [
            party.acting.registers.read(self.wallet_id) for party in self.world.parties.values()
        ]
        before = self.now.replaced.hash
        if all(each and each.epoch_hash == before and each.adopted is None for each in registers):
            self.now.certificate = None
            self.world.later[0] += 601
        else:
            self.over()
