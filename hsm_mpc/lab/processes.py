"""Processes of a lab: how they are started, and how a remembered one is known again."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.lab.folder import write_private

_ENDED: Final = "ZX"
"""States of a process that has ended, and was not buried yet."""
_START_TIME: Final = 19
"""Field 22 of /proc/PID/stat, counted from behind the name."""


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process, and since when: a pid alone is given to another one some day."""

    pid: int
    started: int
    """Clock ticks since this boot."""
    boot: str

    @classmethod
    def this(cls) -> RunningProcess:
        """The calling process."""
        return cls(os.getpid(), _started(os.getpid()) or 0, _boot())

    @classmethod
    def remembered(cls, file: Path) -> RunningProcess | None:
        """The process that a file names, if it still runs."""
        try:
            document = json.loads(file.read_text("utf-8"))
            process = cls(int(document["pid"]), int(document["started"]), str(document["boot"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return process if process.runs() else None

    def remember(self, file: Path) -> None:
        """Write the file that `remembered` reads."""
        write_private(file, json.dumps(asdict(self)))

    def runs(self) -> bool:
        """Whether it has not ended."""
        return _boot() == self.boot and _started(self.pid) == self.started

    def end(self, number: signal.Signals, patience: float) -> bool:
        """Send a signal and wait up to `patience` seconds; whether it has ended.

        The descriptor keeps the pid from being given away between look and signal.
        """
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.runs():
                return True
            signal.pidfd_send_signal(descriptor, number)
            return bool(select.select([descriptor], [], [], patience)[0])
        except ProcessLookupError:
            return True
        finally:
            os.close(descriptor)


def descendants(pid: int) -> dict[int, str]:
    """The children of a process and theirs, as they are now: the name of each, of at most 15 bytes.

    Who was left behind by a parent that ended is none of them.
    """
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            stat = (folder / "stat").read_text("ascii", "replace")
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state not in _ENDED:
                parents[int(folder.name)] = int(parent)
                names[int(folder.name)] = stat.partition("(")[2].rpartition(")")[0]
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        above = waiting.pop()
        below = [child for child, parent in parents.items() if parent == above]
        found |= {child: names[child] for child in below}
        waiting += below
    return found


def command(*arguments: str) -> list[str]:
    """`hsm-mpc ARGUMENTS` by this very Python."""
    return [sys.executable, "-P", "-m", "hsm_mpc.cli.main", *arguments]


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """What a process gets: imports from where this one does, and no second start for LD_BIND_NOW.

    Args:
        inherited: variables that it shall have besides.
    """
    folders = [folder for folder in sys.path if os.path.isabs(folder)]
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(folders),
        "LD_BIND_NOW": "1",
        "LANG": "C.UTF-8",
    }


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def _started(pid: int) -> int | None:
    """When a process started; None if there is none, or only what its parent has not looked at."""
    try:
        behind_name = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2]
    except OSError:
        return None
    fields = behind_name.split()
    return None if fields[0] in _ENDED else int(fields[_START_TIME])
