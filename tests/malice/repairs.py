"""One repair of a wallet after another, each as far as an attack wants it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hsm_mpc.errors import HsmMpcError
from hsm_mpc.ids import Scheme
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import Repairing
from tests.agent.simulate import World
from tests.malice.successions import EVERYBODY


@dataclass
class Repairs:
    """Of a 2-of-3 wallet, of which `lost` loses its store as often as is wanted."""

    world: World
    making: Making
    lost: int
    now: Repairing = field(init=False)
    _orders: int = 0

    @classmethod
    def of(cls, world: World, scheme: Scheme, name: str, lost: int) -> Repairs:
        making = Making.of(world, name, scheme=scheme)
        making.active()
        return cls(world, making, lost)

    @property
    def helpers(self) -> tuple[int, int]:
        one, other = (index for index in EVERYBODY if index != self.lost)
        return one, other

    def nonce(self) -> bytes:
        """No two orders have one."""
        self._orders += 1
        return self._orders.to_bytes(8, "big") + b"n" * 24

    def offered(self) -> Repairing:
        """What is lost is wanted again."""
        party = self.world.parties[self.lost]
        wallets = party.acting.store._folder / "wallets"
        shutil.rmtree(wallets / self.making.wallet_id.hex())
        self.world.restarted(self.lost)
        self.now = Repairing(self.world, self.making, self.lost, self.helpers)
        self.now.offer()
        return self.now

    def ordered(self) -> Repairing:
        """All helpers have signed the order."""
        now = self.offered()
        now.order = now.countersigned(now.wished(nonce=self.nonce()))
        return now

    def split(self) -> Repairing:
        """All helpers have split their shares."""
        now = self.ordered()
        now.splits = [now.split(helper) for helper in self.helpers]
        return now

    def summed(self) -> Repairing:
        """All have added up what came to them, and the lost one has begun."""
        now = self.split()
        now.sums = [now.collect(helper) for helper in self.helpers]
        with suppress(HsmMpcError):
            now.recover(sums=now.sums[:1])
        return now

    def over(self) -> None:
        """The share is there again, and a refresh goes to its end with it."""
        _, done = self.summed().recover()
        dones: Sequence[bytes] = [
            done if index == self.lost else said for index, said in enumerate(self.now.dones, 1)
        ]
        Refreshing(self.world, self.now.body, EVERYBODY, dones).drive()
