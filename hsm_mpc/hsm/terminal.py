"""Asking at the terminal without echo, which comes back whatever happens meanwhile."""

from __future__ import annotations

import os
import select
import signal
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from hsm_mpc.errors import BadConfig

TERMINAL: Final = "/dev/tty"

_INTERRUPTIONS: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGTSTP,
)

_Answer = TypeVar("_Answer")


def asked(question: str, read: Callable[[int], _Answer]) -> _Answer:
    """What `read` makes of the terminal's descriptor once a line was typed. Main thread only.

    A signal first gets the terminal its echo back, then takes its ordinary course; who comes back
    from it (a stop, say) is asked again.

    Raises:
        BadConfig: there is no terminal.
    """
    try:
        tty = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise BadConfig("no terminal to ask for a PIN at") from error
    try:
        while True:
            with _held_back() as interruptions:
                answers = _answers(tty, question, read, interruptions)
                came = _signals(interruptions)
            for number in came:
                os.kill(os.getpid(), number)
            if answers:
                return answers[0]
    finally:
        os.close(tty)


def _answers(
    tty: int, question: str, read: Callable[[int], _Answer], interruptions: int
) -> list[_Answer]:
    """One answer, or none if a signal came first."""
    before = termios.tcgetattr(tty)
    quiet = termios.tcgetattr(tty)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(tty, termios.TCSAFLUSH, quiet)
    try:
        os.write(tty, question.encode())
        ready = select.select([tty, interruptions], [], [])[0]
        return [] if interruptions in ready else [read(tty)]
    finally:
        termios.tcsetattr(tty, termios.TCSAFLUSH, before)
        os.write(tty, b"\n")


@contextmanager
def _held_back() -> Iterator[int]:
    """A descriptor at which the numbers of signals can be read that came meanwhile."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, lambda *_: None) for number in _INTERRUPTIONS}
    woken_before = signal.set_wakeup_fd(writer)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(woken_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _signals(interruptions: int) -> bytes:
    try:
        return os.read(interruptions, 64)
    except BlockingIOError:
        return b""
