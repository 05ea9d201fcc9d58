"""Where a lab's holder finds its token: some kinds bring a process along, which the signer has."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import Final

from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.lab.folder import LabFolder

_ENTERED: Final = "HSM_MPC_INSIDE"
"""Tells the program that was executed anew that it has arrived."""


def enter(config_path: Path) -> None:
    """Execute this program again where the token of a lab's holder can be reached.

    Nothing happens outside of a lab, for tokens that need no such place, and while somebody has the
    holder's store: two at once on one token would not see each other there.
    """
    folder = config_path.absolute().parent
    if os.environ.get(_ENTERED) == str(folder) or _is_in_use(folder):
        return
    try:
        state = LabFolder(folder.parent).load()
        before = state.kind(folder.name).before(folder)
    except (BadInput, Tampered, ValueError):  # no lab's, or no holder's folder
        return
    if before:
        sys.stdout.flush()
        sys.stderr.flush()
        command = [*before, sys.executable, *sys.orig_argv[1:]]
        os.execve(command[0], command, {**os.environ, _ENTERED: str(folder)})


def _is_in_use(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / "store" / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
