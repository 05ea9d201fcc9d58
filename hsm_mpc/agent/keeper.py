"""Starts the front, starts it again when it dies, and ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.agent.workers import Link, Workers
from hsm_mpc.errors import BackendError

FRONT_MODULE: Final = "hsm_mpc.agent.front"

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 10.0
"""Seconds between the death of a front and the start of the next; they double each time."""
LONGEST_START: Final = 20.0
"""Seconds that a front has to come to listen."""
STEADY_AFTER: Final = 10.0
"""Seconds after which a front counts as one that works, and the pause is short again."""
LOOKS: Final = 1.0
"""Seconds between two looks after a front that runs."""
_PATIENCE: Final = 3.0
"""Seconds that a front has to end by itself."""

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FrontUser:
    """Numbers of a user of the front's own, and of that user's group."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class FrontPlace:
    """Where a front listens, and as whom."""

    socket: Path
    group: int | None = None
    """Number of a group whose members may dial, too."""
    user: FrontUser | None = None
    """None: the signer's user. Under Landlock it is either way, where the kernel has it."""

    def command(self, descriptor: int) -> list[str]:
        """The program and its arguments. None of them is secret."""
        group = "-" if self.group is None else str(self.group)
        return [
            *(sys.executable, "-P", "-s", "-B", "-m", FRONT_MODULE),
            *(str(descriptor), str(os.getpid()), str(self.socket), group),
        ]


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    link: Link
    since: float

    def is_useless(self, now: float) -> bool:
        """Its link is lost, or it took too long to listen."""
        late = now - self.since > LONGEST_START and not self.link.listening.is_set()
        return late or self.link.lost.is_set()


class FrontKeeper:
    """One front at a time, in a process of its own. Used by the main thread, but for two questions.

    The front is told to end by the kernel when the thread that started it ends (PR_SET_PDEATHSIG):
    this must be the thread that lives as long as the signer.

    `ticks` is seconds of a clock that only runs forward.
    """

    def __init__(
        self, place: FrontPlace, workers: Workers, ticks: Callable[[], float], log: Log
    ) -> None:
        self._place = place
        self._workers = workers
        self._ticks = ticks
        self._log = log
        self._running: _Running | None = None
        self._pause = FIRST_PAUSE
        self._start_at = 0.0

    @property
    def pid(self) -> int | None:
        """The front's process, if there is one. Any thread may ask."""
        running = self._running
        return None if running is None else running.process.pid

    @property
    def listens(self) -> bool:
        """Whether there is a front that takes calls. Any thread may ask."""
        running = self._running
        return running is not None and running.link.listening.is_set()

    def start(self) -> None:
        """Start a front.

        Raises:
            BackendError: the program cannot be started, or not as the configured user.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = self._spawned(theirs.fileno())
            except (OSError, subprocess.SubprocessError) as failure:
                ours.close()
                raise BackendError(f"cannot start the front: {failure}") from failure
        link = Link(ours)
        self._running = _Running(process, link, self._ticks())
        self._workers.serve(link)

    def look_after(self) -> float:
        """Start the front again if it died and its time has come; seconds until the next look."""
        now = self._ticks()
        running = self._running
        if running is not None and running.is_useless(now):
            running.process.kill()
        if running is not None and running.process.poll() is not None:
            self._buried(running, now)
        if self._running is None and now >= self._start_at:
            self._try_to_start(now)
        return LOOKS if self._running else min(LOOKS, max(0.0, self._start_at - now))

    def require_running(self) -> None:
        """While the first front is waited for.

        Raises:
            BackendError: it ended; its own message went to stderr.
        """
        if self._running is None or self._running.process.poll() is not None:
            code = None if self._running is None else self._running.process.returncode
            raise BackendError(
                f"the front ended before it listened (exit code {code}); it says above why",
                retryable=False,
            )

    def end(self) -> None:
        """End the front: asked first, then killed. What it listened at goes."""
        running, self._running = self._running, None
        if running is None:
            return
        running.process.send_signal(signal.SIGTERM)
        try:
            running.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()
            self._place.socket.unlink(missing_ok=True)
        running.link.cut()

    def _spawned(self, descriptor: int) -> subprocess.Popen[bytes]:
        """Nothing of the signer's is handed down but one end of a socket pair, and stderr."""
        place, user = self._place, self._place.user
        groups = None if user is None else [] if place.group is None else [place.group]
        return subprocess.Popen(
            place.command(descriptor),
            pass_fds=(descriptor,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env=environment(),
            start_new_session=True,
            user=None if user is None else user.uid,
            group=None if user is None else user.gid,
            extra_groups=groups,
        )

    def _try_to_start(self, now: float) -> None:
        try:
            self.start()
        except BackendError as failure:
            self._log(str(failure))
            self._wait_longer(now)

    def _buried(self, running: _Running, now: float) -> None:
        running.link.cut()
        self._running = None
        if now - running.since >= STEADY_AFTER:
            self._pause = FIRST_PAUSE
        self._log(
            f"front {running.process.pid} ended ({running.process.returncode}); "
            f"the next one in {self._pause:g} s"
        )
        self._wait_longer(now)

    def _wait_longer(self, now: float) -> None:
        self._start_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


def environment() -> dict[str, str]:
    """All that a front gets to know: where the signer itself imports from, in that order."""
    folders = [folder for folder in sys.path if os.path.isabs(folder)]
    return {"PYTHONPATH": os.pathsep.join(folders), "LANG": "C.UTF-8"}
