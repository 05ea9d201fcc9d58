"""`taproot.repair` and `ed25519.repair`: all parties of a repair in one process.

Steps 6.7.2 to 6.7.5: the last holder has lost its share, the first t help.
"""

from __future__ import annotations

import os
from typing import Final

from hsm_mpc.bench.floor import above_floor
from hsm_mpc.bench.measure import Measured, repeated
from hsm_mpc.bench.operations import window
from hsm_mpc.bench.refresh import Epoch
from hsm_mpc.bench.report import Row, row_above_floor
from hsm_mpc.bench.schemes import MeasuredScheme
from hsm_mpc.bench.tables_repair import repaired
from hsm_mpc.protocols import repair
from hsm_mpc.protocols.repair_checks import verify
from hsm_mpc.protocols.repair_messages import RepairSetup
from hsm_mpc.protocols.rounds import advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena

NAME: Final = "repair"
"""Of its row, behind the name of the scheme."""
NOTE: Final = "t helpers and the repaired; target 1.3 × floor; without envelopes, HSM and disk"


class Loss:
    """An epoch whose last holder has lost its share, and shows a new delivery key."""

    def __init__(self, suite: Suite, t: int, n: int, arena: Arena) -> None:
        self._suite = suite
        self._epoch = Epoch(suite, t, n, arena)
        self._helpers = tuple(range(1, t + 1))
        self._lost = n

    def close(self) -> None:
        """Wipe shares and delivery keys."""
        self._epoch.close()

    def repair(self) -> None:
        """All steps at all parties, each message parsed by everybody; the share is wiped.

        That it is the lost one is the last thing that the repaired holder checks.
        """
        session, epoch = os.urandom(32), self._epoch
        keeps, messages, sums = {}, {}, {}
        for index in self._helpers:
            own = epoch.deliveries[index], epoch.shares[index]
            keeps[index], outbox = repair.split(self._setup(session), index, *own, epoch.draw)
            messages[index] = outbox.to_all
        for index, keep in keeps.items():
            own_delivery = epoch.deliveries[index]
            summed = advance(repair.collect, keep, own_delivery, messages, epoch.draw)
            sums[index] = summed.to_bytes()
        splits = verify(self._setup(session), messages)
        repair.recover(splits, epoch.deliveries[self._lost], sums).release()

    def _setup(self, session: bytes) -> RepairSetup:
        epoch = self._epoch
        return RepairSetup.of(
            self._suite, session, self._lost, self._helpers, epoch.keys, epoch.commitments
        )


def row(scheme: MeasuredScheme, t: int, n: int, arena: Arena, *, rounds: int) -> Row:
    """Measure, on a shielded thread."""
    loss = Loss(scheme.suite, t, n, arena)
    measured = above_floor(
        Measured(repeated(loss.repair), 1),
        repaired(scheme.curve, t, n, window(arena)),
        rounds=rounds,
    )
    loss.close()
    return row_above_floor(f"{scheme.name}.{NAME}", measured, NOTE, t, n)
