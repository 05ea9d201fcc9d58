"""One process per store."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from hsm_mpc.errors import BackendError
from hsm_mpc.store import files

_PID_WIDTH = 20


class StoreLock:
    """Held from `take` to `release` or to the end of the process, however that ends.

    The file stays; it holds the pid of the last owner as text. Its folder is locked too: people
    delete lock files. Both descriptors are closed on exec, but a forked child shares the lock for
    as long as it lives.
    """

    __slots__ = ("_held",)

    def __init__(self, held: ExitStack) -> None:
        """Takes over what closes the descriptors. Use `take`."""
        self._held = held

    @classmethod
    def take(cls, path: Path) -> StoreLock:
        """Lock the file `path`, which is created when it is missing.

        Raises:
            BackendError: another process has it (retryable; its pid is named), or the disk fails.
            Tampered: the file is not ours alone (files.open_checked).
        """
        with ExitStack() as undo:
            file = files.open_checked(path, os.O_RDWR | os.O_CREAT)
            undo.callback(os.close, file)
            with files.disk_errors(f"locking {path}"):
                folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                undo.callback(os.close, folder)
                for descriptor in (folder, file):
                    _lock(descriptor, file, path)
                files.write_all(file, f"{os.getpid():<{_PID_WIDTH}}".encode("ascii"), 0)
            return cls(undo.pop_all())

    def release(self) -> None:
        """Let others in."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _lock(descriptor: int, file: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.pread(file, _PID_WIDTH, 0).decode("ascii", "replace").strip()
        owner = f"process {pid}" if pid else "another process"
        raise BackendError(f"{path.parent} is in use by {owner}") from error
