"""Unix sockets on disk: whether somebody listens at one, and what a dead process left behind."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hsm_mpc.errors import BackendError, BadConfig

_LONGEST_WAIT: Final = 1.0
"""Seconds."""


def clear_stale(path: Path) -> None:
    """Remove a socket at `path` at which nobody listens; without one, do nothing.

    Raises:
        BackendError: a process listens there, or the folder cannot be used.
        BadConfig: what lies there is no socket.
    """
    try:
        state = path.lstat()
    except FileNotFoundError:
        return
    except OSError as failure:
        raise BackendError(f"socket {path}: {failure.strerror}", retryable=False) from failure
    if not stat.S_ISSOCK(state.st_mode):
        raise BadConfig(f"{path} is there and is no socket: name another path")
    if somebody_listens(path):
        raise BackendError(f"another process listens at {path}", retryable=False)
    path.unlink(missing_ok=True)


def somebody_listens(path: Path) -> bool:
    """Whether there is a process behind the socket at `path`, even one that is too busy."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_LONGEST_WAIT)
        try:
            with short_name(path) as name:
                probe.connect(name)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """Another name of `path`, as a socket's address has room for 107 bytes only.

    Raises:
        FileNotFoundError: its folder is not there.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
