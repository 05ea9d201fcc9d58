"""When wallets are refreshed without anybody asking: after an interval, not in quiet hours."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from hsm_mpc.ids import EpochHash

_DAY: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A time of each day, UTC, in which no refresh begins; it may go over midnight.

    Both are seconds since midnight; the end is no part of it.
    """

    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """`HH:MM-HH:MM`, which the caller has checked."""
        begin, end = (
            int(hours) * 3600 + int(minutes) * 60
            for hours, minutes in (time.split(":") for time in text.split("-"))
        )
        return cls(begin, end)

    def has(self, now: int) -> bool:
        """Whether `now`, in seconds since 1970 UTC, is in it."""
        return (now - self.begin) % _DAY < (self.end - self.begin) % _DAY


@dataclass(frozen=True, slots=True)
class Schedule:
    """All times are seconds."""

    interval: int
    """Age of an epoch at which it is due."""
    jitter: int
    """It is put off by up to so much: each epoch by a time of its own, so that not all wallets
    that were made together are refreshed together.
    """
    quiet: tuple[QuietHours, ...] = ()

    def is_due(self, epoch_hash: EpochHash, since: int, now: int) -> bool:
        """Whether an epoch that began at `since` is to be replaced now."""
        put_off = int.from_bytes(hashlib.sha256(epoch_hash).digest()) % (self.jitter + 1)
        is_quiet = any(each.has(now) for each in self.quiet)
        return now >= since + self.interval + put_off and not is_quiet
