"""A child of ours with a terminal of its own is asked for its PIN, and interrupted."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ASKING = """
import os, signal, sys
for number in (signal.SIGQUIT, signal.SIGHUP):  # ignored by what a shell or nohup starts
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.open(sys.argv[1], os.O_RDWR)  # the first terminal that a session leader opens becomes its own
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.secure.arena import Arena, publish
source = PinSource.parse("prompt")
assert source.fingerprint() is None
try:
    pin = source.read(Arena(16 * 1024), "PIN of token x: ")
    assert pin.fingerprint is None
    print("got", publish(pin.secret), flush=True)
except BaseException as error:
    print(type(error).__name__, error, flush=True)
    raise
"""


class Terminal:
    """The keyboard and screen of a child that asks for a PIN."""

    def __init__(self) -> None:
        self.keyboard, self.line = os.openpty()
        self.screen = b""
        self.child = subprocess.Popen(
            [sys.executable, "-c", ASKING, os.ttyname(self.line)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=ROOT,
        )

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.line)[3] & termios.ECHO)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        stop = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < stop, self.screen
            if select.select([self.keyboard], [], [], 0.01)[0]:
                self.screen += os.read(self.keyboard, 4096)

    def asked(self, times: int = 1) -> None:
        self.wait_for(lambda: self.screen.count(b"PIN of token x: ") == times)

    def type(self, text: bytes) -> None:
        os.write(self.keyboard, text)

    def end(self) -> tuple[int, str]:
        out, _ = self.child.communicate(timeout=20)
        while select.select([self.keyboard], [], [], 0.05)[0]:
            self.screen += os.read(self.keyboard, 4096)
        return self.child.returncode, out.decode()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.child.kill()
    made.child.wait()
    assert made.child.stdout is not None
    made.child.stdout.close()
    os.close(made.keyboard)
    os.close(made.line)


def test_a_typed_pin_is_not_shown_and_the_echo_comes_back(terminal: Terminal) -> None:
    terminal.asked()
    assert not terminal.echoes()
    terminal.type(b"secret 1234\n")
    assert terminal.end() == (0, "got b'secret 1234'\n")
    assert terminal.echoes()
    assert re.fullmatch(rb"PIN of token x: \r?\n", terminal.screen)


def test_an_end_of_input_is_no_pin(terminal: Terminal) -> None:
    terminal.asked()
    terminal.type(b"\x04")
    assert terminal.end() == (1, "BadConfig PIN: 1 to 255 bytes are wanted\n")
    assert terminal.echoes()


def test_a_line_that_is_too_long_is_no_pin(terminal: Terminal) -> None:
    terminal.asked()
    terminal.type(300 * b"1" + b"\n")
    assert terminal.end() == (1, "BadConfig PIN: 1 to 255 bytes are wanted\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_ends_the_process_gets_the_echo_back_first(
    terminal: Terminal, number: signal.Signals
) -> None:
    terminal.asked()
    assert not terminal.echoes()
    terminal.child.send_signal(number)
    assert terminal.end() == (-number, "")
    assert terminal.echoes()


def test_an_interrupt_from_the_keyboard_gets_the_echo_back_first(terminal: Terminal) -> None:
    terminal.asked()
    terminal.type(b"\x03")
    code, said = terminal.end()
    assert said == "KeyboardInterrupt \n"
    assert code == -signal.SIGINT
    assert terminal.echoes()


def test_who_comes_back_from_a_stop_is_asked_again(terminal: Terminal) -> None:
    terminal.asked()
    terminal.child.send_signal(signal.SIGTSTP)  # no shell is there: it goes on at once
    terminal.asked(times=2)
    assert not terminal.echoes()
    terminal.type(b"1234\n")
    assert terminal.end() == (0, "got b'1234'\n")
    assert terminal.echoes()
