"""One process per store."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from hsm_mpc.errors import BackendError
from hsm_mpc.store import files

_PID_WIDTH = 20


class StoreLock:
    """Held from `take` to `release` or to the end of the process, however that ends.

    The file stays; it holds the pid of the last owner as text. The descriptor is closed on exec,
    but a forked child shares the lock for as long as it lives.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> StoreLock:
        """Lock the file `path`, which is created when it is missing.

        Raises:
            BackendError: another process has it (retryable; its pid is named), or the disk fails.
            Tampered: the file is not ours alone (files.open_checked).
        """
        descriptor = files.open_checked(path, os.O_RDWR | os.O_CREAT)
        try:
            with files.disk_errors(f"locking {path}"):
                _lock(descriptor, path)
                files.write_all(descriptor, f"{os.getpid():<{_PID_WIDTH}}".encode("ascii"), 0)
        except BackendError:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Let others in."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.pread(descriptor, _PID_WIDTH, 0).decode("ascii", "replace").strip()
        owner = f"process {pid}" if pid else "another process"
        raise BackendError(f"{path.parent} is in use by {owner}") from error
