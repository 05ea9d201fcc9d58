"""One program that a supervisor keeps running."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hsm_mpc.lab.control import Kept
from hsm_mpc.lab.processes import environment

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds between the death of a program and its next start; they double each time."""
STEADY_AFTER: Final = 10.0
"""Seconds after which a program counts as one that works, and the pause is short again."""
PATIENCE: Final = 8.0
"""Seconds that a program has to end by itself."""

_PR_SET_PDEATHSIG: Final = 1
_HANDED_DOWN: Final = ("PATH", "HOME", "TMPDIR")

_libc = ctypes.CDLL(None)


class Child:
    """A program, its process while there is one, and whether it is wanted.

    `ticks` is seconds of a clock that only runs forward.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, ticks: Callable[[], float]
    ) -> None:
        self.name: Final = name
        self._command = list(command)
        self._log = log
        self._ticks = ticks
        self._process: subprocess.Popen[bytes] | None = None
        self._since = 0.0
        self._wanted = False
        self._starts = 0
        self._last_exit: int | None = None
        self._pause = FIRST_PAUSE
        self._start_at = 0.0
        self._kill_at: float | None = None

    @property
    def kept(self) -> Kept:
        """How it is doing."""
        pid = None if self._process is None else self._process.pid
        return Kept(pid, self._wanted, self._starts, self._last_exit)

    @property
    def ended(self) -> bool:
        """Whether there is no process."""
        return self._process is None

    def want(self) -> None:
        """From now on it shall run."""
        if not self._wanted:
            self._wanted, self._starts, self._last_exit = True, 0, None
            self._pause, self._start_at = FIRST_PAUSE, 0.0

    def dismiss(self) -> None:
        """From now on it shall not run; it is asked to end, and killed if it does not."""
        self._wanted = False
        if self._process is not None and self._kill_at is None:
            self._process.send_signal(signal.SIGTERM)
            self._kill_at = self._ticks() + PATIENCE

    def look_after(self) -> float:
        """Do what is due; seconds until the next look at the latest."""
        now = self._ticks()
        if self._process is not None and self._process.poll() is not None:
            self._buried(now)
        if self._process is not None and self._kill_at is not None and now >= self._kill_at:
            self._process.kill()
        if self._process is None and self._wanted and now >= self._start_at:
            self._start(now)
        if self._process is None:
            return max(0.0, self._start_at - now) if self._wanted else LONGEST_PAUSE
        return LONGEST_PAUSE if self._kill_at is None else max(0.05, self._kill_at - now)

    def _start(self, now: float) -> None:
        self._starts += 1
        inherited = {name: os.environ[name] for name in _HANDED_DOWN if name in os.environ}
        supervisor = os.getpid()
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=environment(inherited),
                    start_new_session=True,
                    preexec_fn=lambda: _end_with(supervisor),
                )
            self._since = now
        except OSError as failure:
            sys.stderr.write(f"{self.name}: cannot be started: {failure}\n")
            self._wait_longer(now)

    def _buried(self, now: float) -> None:
        assert self._process is not None
        self._last_exit = self._process.returncode
        sys.stderr.write(f"{self.name}: process {self._process.pid} ended ({self._last_exit})\n")
        sys.stderr.flush()
        self._process = self._kill_at = None
        if now - self._since >= STEADY_AFTER:
            self._pause = FIRST_PAUSE
        self._wait_longer(now)

    def _wait_longer(self, now: float) -> None:
        self._start_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


def _end_with(supervisor: int) -> None:
    """In the new process: SIGTERM when the supervisor ends, however it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != supervisor:
        os._exit(1)
