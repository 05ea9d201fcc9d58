"""Durable files: what was reported as written survives a crash, and is seen whole or not at all.

Every write (6.2): a temporary file in the same folder, fsync, a link or a rename, fsync of the
folder. Every part of a write is a named step (`<object>.<verb>`); the functions `steps_of_*` list
the names in their order. Nothing here takes a lock: there is one writer per store (store/lock.py).

Each function raises `BackendError` where the disk fails (retryable when it is full, read-only or
reports an input/output error; the old state is then untouched) and, where it looks at an entry,
`Tampered` for a symbolic link, another owner or another mode.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hsm_mpc.errors import BackendError, NameTaken, Tampered
from hsm_mpc.steps import step

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_TEMPORARY = ".tmp-"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MAY_PASS = _FULL | {errno.EIO, errno.EROFS}

SWEEP_STEP = "temporary.sweep"


def steps_of_folder(name: str) -> tuple[str, ...]:
    """The durable steps of `create_folder`."""
    return f"{name}.make", f"{name}.sync"


def steps_of_new(name: str) -> tuple[str, ...]:
    """The durable steps of `write_new`."""
    return f"{name}.write", f"{name}.link", f"{name}.tidy", f"{name}.sync"


def steps_of_replace(name: str) -> tuple[str, ...]:
    """The durable steps of `replace`."""
    return f"{name}.write", f"{name}.rename", f"{name}.sync"


def steps_of_remove(name: str) -> tuple[str, ...]:
    """The durable steps of `remove`."""
    return f"{name}.unlink", f"{name}.unlink-sync"


def steps_of_remove_folder(name: str) -> tuple[str, ...]:
    """The durable steps of `remove_folder`."""
    return f"{name}.hide", f"{name}.hide-sync", f"{name}.empty"


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn an `OSError` of the body into a `BackendError` that says what was being done."""
    try:
        yield
    except OSError as error:
        code = error.errno or 0
        what = "disk full" if code in _FULL else f"disk error {errno.errorcode.get(code, code)}"
        raise BackendError(f"{what}: {doing}", retryable=code in _MAY_PASS) from error


def create_folder(path: Path, name: str) -> None:
    """Make `path` (0700) unless it is there, and make its entry durable.

    Steps: `steps_of_folder(name)`. Raises: BackendError, Tampered.
    """
    with disk_errors(f"making {path}"):
        with step(f"{name}.make"), suppress(FileExistsError):
            path.mkdir(mode=FOLDER_MODE)
            path.chmod(FOLDER_MODE)  # whatever the umask, or a bit that the parent hands down
        check_folder(path)
        with step(f"{name}.sync"):
            sync_folder(path.parent)


def write_new(path: Path, content: bytes, name: str) -> None:
    """Create `path` (0600) with `content`; never writes over anything.

    Steps: `steps_of_new(name)`. Raises: BackendError, NameTaken.
    """
    with disk_errors(f"writing {path}"):
        temporary = _write_temporary(path.parent, content, name)
        try:
            with step(f"{name}.link"):
                os.link(temporary, path, follow_symlinks=False)
        except FileExistsError as error:
            raise NameTaken(f"{path} exists already") from error
        finally:
            with step(f"{name}.tidy"):
                temporary.unlink()
        with step(f"{name}.sync"):
            sync_folder(path.parent)


def replace(path: Path, content: bytes, name: str) -> None:
    """Put a file with `content` (0600) in the place of `path`, whether or not it exists.

    Steps: `steps_of_replace(name)`; the rename is the commit. Raises: BackendError.
    """
    with disk_errors(f"writing {path}"):
        temporary = _write_temporary(path.parent, content, name)
        with step(f"{name}.rename"):
            try:
                temporary.rename(path)
            except OSError:
                temporary.unlink()
                raise
        with step(f"{name}.sync"):
            sync_folder(path.parent)


def remove(path: Path, name: str) -> None:
    """Delete the file `path` if it is there. Steps: `steps_of_remove(name)`."""
    with disk_errors(f"deleting {path}"):
        with step(f"{name}.unlink"):
            path.unlink(missing_ok=True)
        with step(f"{name}.unlink-sync"):
            sync_folder(path.parent)


def remove_folder(path: Path, name: str) -> None:
    """Delete the folder `path` and all in it; the rename to a temporary name is the commit.

    Steps: `steps_of_remove_folder(name)`. Raises: BackendError.
    """
    with disk_errors(f"deleting {path}"):
        hidden = path.parent / _temporary_name()
        with step(f"{name}.hide"):
            path.rename(hidden)
        with step(f"{name}.hide-sync"):
            sync_folder(path.parent)
        with step(f"{name}.empty"):
            shutil.rmtree(hidden)


