"""Successions that wait for somebody: asked on in the background, until the old keys are gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.successions import Succession
from hsm_mpc.errors import reason_of

_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 15.0


class RefreshKeeper:
    """A holder that comes back finds what it has missed, and nobody has to ask for it."""

    def __init__(
        self, refresher: Refresher, registry: Registry, report: Callable[[str], None]
    ) -> None:
        self._refresher = refresher
        self._registry = registry
        self._report = report
        self._ending = threading.Event()

    def begin(self) -> None:
        """In the background, until `end`."""
        threading.Thread(target=self._run, name="refresh", daemon=True).start()

    def end(self) -> None:
        """Ask no more."""
        self._ending.set()

    def _run(self) -> None:
        pause = _PAUSE
        while not self._ending.wait(pause):
            try:
                outcomes = [self._asked(wallet) for wallet in self._registry.living()]
            except Exception as failure:  # noqa: BLE001 - an outermost edge
                self._report(f"refresh: the registry cannot be read: {failure}")
                outcomes = [False]
            moved, waiting = any(outcomes), False in outcomes
            pause = _PAUSE if moved or not waiting else min(2 * pause, _LONGEST_PAUSE)

    def _waits(self, newest: Succession) -> bool:
        return bool(newest.waiting_for or newest.not_arrived) or not (
            self._refresher.is_settled(newest)
        )

    def _asked(self, wallet: Registered) -> bool | None:
        """Whether somebody has answered who had not before; None: this wallet waits for nobody."""
        try:
            _, before = self._refresher.newest(wallet)
            if before is None or not self._waits(before):
                return None
            return self._refresher.advance(wallet).newest != before
        except Exception as failure:  # noqa: BLE001 - an outermost edge
            if self._ending.is_set():
                return None
            self._report(f"refresh of {wallet.name}: {reason_of(failure)}")
            return False
