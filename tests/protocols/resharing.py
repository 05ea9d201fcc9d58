"""Resharings in memory for the tests: honest dealers and new holders, and a dealer who may deal
anything.

Secrets of test data are Python integers here; the product never does that.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hsm_mpc.protocols import reshare
from hsm_mpc.protocols.refresh import Renewed
from hsm_mpc.protocols.reshare_messages import ReshareSetup, ShareDealing
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret, Take
from tests.protocols.forgery import encoded, times_base
from tests.protocols.keygen import random_draws
from tests.protocols.refresh_reference import Curve
from tests.protocols.refreshing import Epoch, opened, random_epoch
from tests.protocols.reshare_reference import Reshare
from tests.secure.bytes_of import filled

SESSION = b"resharing of the tests".ljust(32, b".")
Messages = Mapping[int, bytes]


@dataclass(slots=True)
class Resharing:
    """A resharing of `epoch`, in slots of `take`."""

    epoch: Epoch
    setup: ReshareSetup
    receivers: Mapping[int, int]
    """v'_1..v'_n'."""
    take: Take
    messages: dict[int, bytes] = field(default_factory=dict)

    @property
    def suite(self) -> Suite:
        return self.setup.suite

    @property
    def reference(self) -> Reshare:
        """The same, that makes any message."""
        setup, (old, new) = self.setup, (self.epoch.deliveries, self.receivers)
        curve = Curve(setup.suite.group, setup.suite.suite_id)
        secrets = tuple(old.values()), tuple(new.values())
        return Reshare(curve, setup.session, setup.dealers, *secrets)

    def delivery(self, index: int) -> Secret:
        """v of an old holder."""
        return self._slot(self.epoch.deliveries[index])

    def share(self, index: int) -> Secret:
        """x of an old holder."""
        return self._slot(self.epoch.shares[index])

    def new_delivery(self, index: int) -> Secret:
        """v' of a new holder."""
        return self._slot(self.receivers[index])

    def part(self, dealer: int) -> int:
        """w of a dealer."""
        return self.reference.part(dealer, self.epoch.shares[dealer])

    def receive(self, index: int, messages: Messages | None = None) -> Renewed:
        """At a new holder."""
        received = self.messages if messages is None else messages
        return reshare.receive(self.setup, index, self.new_delivery(index), received)

    def check(self, messages: Messages | None = None) -> tuple[bytes, ...]:
        """At an old one."""
        return reshare.check(self.setup, self.messages if messages is None else messages)

    def dealing(self, dealer: int) -> ShareDealing:
        return ShareDealing.from_bytes(self.messages[dealer], self.setup)

    def forged(
        self,
        dealer: int,
        rest: Sequence[int],
        ephemeral: int,
        *,
        constant: int | None = None,
        raw: Mapping[int, bytes] | None = None,
        proven: int | None = None,
        shown: bytes | None = None,
        session: bytes | None = None,
    ) -> bytes:
        """A dealing of the test's choice: of the right constant if there is no other, and `rest`.

        See `Reshare.dealing`.
        """
        first = self.part(dealer) if constant is None else constant
        coefficients = [first, *rest]
        return self.reference.dealing(
            dealer,
            coefficients,
            ephemeral,
            raw=raw,
            proven=proven,
            shown=shown,
            session=session,
        )

    def _slot(self, scalar: int) -> Secret:
        return filled(self.take(32), encoded(self.suite, scalar))


def before_dealing(
    epoch: Epoch,
    take: Take,
    dealers: Iterable[int],
    new_threshold: int,
    receivers: Sequence[int],
) -> Resharing:
    """Nobody has dealt; `receivers` are v'_1..v'_n'."""
    old, new = (
        [times_base(epoch.suite, v) for v in secrets]
        for secrets in (epoch.deliveries.values(), receivers)
    )
    setup = ReshareSetup.of(
        epoch.suite, SESSION, tuple(dealers), old, epoch.commitments, new, new_threshold
    )
    return Resharing(epoch, setup, dict(enumerate(receivers, 1)), take)


def resharing(
    epoch: Epoch,
    take: Take,
    dealers: Iterable[int],
    new_threshold: int,
    new_holders: int,
    seed: int = 1,
) -> Resharing:
    """All of `dealers` have dealt, honestly."""
    numbers = random.Random(seed + 2000)
    receivers = [numbers.randrange(1, epoch.suite.group.order) for _ in range(new_holders)]
    at_work = before_dealing(epoch, take, dealers, new_threshold, receivers)
    for dealer in at_work.setup.dealers:
        draws = random_draws(epoch.suite, 100 * seed + dealer)
        own = at_work.delivery(dealer), at_work.share(dealer)
        at_work.messages[dealer] = reshare.deal(at_work.setup, dealer, *own, draws).to_all
    return at_work


def new_epoch(at_work: Resharing, seed: int = 1) -> Epoch:
    """The epoch of the new holders, who all agree; delivery keys are fresh."""
    suite, commitments = at_work.suite, at_work.check()
    results = {index: at_work.receive(index) for index in at_work.receivers}
    first = results[1]
    for index, result in results.items():
        assert result.commitments == commitments
        assert result.public_shares == first.public_shares
        assert suite.group.public_point(result.share) == result.public_shares[index - 1]
    shares = {index: opened(suite, result) for index, result in results.items()}
    fresh = random_epoch(suite, 2, len(shares), seed + 3000).deliveries
    return Epoch(suite, commitments, shares, fresh)


def reshared(
    epoch: Epoch,
    take: Take,
    dealers: Iterable[int],
    new_threshold: int,
    new_holders: int,
    seed: int = 1,
) -> Epoch:
    """The epoch that honest `dealers` make."""
    return new_epoch(resharing(epoch, take, dealers, new_threshold, new_holders, seed), seed)
