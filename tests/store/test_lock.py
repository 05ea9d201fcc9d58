"""store/lock.py: one process per store."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError, Tampered
from hsm_mpc.store.lock import StoreLock
from tests.store.children import in_child, killed


def test_a_second_process_is_told_who_has_the_store(folder: Path) -> None:
    def second() -> None:
        with pytest.raises(
            BackendError, match=f"{folder} is in use by process {owner}$"
        ) as refusal:
            StoreLock.take(folder / "lock")
        assert refusal.value.retryable

    owner = os.getpid()
    with StoreLock.take(folder / "lock"):
        in_child(second)


def test_an_owner_that_has_not_written_its_pid_yet_is_another_process(folder: Path) -> None:
    with StoreLock.take(folder / "lock"):
        (folder / "lock").write_bytes(b"")
        with pytest.raises(BackendError, match="in use by another process"):
            StoreLock.take(folder / "lock")


def test_a_released_lock_can_be_taken_again(folder: Path) -> None:
    with StoreLock.take(folder / "lock"):
        pass
    StoreLock.take(folder / "lock").release()


def test_deleting_the_lock_file_lets_nobody_in(folder: Path) -> None:
    with StoreLock.take(folder / "lock"):
        (folder / "lock").unlink()
        with pytest.raises(BackendError, match="in use by another process") as refusal:
            StoreLock.take(folder / "lock")
        assert refusal.value.retryable
    StoreLock.take(folder / "lock").release()


def test_the_lock_file_by_itself_keeps_others_out(folder: Path) -> None:
    """Of another machine that has mounted the folder, only this lock is seen."""
    with (folder / "lock").open("xb") as file:
        (folder / "lock").chmod(0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BackendError, match="in use by another process"):
            StoreLock.take(folder / "lock")


def test_the_lock_ends_with_its_process(folder: Path) -> None:
    def die_with_the_lock() -> None:
        StoreLock.take(folder / "lock")
        os.kill(os.getpid(), 9)

    assert killed(die_with_the_lock)
    with StoreLock.take(folder / "lock"):
        assert int((folder / "lock").read_text()) == os.getpid()


def test_a_program_that_is_started_does_not_hold_the_lock(folder: Path) -> None:
    lock = StoreLock.take(folder / "lock")
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"\n"  # it runs: what closes on exec is closed
        lock.release()
        StoreLock.take(folder / "lock").release()
        assert program.poll() is None
        program.communicate(b"\n")


def test_a_lock_file_with_another_mode_is_refused(folder: Path) -> None:
    (folder / "lock").touch(mode=0o644)
    (folder / "lock").chmod(0o644)
    with pytest.raises(Tampered, match="0644"):
        StoreLock.take(folder / "lock")


def test_a_refused_lock_leaves_no_descriptor_open(folder: Path) -> None:
    with StoreLock.take(folder / "lock"):
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(BackendError):
            StoreLock.take(folder / "lock")
        assert len(os.listdir("/proc/self/fd")) == before
