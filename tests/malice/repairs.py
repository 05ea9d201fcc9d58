"""One repair of a wallet after another, each as far as an attack wants it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hsm_mpc.errors import HsmMpcError
from hsm_mpc.ids import Scheme
from hsm_mpc.succession.amendment import Repaired as Amended
from hsm_mpc.succession.lineage import Lineage
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import Repairing
from tests.agent.simulate import World
from tests.agent.tokens import empty
from tests.malice.successions import EVERYBODY


@dataclass(frozen=True)
class Repaired:
    """A repair onto another HSM that is over, and what its holder has said at last."""

    repairing: Repairing
    known: Lineage
    """Of whoever has not heard of it."""
    ack: bytes
    done: bytes

    @property
    def amendment(self) -> Amended:
        """What proves it to the others."""
        return Amended(self.repairing.order, self.ack)

    def amend(self, index: int, source: bytes) -> bytes:
        """AMENDED of a holder that is told of it."""
        wallet_id = self.repairing.body.terms.wallet_id
        said: bytes = self.repairing.desk(index).amend(wallet_id, source)
        return said


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

    def lost_with_its_hsm(self) -> None:
        """The holder that is lost has nothing of any wallet any more."""
        token = self.world.parties[self.lost].acting.token
        empty(token)
        self.world.replaced(self.lost, token)

    def elsewhere(self) -> Repaired:
        """The share is there again, in another HSM, of which no helper has heard yet."""
        helper, _ = self.helpers
        known = self.world.parties[helper].acting.lineage(self.making.certificate().body.terms)
        now = Repairing(self.world, self.making, self.lost, self.helpers, lineage=known)
        self.now = now
        now.offer()
        key = known.newest.roster.member(self.lost).key
        now.order = now.countersigned(now.wished(nonce=self.nonce(), known_key=key))
        ack, done = now.summed().recover()
        return Repaired(now, known, ack, done)

    def over(self) -> None:
        """The share is there again, and a refresh goes to its end with it."""
        _, done = self.summed().recover()
        dones: Sequence[bytes] = [
            done if index == self.lost else said for index, said in enumerate(self.now.dones, 1)
        ]
        Refreshing(self.world, self.now.body, EVERYBODY, dones).drive()


@dataclass
class Replacements:
    """One HSM after another of a holder of two wallets: all but it hear of each as the next one is
    lost.
    """

    repairs: Repairs
    petty: Repairs
    before: Repaired = field(init=False)
    now: Repaired = field(init=False)
    other: Repaired = field(init=False)
    """Of the wallet `petty`."""

    def __post_init__(self) -> None:
        self._replaced()

    def next(self) -> Repaired:
        """Both shares are there again, after another loss."""
        self.before = self.now
        for repaired in (self.before, self.other):
            for helper in self.repairs.helpers:
                repaired.amend(helper, repaired.amendment.to_bytes())
        self._replaced()
        return self.now

    def _replaced(self) -> None:
        self.repairs.lost_with_its_hsm()
        self.now, self.other = self.repairs.elsewhere(), self.petty.elsewhere()
