"""What a signer does by the clock, on one thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import HsmMpcError
from hsm_mpc.secure.process import shield_this_thread

TICK: Final = 1.0
"""Seconds."""
RETRY: Final = 60.0
"""Seconds after which a rare duty that failed is tried again."""

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to be done every `seconds`, the first time one period after the start."""

    name: str
    seconds: float
    work: Callable[[], object]


class Clockwork:
    """Runs duties until `end`. A duty that fails is logged and comes again; none stops another.

    `ticks` is seconds of a clock that only runs forward.
    """

    def __init__(
        self,
        duties: Sequence[Duty],
        ticks: Callable[[], float],
        log: Log,
        report: Callable[[Exception], None],
        tick: float = TICK,
    ) -> None:
        self._due = {duty: ticks() + duty.seconds for duty in duties}
        self._ticks = ticks
        self._log = log
        self._report = report
        self._tick = tick
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clockwork", daemon=True)
        self._thread.start()

    def end(self, patience: float) -> bool:
        """No more duties; whether the one under way ended within `patience` seconds."""
        self._ending.set()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        shield_this_thread()
        while not self._ending.wait(self._tick):
            for duty, due in self._due.items():
                if self._ticks() >= due:
                    self._due[duty] = self._ticks() + self._next_in(duty)

    def _next_in(self, duty: Duty) -> float:
        """Do it; seconds until the next time."""
        try:
            duty.work()
        except HsmMpcError as failure:
            self._log(f"{duty.name}: {failure}")
        except Exception as unexpected:  # noqa: BLE001 - an outermost edge
            self._report(unexpected)
        else:
            return duty.seconds
        return min(duty.seconds, RETRY)
