"""One resharing after another, each of a wallet of its own, as far as an attack wants it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hsm_mpc.agent.arrival.desk import LONGEST_WAIT
from hsm_mpc.ids import Scheme
from hsm_mpc.store.record import EpochState
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.agent.resharing import Sharing, seated
from tests.agent.simulate import World
from tests.malice.successions import EVERYBODY

OLD = (1, 2)
"""Holders of the epoch before; h3 comes, and all three have places of the same number."""

_BEFORE = ("h1", "h2")
_AFTER = ("h1", "h2", "h3")

LONGER_THAN_ANY_PAUSE = 86_400
"""Seconds: these are hundreds of attempts to replace one epoch (step 6.5.11)."""


@dataclass
class Sharings:
    """From 2-of-2 to 2-of-3."""

    world: World
    scheme: Scheme
    now: Sharing = field(init=False)
    refreshed: Refreshing = field(init=False)
    before: Sharing = field(init=False)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def asked(self) -> Sharing:
        """Nobody has joined; and nobody waits for the one before any more."""
        self.world.later[0] += LONGEST_WAIT + 1
        for party in self.world.parties.values():
            party.arrivals.expire()
        name = f"w{next(self._numbers):04}"
        old = seated(self.world, self.world.roster.among(_BEFORE))
        making = Making.of(old, name, scheme=self.scheme)
        making.active()
        self.now = Sharing.of(self.world, making, _AFTER, 2)
        self.now.begin()
        return self.now

    def proposed(self) -> Sharing:
        """All old ones have joined, all new ones have said HELLO'."""
        now = self.asked()
        now.joined()
        return now

    def dealt(self) -> Sharing:
        """The old ones have dealt."""
        now = self.proposed()
        now.dealt()
        return now

    def certified(self) -> Sharing:
        """All have acknowledged."""
        now = self.dealt()
        now.certified()
        return now

    def certified_again(self) -> Sharing:
        """The same, after attempts that were certified and not adopted: one to refresh the epoch,
        `refreshed`, and one to share the key anew, `before`.
        """
        self.proposed_again()
        self.now.dealt()
        self.now.certified()
        return self.now

    def proposed_again(self) -> Sharing:
        """All have joined and said HELLO', after those attempts."""
        before = self.asked()
        self.refreshed = before.refresh()
        self.refreshed.made()
        before.attempts = self.refreshed.attempts
        before.made()
        self.before, self.now = before, before.again()
        self.now.joined()
        return self.now

    def dealt_again(self) -> Sharing:
        """A further attempt at the same, in which the old ones have dealt, too."""
        self.world.later[0] += LONGER_THAN_ANY_PAUSE
        self.now = self.now.again()
        self.now.joined()
        self.now.dealt()
        return self.now

    def arrived(self) -> Sharing:
        """All new ones have confirmed."""
        now = self.certified()
        now.arrivals = [now.confirm(k) for k in now.new.parties]
        return now

    def adopted(self) -> Sharing:
        """All old ones have voted."""
        now = self.arrived()
        now.retired_by(OLD)
        return now

    def over(self) -> None:
        """What is under way goes on to its end, as far as it is."""
        self.world.later[0] += LONGER_THAN_ANY_PAUSE
        self.now.drive()
        wallet_id = self.now.replaced.terms.wallet_id
        for index in EVERYBODY:
            (held,) = self.world.parties[index].wallets.of(wallet_id)
            assert (held.body, held.record.state) == (self.now.successor, EpochState.ACTIVE)
