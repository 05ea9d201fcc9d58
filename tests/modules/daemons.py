"""Daemons of tokens, killed as when their host's memory runs out."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Final

from hsm_mpc.lab.processes import descendants

DAEMONS: Final = {"p11kit": "p11-kit-server", "opencryptoki": "pkcsslotd"}
"""Kinds of tokens that have one, and its name."""


def kill_daemon(command: int, kind: str) -> list[int]:
    """Kill the daemon that serves a command, and the processes that it has for each client."""
    killed = []
    for pid, name in descendants(command).items():
        if name == DAEMONS[kind]:
            killed += [pid, *descendants(pid)]
    for pid in killed:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return killed
