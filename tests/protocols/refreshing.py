"""Refreshes in memory for the tests: epochs with known secrets, honest holders, and a dealer who
may deal anything.

Secrets of test data are Python integers here; the product never does that.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hsm_mpc.protocols import refresh
from hsm_mpc.protocols.refresh import KeepDealt, Renewed
from hsm_mpc.protocols.refresh_messages import RefreshSetup, ZeroDealing
from hsm_mpc.protocols.rounds import abort, advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret, Take, publish
from tests.protocols.forgery import encoded, forged_dealing, powers_from, times_base
from tests.protocols.keygen import decoded, random_draws
from tests.secure.bytes_of import filled

SESSION = b"refresh of the tests".ljust(32, b".")


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch whose secrets the test knows."""

    suite: Suite
    commitments: tuple[bytes, ...]
    shares: Mapping[int, int]
    deliveries: Mapping[int, int]
    """v_1..v_n."""

    @property
    def t(self) -> int:
        return len(self.commitments)

    def setup(self, dealers: Iterable[int], session: bytes = SESSION) -> RefreshSetup:
        keys = [times_base(self.suite, v) for v in self.deliveries.values()]
        return RefreshSetup.of(self.suite, session, list(dealers), keys, self.commitments)


def epoch_of(suite: Suite, coefficients: Sequence[int], deliveries: Sequence[int]) -> Epoch:
    order = suite.group.order
    shares = {
        index: sum(a * index**k for k, a in enumerate(coefficients)) % order
        for index in range(1, len(deliveries) + 1)
    }
    commitments = tuple(times_base(suite, a) for a in coefficients)
    return Epoch(suite, commitments, shares, dict(enumerate(deliveries, 1)))


def random_epoch(suite: Suite, t: int, n: int, seed: int = 1) -> Epoch:
    numbers = random.Random(seed)

    def scalars(count: int) -> list[int]:
        return [numbers.randrange(1, suite.group.order) for _ in range(count)]

    return epoch_of(suite, scalars(t), scalars(n))


@dataclass(slots=True)
class Refreshing:
    """A refresh of `epoch` by `dealers`, in slots of `take`."""

    epoch: Epoch
    setup: RefreshSetup
    take: Take
    keeps: dict[int, KeepDealt] = field(default_factory=dict)
    messages: dict[int, bytes] = field(default_factory=dict)

    @property
    def suite(self) -> Suite:
        return self.setup.suite

    def delivery(self, index: int) -> Secret:
        return self._slot(self.epoch.deliveries[index])

    def share(self, index: int) -> Secret:
        return self._slot(self.epoch.shares[index])

    def combine(self, index: int, messages: Mapping[int, bytes] | None = None) -> Renewed:
        """At a dealer."""
        return advance(
            refresh.combine,
            self.keeps[index],
            self.delivery(index),
            self.share(index),
            self.messages if messages is None else messages,
        )

    def catch_up(self, index: int, messages: Mapping[int, bytes] | None = None) -> Renewed:
        return refresh.catch_up(
            self.setup,
            index,
            self.delivery(index),
            self.share(index),
            self.messages if messages is None else messages,
        )

    def renewed(self, index: int) -> Renewed:
        """At any holder."""
        return self.combine(index) if index in self.keeps else self.catch_up(index)

    def dealing(self, index: int) -> ZeroDealing:
        return ZeroDealing.from_bytes(self.messages[index], self.setup)

    def forged(
        self,
        dealer: int,
        coefficients: Sequence[int],
        ephemeral: int,
        *,
        shares: Mapping[int, int] | None = None,
        raw_shares: Mapping[int, bytes] | None = None,
        proven: int | None = None,
        shown: bytes | None = None,
        session: bytes = SESSION,
    ) -> ZeroDealing:
        """A dealing of the test's choice, with b_1, b_2, …; see `forged_dealing`."""
        return forged_dealing(
            ZeroDealing,
            self.epoch.setup(self.setup.dealers, session),
            dealer,
            self.delivery(dealer),
            powers_from(1, coefficients),
            ephemeral,
            shares=shares,
            raw_shares=raw_shares,
            proven=proven,
            shown=shown,
        )

    def _slot(self, scalar: int) -> Secret:
        return filled(self.take(32), encoded(self.suite, scalar))


def refreshing(epoch: Epoch, take: Take, dealers: Iterable[int], seed: int = 1) -> Refreshing:
    """All of `dealers` have dealt, honestly."""
    at_work = Refreshing(epoch, epoch.setup(dealers), take)
    for dealer in at_work.setup.dealers:
        draws = random_draws(epoch.suite, 100 * seed + dealer)
        keep, outbox = refresh.deal(at_work.setup, dealer, at_work.delivery(dealer), draws)
        at_work.keeps[dealer], at_work.messages[dealer] = keep, outbox.to_all
    return at_work


def next_epoch(epoch: Epoch, take: Take, dealers: Iterable[int], seed: int = 1) -> Epoch:
    """The epoch that `dealers` make, absent holders caught up; delivery keys are fresh."""
    at_work = refreshing(epoch, take, dealers, seed)
    results = {index: at_work.renewed(index) for index in epoch.shares}
    first = results[1]
    for index, result in results.items():
        assert result.commitments == first.commitments
        assert result.public_shares == first.public_shares
        public = epoch.suite.group.public_point(result.share)
        assert public == result.public_shares[index - 1]
    shares = {index: opened(epoch.suite, result) for index, result in results.items()}
    fresh = random_epoch(epoch.suite, epoch.t, len(shares), seed + 1000).deliveries
    return Epoch(epoch.suite, first.commitments, shares, fresh)


def opened(suite: Suite, renewed: Renewed) -> int:
    """x' in the open; its slot is wiped."""
    share = decoded(suite, publish(renewed.share))
    abort(renewed)
    return share


Spoil = Callable[[Refreshing], Mapping[int, ZeroDealing | bytes]]
"""What the liars send in place of their dealings."""
