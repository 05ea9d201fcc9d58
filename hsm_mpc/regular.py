"""Regular files outside of a store: never a pipe that waits, never half of what was written."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsm_mpc.errors import BadInput, HsmMpcError


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
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        raise BadInput(f"{path}: not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(cap + 1)
    if len(content) > cap:
        raise BadInput(f"{path}: larger than {cap} bytes")
    return content, state


@contextmanager
def alone_in(folder: Path, failure: type[HsmMpcError]) -> Iterator[None]:
    """One after another does what the body does there, of all that ask for it so.

    Raises:
        HsmMpcError: of the class `failure`: there is no such folder.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as missing:
        raise failure(f"{folder}: {missing.strerror}") from missing
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_private(path: Path, content: bytes) -> None:
    """Put a file (0600) with `content` in the place of `path`: whole, or it is the one before.

    Raises: OSError.
    """
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)


def replace_durably(path: Path, content: bytes) -> None:
    """`replace_private`, which the machine does not forget. Raises: OSError."""
    replace_private(path, content)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
