"""Wallets are refreshed by the clock, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hsm_mpc.coordinator.consents import PLAN_SECONDS, WaitingPlans
from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.schedule import Schedule
from hsm_mpc.coordinator.successions import Epochs
from hsm_mpc.errors import NotReady, Refused, reason_of
from hsm_mpc.ids import EpochHash, WalletId

_PAUSE: Final = 15.0
_HOLD_OFF: Final = 600
"""Seconds that a wallet is left alone after a refresh of it failed: twice as long each time."""
_LONGEST_HOLD_OFF: Final = 4 * 3600
_LONGEST_PAUSE: Final = 7 * 86_400
"""Where a holder has gone into too many attempts: each pauses for itself (step 6.5.11), and all of
them have to be past it at once.
"""


@dataclass(frozen=True, slots=True)
class _HeldOff:
    epoch_hash: EpochHash | None
    """What was to be replaced, if that was known."""
    since: int
    seconds: int

    def again(self, now: int, longest: int) -> _HeldOff:
        """After the next failure in a row."""
        return _HeldOff(self.epoch_hash, now, min(2 * self.seconds, longest))


class RefreshScheduler:
    """Waits for every holder: who may be left out is for people to say (`--absent`)."""

    def __init__(
        self,
        schedule: Schedule,
        refresher: Refresher,
        registry: Registry,
        clock: Callable[[], int],
        report: Callable[[str], None],
    ) -> None:
        """`clock` is seconds since 1970 UTC."""
        self._schedule = schedule
        self._refresher = refresher
        self._registry = registry
        self._clock = clock
        self._plans = WaitingPlans(registry, clock)
        self._report = report
        self._failed: dict[WalletId, _HeldOff] = {}
        self._ending = threading.Event()

    def begin(self) -> None:
        """In the background, until `end`."""
        threading.Thread(target=self._run, name="schedule", daemon=True).start()

    def end(self) -> None:
        """Begin no other; one under way goes on."""
        self._ending.set()

    def _run(self) -> None:
        while not self._ending.wait(_PAUSE):
            try:
                wallets = self._registry.living()
            except Exception as failure:  # noqa: BLE001 - an outermost edge
                self._report(f"schedule: the registry cannot be read: {failure}")
                continue
            for wallet in wallets:
                if self._ending.is_set():
                    return
                self._looked_at(wallet)

    def _looked_at(self, wallet: Registered) -> None:
        """Refresh it if it is due."""
        due = None
        try:
            due = self._due(wallet)
            if due is None:
                return
            epochs = self._refresher.refresh(wallet, (), due)
            self._require_new(epochs, due)
            self._failed.pop(wallet.wallet_id, None)
            self._report(f"schedule: {wallet.name} is in epoch {epochs.newest_body.epoch}")
        except Exception as failure:  # noqa: BLE001 - an outermost edge
            if self._ending.is_set():
                return
            self._report(f"schedule: {wallet.name} is not refreshed: {reason_of(failure)}")
            now, before = self._clock(), self._failed.get(wallet.wallet_id)
            pauses = isinstance(failure, Refused) and failure.rule == "too-many-attempts"
            longest = _LONGEST_PAUSE if pauses else _LONGEST_HOLD_OFF
            first = _HeldOff(due, now, _HOLD_OFF)
            self._failed[wallet.wallet_id] = before.again(now, longest) if before else first

    def _require_new(self, epochs: Epochs, replaced: EpochHash) -> None:
        """Another attempt that some have adopted, and not as many as retire, has led nowhere: all
        it does is to cost every holder something on its disk (step 6.5.11).

        Raises:
            NotReady: the epoch that waited for its end waits still; and for whom.
        """
        newest = epochs.newest
        if newest is not None and not newest.retirement and newest.body.prev_hash != replaced:
            waits = self._refresher.waited_for(newest)
            names = ", ".join(waits)
            raise NotReady(f"epoch {newest.epoch - 1} still waits for {names} to be retired", waits)

    def _due(self, wallet: Registered) -> EpochHash | None:
        """The epoch that is to be replaced now; None: that of this wallet is not."""
        if not wallet.dones:
            return None
        newest, _ = self._refresher.newest(wallet)
        now, failed = self._clock(), self._failed.get(wallet.wallet_id)
        if failed is not None and failed.epoch_hash not in (None, newest.hash):
            del self._failed[wallet.wallet_id]  # somebody else has had it replaced
        elif failed is not None and 0 <= now - failed.since < failed.seconds:
            return None
        since = self._registry.since(wallet.wallet_id, newest.hash, now)
        if self._plans.of(wallet.name) and not self._schedule.is_due(
            newest.hash, since, now - PLAN_SECONDS
        ):
            return None  # people are consenting to the end of this epoch, and of no other
        return newest.hash if self._schedule.is_due(newest.hash, since, now) else None
