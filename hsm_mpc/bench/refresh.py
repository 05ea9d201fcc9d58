"""`taproot.refresh` and `ed25519.refresh`: all holders of a refresh in one process.

Steps 6.4.1 to 6.4.5; every holder deals.
"""

from __future__ import annotations

import os
from typing import Final

from hsm_mpc.bench import dkg
from hsm_mpc.bench.floor import above_floor
from hsm_mpc.bench.measure import Measured, repeated
from hsm_mpc.bench.operations import window
from hsm_mpc.bench.report import Row, row_above_floor
from hsm_mpc.bench.schemes import MeasuredScheme
from hsm_mpc.bench.tables_refresh import refreshed
from hsm_mpc.protocols import refresh
from hsm_mpc.protocols.refresh_messages import RefreshSetup
from hsm_mpc.protocols.rounds import advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, release_all
from hsm_mpc.secure.entropy import Entropy

NAME: Final = "refresh"
"""Of its row, behind the name of the scheme."""
NOTE: Final = "per holder, all of them deal; target 1.3 × floor; without envelopes, HSM and disk"


class Epoch:
    """n holders with shares of one key and delivery keys, and no messages yet."""

    def __init__(self, suite: Suite, t: int, n: int, arena: Arena) -> None:
        self._suite = suite
        self._entropy = Entropy()
        holders = dkg.Holders(suite, t, n, arena)
        made = holders.made_key()
        holders.close()
        self.commitments = tuple(map(bytes, made.commitments))
        self.shares = made.shares
        self.deliveries = {index: arena.take(suite.group.scalar_length) for index in made.shares}
        for delivery in self.deliveries.values():
            self.draw(delivery)
        self.keys = [
            bytes(suite.group.public_point(delivery)) for delivery in self.deliveries.values()
        ]

    def close(self) -> None:
        """Wipe shares and delivery keys."""
        release_all([*self.shares.values(), *self.deliveries.values()])

    def renew(self) -> dict[int, refresh.Renewed]:
        """All steps at all holders, each message parsed by everybody; the shares are wiped."""
        session = os.urandom(32)
        keeps, messages = {}, {}
        for index, delivery in self.deliveries.items():
            setup = RefreshSetup.of(
                self._suite, session, tuple(self.deliveries), self.keys, self.commitments
            )
            keeps[index], outbox = refresh.deal(setup, index, delivery, self.draw)
            messages[index] = outbox.to_all
        renewed = {}
        for index, keep in keeps.items():
            delivery, share = self.deliveries[index], self.shares[index]
            renewed[index] = advance(refresh.combine, keep, delivery, share, messages)
        release_all([each.share for each in renewed.values()])
        return renewed

    def draw(self, into: Secret) -> None:
        """Fresh scalars (step 1.8.6)."""
        self._suite.group.random_nonzero(into, self._entropy)


def row(scheme: MeasuredScheme, t: int, n: int, arena: Arena, *, rounds: int) -> Row:
    """Measure, on a shielded thread."""
    epoch = Epoch(scheme.suite, t, n, arena)
    measured = above_floor(
        Measured(repeated(epoch.renew), 1, parties=n),
        refreshed(scheme.curve, t, n, window(arena)),
        rounds=rounds,
    )
    epoch.close()
    return row_above_floor(f"{scheme.name}.{NAME}", measured, NOTE, t, n)
