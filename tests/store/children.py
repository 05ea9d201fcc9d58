"""Code that runs in a forked child: to be killed, to be another user, to have a small disk."""

from __future__ import annotations

import ctypes
import os
import signal
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_NO_PRIVILEGE = 77


def in_child(work: Callable[[], None]) -> None:
    """Run `work` in a child process; what fails there fails here."""
    status = _wait(_fork(work))
    assert status == 0, f"the child ended with {status}"


def killed(work: Callable[[], None]) -> bool:
    """Run `work` in a child process; whether SIGKILL ended it. An exception there fails here."""
    status = _wait(_fork(work))
    assert status in (0, -signal.SIGKILL), f"the child ended with {status}"
    return status == -signal.SIGKILL


def on_small_disk(mount_point: Path, work: Callable[[], None]) -> bool:
    """Run `work` in a child that sees 64 KiB of fresh tmpfs at `mount_point`.

    False where this machine lets nobody mount.
    """

    def mount_and_work() -> None:
        libc = ctypes.CDLL(None)
        user, group = os.geteuid(), os.getegid()
        if libc.unshare(_CLONE_NEWNS if user == 0 else _CLONE_NEWNS | _CLONE_NEWUSER):
            os._exit(_NO_PRIVILEGE)
        if user != 0:
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None):
            os._exit(_NO_PRIVILEGE)
        if libc.mount(b"tmpfs", bytes(mount_point), b"tmpfs", 0, b"size=64k,mode=0700"):
            os._exit(_NO_PRIVILEGE)
        work()

    status = _wait(_fork(mount_and_work))
    assert status in (0, _NO_PRIVILEGE), f"the child ended with {status}"
    return status == 0


def _fork(work: Callable[[], None]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a test runner may have threads
        child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def _wait(child: int) -> int:
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
