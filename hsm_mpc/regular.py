"""Reading a file that somebody named: never a pipe that waits, never more than was asked for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hsm_mpc.errors import BadInput


def read_regular(path: Path, cap: int) -> tuple[bytes, os.stat_result]:
    """The content of a regular file of at most `cap` bytes, and the state it was read in.

    Raises:
        BadInput: it cannot be opened, is no regular file, or is larger.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as failure:
        raise BadInput(f"{path}: {failure.strerror}") from failure
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise BadInput(f"{path}: not a regular file")
        content = file.read(cap + 1)
    if len(content) > cap:
        raise BadInput(f"{path}: larger than {cap} bytes")
    return content, state