def read(path: Path, cap: int) -> bytes:
    """The content of a file that must be there, at most `cap` bytes.

    Raises:
        Tampered: missing, not a regular file, of another owner, mode not 0600, or too long.
        BackendError: the disk fails.
    """
    content = read_if_present(path, cap)
    if content is None:
        raise Tampered(f"{path} is missing")
    return content


def read_if_present(path: Path, cap: int) -> bytes | None:
    """As `read`, but None where no such file is."""
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with disk_errors(f"reading {path}"), os.fdopen(descriptor, "rb") as file:
        content = file.read(cap + 1)
    if len(content) > cap:
        raise Tampered(f"{path} is longer than {cap} bytes")
    return content


def open_checked(path: Path, flags: int) -> int:
    """A descriptor (closed on exec) of a file that is as `read` wants it. Raises: as `read`."""
    try:
        return _open(path, flags)
    except FileNotFoundError as error:
        raise Tampered(f"{path} is missing") from error


def present(path: Path) -> bool:
    """Whether there is an entry `path`, of whatever kind. Raises: BackendError."""
    with disk_errors(f"looking at {path}"):
        try:
            path.lstat()
        except FileNotFoundError:
            return False
    return True


def check_folder(path: Path) -> None:
    """Raises: Tampered unless `path` is a folder of our own with mode 0700; BackendError."""
    with disk_errors(f"looking at {path}"):
        try:
            found = path.lstat()
        except FileNotFoundError as error:
            raise Tampered(f"{path} is missing") from error
    _check(path, found, stat.S_ISDIR, "a folder", FOLDER_MODE)


def entries(path: Path) -> tuple[str, ...]:
    """The names in the folder `path`, sorted, without temporary ones.

    Raises: BackendError, Tampered.
    """
    check_folder(path)
    with disk_errors(f"listing {path}"):
        found = sorted(entry.name for entry in path.iterdir())
    return tuple(name for name in found if not name.startswith(_TEMPORARY))


def sweep(path: Path) -> None:
    """Delete what a crash left under temporary names in `path` and in the folders below it.

    Only for the store's one writer, at first. Step: `SWEEP_STEP`. Raises: BackendError, Tampered.
    """
    folders = [path]
    for folder in folders:  # those below are added meanwhile
        check_folder(folder)
        with disk_errors(f"cleaning {folder}"):
            for entry in sorted(folder.iterdir()):
                is_folder = stat.S_ISDIR(entry.lstat().st_mode)
                if entry.name.startswith(_TEMPORARY):
                    with step(SWEEP_STEP):
                        shutil.rmtree(entry) if is_folder else entry.unlink()
                elif is_folder:
                    folders.append(entry)


def sync_folder(path: Path) -> None:
    """Make the names in the folder `path` durable. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of `content` at `offset`. Raises: OSError."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written


def _temporary_name() -> str:
    return _TEMPORARY + secrets.token_hex(8)


def _write_temporary(folder: Path, content: bytes, name: str) -> Path:
    """A new durable file in `folder`; gone again when it cannot be written whole."""
    path = folder / _temporary_name()
    with step(f"{name}.write"):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(descriptor, FILE_MODE)  # whatever the umask
            write_all(descriptor, content, 0)
            os.fsync(descriptor)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
    return path


def _open(path: Path, flags: int) -> int:
    """As `open_checked`, but FileNotFoundError where no such file is."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, mode=FILE_MODE)
    except FileNotFoundError:
        raise
    except OSError:
        with disk_errors(f"opening {path}"):
            _check(path, path.lstat(), stat.S_ISREG, "a regular file", FILE_MODE)
            raise
    try:
        _check(path, os.fstat(descriptor), stat.S_ISREG, "a regular file", FILE_MODE)
    except Tampered:
        os.close(descriptor)
        raise
    return descriptor


def _check(
    path: Path, found: os.stat_result, is_kind: Callable[[int], bool], kind: str, mode: int
) -> None:
    """Raises: Tampered, with the mend, unless the entry is of this kind, ours, and of this mode."""
    if not is_kind(found.st_mode):
        raise Tampered(f"{path} is not {kind}")
    if found.st_uid != os.geteuid():
        raise Tampered(
            f"{path} belongs to user {found.st_uid}, must belong to user {os.geteuid()}: "
            f"chown {os.geteuid()} {path}"
        )
    if stat.S_IMODE(found.st_mode) != mode:
        raise Tampered(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, must have {mode:04o}: "
            f"chmod {mode:04o} {path}"
        )
