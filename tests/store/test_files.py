"""store/files.py: what is written is durable and whole; what is read is ours alone (6.2)."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError, NameTaken, Tampered
from hsm_mpc.store import files
from tests.named_steps import observed
from tests.store.children import in_child, on_small_disk

Write = Callable[[Path, bytes, str], None]
WRITES = [files.write_new, files.replace]


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_a_written_file_is_0600_whatever_the_umask(folder: Path, write: Write, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(folder / "file", b"content", "file")
    finally:
        os.umask(before)
    assert mode(folder / "file") == 0o600
    assert files.read(folder / "file", 7) == b"content"
    assert os.listdir(folder) == ["file"]


def test_a_made_folder_is_0700_whatever_umask_and_parent(folder: Path) -> None:
    folder.chmod(0o2700)
    before = os.umask(0o277)
    try:
        files.create_folder(folder / "inner", "inner")
    finally:
        os.umask(before)
    assert mode(folder / "inner") == 0o700


def test_making_a_folder_again_changes_nothing(folder: Path) -> None:
    files.create_folder(folder / "inner", "inner")
    files.write_new(folder / "inner" / "file", b"content", "file")
    files.create_folder(folder / "inner", "inner")
    assert files.read(folder / "inner" / "file", 7) == b"content"


def test_a_folder_that_is_there_with_another_mode_is_refused(folder: Path) -> None:
    (folder / "inner").mkdir(mode=0o755)
    with pytest.raises(Tampered, match="0755"):
        files.create_folder(folder / "inner", "inner")


def test_a_new_file_replaces_nothing(folder: Path) -> None:
    files.write_new(folder / "file", b"first", "file")
    with pytest.raises(NameTaken, match="exists already"):
        files.write_new(folder / "file", b"second", "file")
    assert files.read(folder / "file", 10) == b"first"
    assert os.listdir(folder) == ["file"]


def test_replace_puts_the_new_content_in_place(folder: Path) -> None:
    files.replace(folder / "file", b"first", "file")
    files.replace(folder / "file", b"second", "file")
    assert files.read(folder / "file", 10) == b"second"


class Spy:
    """Notes in which order the disk is asked for what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        for name in ("link", "rename", "unlink", "mkdir"):
            monkeypatch.setattr(os, name, self._noting(name, getattr(os, name)))
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def _noting(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def noted(*args: object, **named: object) -> object:
            self.calls.append(name)
            return call(*args, **named)

        return noted

    def fsync(self, descriptor: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"
        self.calls.append(f"sync {kind}")
        self._fsync(descriptor)


def test_the_file_is_durable_before_its_name_and_the_name_before_the_return(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    files.write_new(folder / "file", b"1", "file")
    assert spy.calls == ["sync file", "link", "unlink", "sync folder"]
    spy.calls.clear()
    files.replace(folder / "file", b"2", "file")
    assert spy.calls == ["sync file", "rename", "sync folder"]
    spy.calls.clear()
    files.remove(folder / "file", "file")
    assert spy.calls == ["unlink", "sync folder"]
    spy.calls.clear()
    files.create_folder(folder / "inner", "inner")
    assert spy.calls == ["mkdir", "sync folder"]
    spy.calls.clear()
    files.remove_folder(folder / "inner", "inner")
    assert spy.calls[:2] == ["rename", "sync folder"]


def test_every_part_of_a_write_is_a_named_step(folder: Path) -> None:
    seen: list[str] = []
    with observed(lambda when, name: seen.append(name) if when == "before" else None):
        files.create_folder(folder / "f", "f")
        files.write_new(folder / "f" / "a", b"", "a")
        files.replace(folder / "f" / "b", b"", "b")
        files.remove(folder / "f" / "b", "b")
        files.remove_folder(folder / "f", "f")
    assert tuple(seen) == (
        *files.steps_of_folder("f"),
        *files.steps_of_new("a"),
        *files.steps_of_replace("b"),
        *files.steps_of_remove("b"),
        *files.steps_of_remove_folder("f"),
    )


def test_no_descriptor_stays_open(folder: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    files.write_new(folder / "file", b"content", "file")
    files.read(folder / "file", 7)
    (folder / "file").chmod(0o644)
    with pytest.raises(Tampered):
        files.read(folder / "file", 7)
    assert len(os.listdir("/proc/self/fd")) == before


def test_removing_what_is_not_there_is_no_failure(folder: Path) -> None:
    files.remove(folder / "file", "file")


def test_a_removed_folder_goes_with_all_in_it(folder: Path) -> None:
    files.create_folder(folder / "f", "f")
    files.create_folder(folder / "f" / "g", "g")
    files.write_new(folder / "f" / "g" / "a", b"", "a")
    files.remove_folder(folder / "f", "f")
    assert os.listdir(folder) == []


@pytest.mark.parametrize("found", [0o644, 0o640, 0o400, 0o700, 0o4600])
def test_another_mode_is_named_with_its_mend(folder: Path, found: int) -> None:
    path = folder / "file"
    files.write_new(path, b"content", "file")
    path.chmod(found)
    with pytest.raises(Tampered) as refusal:
        files.read(path, 7)
    for part in (str(path), f"{found:04o}", f"chmod 0600 {path}"):
        assert part in str(refusal.value)


@pytest.mark.parametrize("found", [0o755, 0o750, 0o500, 0o2700])
def test_a_folder_with_another_mode_is_named_with_its_mend(folder: Path, found: int) -> None:
    folder.chmod(found)
    try:
        with pytest.raises(Tampered) as refusal:
            files.entries(folder)
    finally:
        folder.chmod(0o700)
    for part in (f"{found:04o}", f"chmod 0700 {folder}"):
        assert part in str(refusal.value)


def test_a_file_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_new(folder / "file", b"content", "file")
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(Tampered, match=f"must belong to user {stranger}"):
        files.read(folder / "file", 7)


def test_a_symbolic_link_is_refused(folder: Path) -> None:
    files.write_new(folder / "file", b"content", "file")
    (folder / "link").symlink_to(folder / "file")
    with pytest.raises(Tampered, match="link is not a regular file"):
        files.read(folder / "link", 7)


def test_a_linked_folder_is_refused(folder: Path) -> None:
    files.create_folder(folder / "real", "f")
    (folder / "link").symlink_to(folder / "real")
    with pytest.raises(Tampered, match="link is not a folder"):
        files.entries(folder / "link")
    with pytest.raises(Tampered, match="link is not a folder"):
        files.create_folder(folder / "link", "f")


@pytest.mark.parametrize("kind", ["folder", "fifo", "socket"])
def test_what_is_no_file_is_refused_and_never_waited_for(folder: Path, kind: str) -> None:
    path = folder / "it"
    if kind == "folder":
        path.mkdir(mode=0o700)
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    with pytest.raises(Tampered, match="is not a regular file"):
        files.read(path, 7)
    with pytest.raises(Tampered, match="is not a regular file"):
        files.open_checked(path, os.O_RDWR)


def test_a_file_that_its_owner_may_not_read_is_named_with_its_mend(folder: Path) -> None:
    def as_ordinary_user() -> None:
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
        files.write_new(folder / "file", b"content", "file")
        (folder / "file").chmod(0o000)
        with pytest.raises(Tampered, match="chmod 0600"):
            files.read(folder / "file", 7)
        folder.chmod(0o000)
        with pytest.raises(BackendError, match="EACCES"):
            files.read(folder / "file", 7)
        folder.chmod(0o700)

    in_child(as_ordinary_user)


def test_a_file_that_cannot_be_opened_now_is_no_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(errno.EIO, "injected")

    files.write_new(folder / "file", b"content", "file")
    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(BackendError, match="disk error EIO: opening") as failure:
        files.read(folder / "file", 7)
    assert failure.value.retryable


def test_a_file_that_is_too_long_is_refused(folder: Path) -> None:
    files.write_new(folder / "file", b"12345678", "file")
    assert files.read(folder / "file", 8) == b"12345678"
    with pytest.raises(Tampered, match="longer than 7 bytes"):
        files.read(folder / "file", 7)


def test_a_file_that_must_be_there_is_missed(folder: Path) -> None:
    assert files.read_if_present(folder / "file", 7) is None
    with pytest.raises(Tampered, match="file is missing"):
        files.read(folder / "file", 7)
    with pytest.raises(Tampered, match="file is missing"):
        files.open_checked(folder / "file", os.O_RDONLY)
    with pytest.raises(Tampered, match="inner is missing"):
        files.entries(folder / "inner")


def test_entries_are_sorted_and_without_temporary_ones(folder: Path) -> None:
    for name in ("b", "a", ".tmp-0"):
        files.write_new(folder / name, b"", "x")
    assert files.entries(folder) == ("a", "b")


def test_presence_does_not_follow_links(folder: Path) -> None:
    assert not files.present(folder / "link")
    (folder / "link").symlink_to(folder / "nowhere")
    assert files.present(folder / "link")
    files.write_new(folder / "file", b"", "file")
    with pytest.raises(BackendError, match="ENOTDIR"):
        files.present(folder / "file" / "below")


def test_sweeping_removes_leftovers_at_every_depth_and_nothing_else(folder: Path) -> None:
    files.create_folder(folder / "f", "f")
    files.create_folder(folder / ".tmp-1", "f")
    for path in ("a", ".tmp-2", "f/b", "f/.tmp-3", ".tmp-1/c"):
        files.write_new(folder / path, b"", "x")
    files.sweep(folder)
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert left == ["a", "f", "f/b"]


def test_sweeping_goes_as_deep_as_folders_do(folder: Path) -> None:
    chain = [folder]
    for _ in range(sys.getrecursionlimit()):
        chain.append(chain[-1] / "f")
        chain[-1].mkdir(mode=0o700)
    leftover = chain[-1] / ".tmp-1"
    leftover.touch()
    try:
        files.sweep(folder)
        assert not leftover.exists()
    finally:
        leftover.unlink(missing_ok=True)
        for inner in reversed(chain[1:]):
            inner.rmdir()


def test_sweeping_looks_at_the_mode_of_every_folder(folder: Path) -> None:
    (folder / "f").mkdir(mode=0o755)
    with pytest.raises(Tampered, match="0755"):
        files.sweep(folder)


FAILURES = [
    (errno.ENOSPC, "disk full", True),
    (errno.EDQUOT, "disk full", True),
    (errno.EROFS, "disk error EROFS", True),
    (errno.EIO, "disk error EIO", True),
    (errno.EACCES, "disk error EACCES", False),
]


@pytest.mark.parametrize(("code", "text", "retryable"), FAILURES)
@pytest.mark.parametrize(
    ("write", "call"),
    [(write, call) for write in WRITES for call in ("pwrite", "fsync")]
    + [(files.write_new, "link"), (files.replace, "rename")],
)
def test_a_failing_disk_loses_nothing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Write,
    call: str,
    code: int,
    text: str,
    retryable: bool,
) -> None:
    old = b"old" if write is files.replace else None
    if old is not None:
        files.replace(folder / "file", old, "file")

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(BackendError, match=text) as failure:
            write(folder / "file", b"new", "file")
    assert failure.value.retryable is retryable
    assert str(folder / "file") in str(failure.value)
    assert files.read_if_present(folder / "file", 10) == old
    assert not [name for name in os.listdir(folder) if name != "file"]


@pytest.mark.parametrize("write", WRITES)
def test_a_temporary_name_that_is_in_use_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    """Whatever it is, and whatever it links to, is not ours to write over."""
    monkeypatch.setattr(files, "_temporary_name", lambda: ".tmp-taken")
    (folder / ".tmp-taken").write_bytes(b"another's")
    with pytest.raises(BackendError, match="EEXIST"):
        write(folder / "file", b"new", "file")
    assert (folder / ".tmp-taken").read_bytes() == b"another's"
    assert os.listdir(folder) == [".tmp-taken"]


def test_a_short_write_is_continued(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, part, at: whole(fd, bytes(part[:3]), at))
    files.write_new(folder / "file", b"0123456789", "file")
    assert files.read(folder / "file", 10) == b"0123456789"


def test_a_file_size_limit_is_a_full_disk(folder: Path) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        files.write_new(folder / "small", bytes(1000), "file")
        with pytest.raises(BackendError, match="disk full") as failure:
            files.write_new(folder / "large", bytes(1001), "file")
        assert failure.value.retryable
        assert os.listdir(folder) == ["small"]

    in_child(limited)


def test_a_really_full_disk_keeps_the_old_content(folder: Path) -> None:
    def on_64_kib() -> None:
        files.replace(folder / "file", b"old", "file")
        with pytest.raises(BackendError, match="disk full") as failure:
            files.replace(folder / "file", bytes(100_000), "file")
        assert failure.value.retryable
        assert files.read(folder / "file", 10) == b"old"
        assert os.listdir(folder) == ["file"]
        files.replace(folder / "file", b"new", "file")

    if not on_small_disk(folder, on_64_kib):
        pytest.skip("this machine lets nobody mount a small disk")
