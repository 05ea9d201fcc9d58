"""`hsm.recovery`: from the return of a killed `p11-kit server` to the next good signature.

A whole lab of two holders that both must sign; the token of one is behind the server. The server is
killed with the process that it has for its client, and comes back after a pause that its keeper
doubles each time: so it is away for short and for long, and the signer finds it again by itself.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from hsm_mpc.bench.report import Row
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.lab.processes import descendants

NAME: Final = "hsm.recovery"
KINDS: Final = ("softhsm", "p11kit")
T = N = 2
TARGET_SECONDS: Final = 1.0

_SERVER: Final = "p11-kit-server"
_MESSAGE_BYTES: Final = 32
_MICROSECONDS: Final = 1e6
_GLANCE: Final = 0.001
_BETWEEN_TRIES: Final = 0.01


def row(sign: Callable[[bytes], object], signer: int, server: Path, *, returns: int) -> Row:
    """Kill the server so many times, and sign until it goes well again.

    Args:
        sign: signs a message and verifies the signature.
        signer: the pid of the holder's signer, which the server is a descendant of.
        server: the socket where it listens.

    Raises:
        HsmMpcError: what `sign` raises before the first kill.
    """
    sign(os.urandom(_MESSAGE_BYTES))
    took = [_seconds_after_return(sign, signer, server) for _ in range(returns)]
    return Row(
        name=NAME,
        t=T,
        n=N,
        wall_us=round(statistics.median(took) * _MICROSECONDS, 1),
        note=(
            f"{max(took):.2f} s at the longest, {returns} returns of a killed server; "
            f"target: {TARGET_SECONDS:g} s"
        ),
    )


def left_out(reason: str) -> Row:
    """The row of a system that has no p11-kit."""
    return Row(name=NAME, note=f"left out: {reason}")


def _seconds_after_return(sign: Callable[[bytes], object], signer: int, server: Path) -> float:
    _kill_server(signer)
    back: list[float] = []
    watch = threading.Thread(target=lambda: back.append(_answers_at(server)))
    watch.start()
    while True:
        try:
            sign(os.urandom(_MESSAGE_BYTES))
        except HsmMpcError:
            time.sleep(_BETWEEN_TRIES)
        else:
            signed = time.monotonic()
            watch.join()
            return signed - back[0]


def _kill_server(signer: int) -> None:
    servers = [pid for pid, name in descendants(signer).items() if name == _SERVER]
    for pid in [*servers, *(client for server in servers for client in descendants(server))]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _answers_at(server: Path) -> float:
    """When somebody listens again."""
    while True:
        with socket.socket(socket.AF_UNIX) as connection:
            if connection.connect_ex(str(server)) == 0:
                return time.monotonic()
        time.sleep(_GLANCE)
