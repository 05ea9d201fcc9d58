"""Repairs in memory for the tests: honest helpers, and helpers that may send anything.

Secrets of test data are Python integers here; the product never does that.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hsm_mpc.protocols import repair
from hsm_mpc.protocols.dealing_checks import share_in
from hsm_mpc.protocols.delivered import Delivered
from hsm_mpc.protocols.repair import KeepSplit
from hsm_mpc.protocols.repair_checks import Splits, sum_in, verify
from hsm_mpc.protocols.repair_messages import RepairSetup, Split, Summed
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret, Take, publish
from tests.protocols.forgery import encoded, times_base
from tests.protocols.keygen import decoded, random_draws
from tests.protocols.refresh_reference import Curve
from tests.protocols.refreshing import Epoch
from tests.protocols.repair_reference import Repair
from tests.secure.bytes_of import at, filled

SESSION = b"repair of the tests".ljust(32, b".")
Messages = Mapping[int, bytes]


def setup_of(
    epoch: Epoch, lost: int, helpers: Sequence[int], session: bytes = SESSION
) -> RepairSetup:
    keys = [times_base(epoch.suite, v) for v in epoch.deliveries.values()]
    return RepairSetup.of(epoch.suite, session, lost, helpers, keys, epoch.commitments)


@dataclass(slots=True)
class Repairing:
    """A repair in `epoch`, whose v_r is the new one, in slots of `take`."""

    epoch: Epoch
    setup: RepairSetup
    take: Take
    keeps: dict[int, KeepSplit] = field(default_factory=dict)
    messages: dict[int, bytes] = field(default_factory=dict)
    """R1."""

    @property
    def suite(self) -> Suite:
        return self.setup.suite

    @property
    def reference(self) -> Repair:
        """The same, that makes any message."""
        setup = self.setup
        curve = Curve(setup.suite.group, setup.suite.suite_id)
        return Repair(curve, setup.session, setup.lost, setup.helpers, self.epoch.deliveries)

    def delivery(self, index: int) -> Secret:
        return self._slot(self.epoch.deliveries[index])

    def share(self, index: int) -> Secret:
        return self._slot(self.epoch.shares[index])

    def collect(self, helper: int, messages: Messages | None = None) -> Summed:
        """At a helper; what it keeps stays as it is."""
        received = self.messages if messages is None else messages
        draws = random_draws(self.suite, 500 + helper)
        return repair.collect(self.keeps[helper], self.delivery(helper), received, draws)

    def sums(self, messages: Messages | None = None) -> dict[int, bytes]:
        """R2 of all helpers."""
        return {k: self.collect(k, messages).to_bytes() for k in self.setup.helpers}

    def splits(self, messages: Messages | None = None) -> Splits:
        return verify(self.setup, self.messages if messages is None else messages)

    def recover(self, sums: Messages | None = None, messages: Messages | None = None) -> Secret:
        """At holder r."""
        received = self.sums(messages) if sums is None else sums
        return repair.recover(self.splits(messages), self.delivery(self.setup.lost), received)

    def split(self, helper: int) -> Split:
        return Split.from_bytes(self.messages[helper], self.setup)

    def owed(self, helper: int) -> int:
        """ζ of a helper."""
        return self.reference.factor(helper) * self.epoch.shares[helper] % self.suite.group.order

    def deltas(self, helper: int, seed: int = 7) -> list[int]:
        """Random ones that add up to ζ."""
        numbers, order = random.Random(seed), self.suite.group.order
        others = [numbers.randrange(1, order) for _ in self.setup.helpers[:-1]]
        return [*others, (self.owed(helper) - sum(others)) % order]

    def opened_delta(self, sender: int, place: int) -> int:
        """δ of an honest `sender` for the helper in that place of H, as that helper reads it."""
        receiver = self.setup.helpers[place]
        delta = share_in(self.setup, receiver, sender, self.split(sender))
        return self._read(delta, receiver)

    def opened_sum(self, helper: int, summed: Summed) -> int:
        """σ in an honest R2, as r reads it."""
        return self._read(sum_in(self.splits(), helper, summed), self.setup.lost)

    def _read(self, delivered: Delivered, receiver: int) -> int:
        found: list[int] = []

        def read(opened: bool, share: int) -> bool:
            assert opened
            found.append(decoded(self.suite, at(share, 32)))
            return True

        assert replace(delivered, is_sound=read).opens_soundly(self.delivery(receiver))
        return found[0]

    def _slot(self, scalar: int) -> Secret:
        return filled(self.take(32), encoded(self.suite, scalar))


def repairing(
    epoch: Epoch, take: Take, lost: int, helpers: Iterable[int], seed: int = 1
) -> Repairing:
    """All helpers have split, honestly."""
    at_work = Repairing(epoch, setup_of(epoch, lost, tuple(helpers)), take)
    for helper in at_work.setup.helpers:
        draws = random_draws(epoch.suite, 100 * seed + helper)
        keep, outbox = repair.split(
            at_work.setup, helper, at_work.delivery(helper), at_work.share(helper), draws
        )
        at_work.keeps[helper], at_work.messages[helper] = keep, outbox.to_all
    return at_work


def opened(suite: Suite, share: Secret) -> int:
    """x_r in the open; its slot is wiped."""
    scalar = decoded(suite, publish(share))
    share.release()
    return scalar
