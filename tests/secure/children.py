"""Forked children in which a test may crash, drop privileges or lower limits."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import warnings
from collections.abc import Callable

NOBODY = 65534


def fate_of(action: Callable[[], object]) -> str:
    """How a forked child ends that runs `action`: "SIGSEGV", or the text that it returned.

    An exception gives its type and its text. A child that hangs ends as "SIGALRM".
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # From 3.12 on Python warns of other threads, such as those of pytest-xdist.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reader)
        _run_and_exit(action, writer)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else said


def _run_and_exit(action: Callable[[], object], writer: int) -> None:
    try:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        try:
            said = str(action())
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
    finally:
        os._exit(0)


def become_nobody() -> None:
    """Give up root for good, where we have it: root is above every limit."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
