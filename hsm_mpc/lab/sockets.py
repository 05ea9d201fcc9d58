"""Where a lab's processes listen: a short private folder, as a socket's path has 107 bytes."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

_PREFIX: Final = "hsm-mpc-"
_LONGEST_PARENT: Final = 60
"""Bytes; what follows is `/hsm-mpc-xxxxxxxx/NAME/front.sock`, with a name as labs have it."""
_SHORT: Final = Path("/tmp")


def prepare(known: str) -> Path:
    """The folder that was used before, if it can be had again, else another one."""
    if known:
        folder = Path(known)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            pass
        except OSError:
            return _new()
        if _is_ours(folder):
            return folder
    return _new()


def remove(known: str) -> None:
    """The folder with all sockets, if it is ours."""
    folder = Path(known)
    if known and folder.name.startswith(_PREFIX) and _is_ours(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _new() -> Path:
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_parent()))


def _parent() -> Path:
    """$XDG_RUNTIME_DIR where it can be used, else the folder of temporary files, if short."""
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    for candidate in (named, tempfile.gettempdir()):
        short = 0 < len(os.fsencode(candidate)) <= _LONGEST_PARENT
        if short and os.path.isabs(candidate) and os.access(candidate, os.W_OK | os.X_OK):
            return Path(candidate)
    return _SHORT


def _is_ours(folder: Path) -> bool:
    """A folder of this user that nobody else may enter: not one that somebody put there."""
    try:
        state = folder.lstat()
    except OSError:
        return False
    private = stat.S_IMODE(state.st_mode) & 0o077 == 0
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and private


def front(sockets: Path, name: str) -> Path:
    """Where a holder's front listens: in a folder of its own."""
    return sockets / name / "front.sock"


def coordinator(sockets: Path) -> Path:
    """Where clients dial."""
    return sockets / "coordinator.sock"


def supervisor(sockets: Path) -> Path:
    """Where the lab's verbs dial."""
    return sockets / "supervisor.sock"
