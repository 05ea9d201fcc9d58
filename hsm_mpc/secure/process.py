"""Hardening of a process that opens secrets.

What each measure closes was measured: lazy binding saved vector registers with key bytes in them to
the stack; a signal frame did the same; a dumpable process is readable by any process of its user.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import Final, TypeVar

from hsm_mpc.errors import BackendError

_PR_SET_DUMPABLE: Final = 4
_PR_GET_DUMPABLE: Final = 3
_PR_SET_NO_NEW_PRIVS: Final = 38

_libc = ctypes.CDLL(None, use_errno=True)
_thread = threading.local()
_Result = TypeVar("_Result")


@cache
def started_with_bind_now() -> bool:
    """Whether the dynamic linker resolved all symbols at start: LD_BIND_NOW was set, not empty."""
    try:
        with open("/proc/self/environ", "rb") as environment:  # os.environ may have been changed
            return re.search(rb"(^|\0)LD_BIND_NOW=[^\0]", environment.read()) is not None
    except PermissionError:  # undumpable from the start: then this file belongs to root
        return bool(os.environ.get("LD_BIND_NOW"))


def bind_now() -> None:
    """Execute this same program again with LD_BIND_NOW=1, unless it was started so."""
    if not started_with_bind_now():
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "LD_BIND_NOW": "1"})


def is_hardened() -> bool:
    """Whether no process of this user may read this one, and no core is written."""
    return bool(_libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0) and (
        resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
    )


def harden() -> None:
    """No core dump, no ptrace by others of the same user, no new privileges. After dropping uid.

    Raises:
        BackendError: the process was not started with LD_BIND_NOW=1, or the kernel refuses.
    """
    if not started_with_bind_now():
        raise BackendError(
            "a process that opens secrets starts with LD_BIND_NOW=1", retryable=False
        )
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if _libc.prctl(option, value, 0, 0, 0):
            code = ctypes.get_errno()
            raise BackendError(f"prctl({option}): {os.strerror(code)}", retryable=False)


def shield_this_thread() -> None:
    """Block all signals in this thread for good: no signal frame can hold a secret register."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    _thread.shielded = True


def require_shielded() -> None:
    """Refuse to go on where a signal could spill registers.

    Raises:
        BackendError: neither `run_shielded` nor `shield_this_thread` made this thread safe.
    """
    if not getattr(_thread, "shielded", False):
        raise BackendError("secrets are opened only on a shielded thread", retryable=False)


def run_shielded(work: Callable[[], _Result]) -> _Result:
    """Run `work` on a thread of its own with all signals blocked; its result or its exception."""
    results: list[_Result] = []
    failures: list[BaseException] = []

    def body() -> None:
        shield_this_thread()
        try:
            results.append(work())
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=body, name="shielded")
    thread.start()
    thread.join()
    if failures:
        try:
            raise failures[0]
        finally:
            failures.clear()  # its traceback holds this frame: no cycle may keep its secrets alive
    return results[0]
