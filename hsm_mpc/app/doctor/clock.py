"""Whether this host's clock can be relied on: what the kernel says, and what was written before.

Clocks matter where a signer shows its channel (± 300 s, step 1.7.2) and where a client's request
says until when it is good. Nonces expire by a clock that only runs forward.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from hsm_mpc.app.doctor.findings import Finding, fail, ok, warn
from hsm_mpc.audit import LINE_CAP
from hsm_mpc.certificates.channel import CLOCK_TOLERANCE, Channel
from hsm_mpc.config import HolderConfig

_STA_UNSYNC: Final = 0x40
_TIME_ERROR: Final = 5
_RESERVED_BYTES: Final = 256
_MEND: Final = "run chrony (with rtcsync), systemd-timesyncd or ntpd"


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), as far as it is read; modes 0 changes nothing."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("largest_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * _RESERVED_BYTES),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def kernel_clock() -> tuple[int, int, int]:
    """What adjtimex(2) tells: its result (−1: nothing), its status bits, and the largest error in
    microseconds. No privilege is needed."""
    told = _Timex()
    result = _libc.adjtimex(ctypes.byref(told))
    return result, told.status, told.largest_error


def clock() -> Finding:
    """Whether somebody keeps the clock right."""
    result, status, largest_error = kernel_clock()
    if result < 0:
        return warn("clock", "this host does not say whether its clock is kept", _MEND)
    if result == _TIME_ERROR or status & _STA_UNSYNC:
        message = (
            "nothing has told this kernel that it keeps the clock: peers refuse a signer "
            f"whose clock is {CLOCK_TOLERANCE} s off"
        )
        return warn("clock", message, _MEND)
    return ok("clock", f"kept, off by at most {-(-largest_error // 1000)} ms")


def times(
    config: HolderConfig, peers: Iterable[tuple[str, Channel]], now: datetime
) -> list[Finding]:
    """The clock against the newest line of the audit log, and against what peers' signers said.

    A CHANNEL tells when its signer's clock said that it began: no clock that is right can be behind
    it. More of peers' clocks no message tells.
    """
    shown = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    newest = _newest_line(config)
    if newest is not None and (newest - now).total_seconds() > CLOCK_TOLERANCE:
        message = f"{shown} by this clock; the audit log has a line of {newest:%Y-%m-%dT%H:%M:%SZ}"
        return [fail("time", message, f"set the clock; {_MEND}")]
    ahead = [
        f"{name} by {channel.content.not_before - int(now.timestamp())} s"
        for name, channel in peers
        if channel.content.not_before > now.timestamp() + 1
    ]
    if ahead:
        message = f"{shown} by this clock; those of peers are ahead: {', '.join(ahead)}"
        return [warn("time", message, f"here or there: {_MEND}")]
    return [ok("time", f"{shown}, not before anything that was written here or came from peers")]


def _newest_line(config: HolderConfig) -> datetime | None:
    """When the last whole line of the audit log was written; None of an empty log."""
    try:
        with (config.store / "audit" / "log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 2 * LINE_CAP))
            lines = log.read().split(b"\n")
    except OSError:
        return None
    last = lines[-2] if len(lines) > 1 else b""
    try:
        time = json.loads(last.rpartition(b" ")[0])["time"]
        return datetime.fromisoformat(time).astimezone(UTC)
    except (ValueError, KeyError, TypeError):
        return None
