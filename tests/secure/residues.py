"""What a process that computed with scalars of Ed25519 left in its memory, looked at from outside.

The work runs in a child; its secrets come to it by shared memory after the fork, so that nothing of
the test's own copies is found. Where it stops, its memory is read.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from nacl._sodium import ffi

ORDER: Final = 2**252 + 27742317777372353535851937790883648493
SHARED_BYTES: Final = 4096
_PAGE: Final = 4096
_EMPTY: Final = bytes(_PAGE)
_LONGEST: Final = 64
"""Bytes of what is looked for."""

Work = Callable[[int, Callable[[], None]], object]
"""`work(address of the shared memory, stop)`; it stops where the test looks."""


def forms(value: int) -> Iterator[bytes]:
    """Parts of a scalar, reduced, in every form that libsodium and Python compute in."""
    value %= ORDER
    encoded = value.to_bytes(32, "little")
    for whole in (encoded, encoded[::-1]):
        yield from (whole[start : start + 8] for start in range(0, 32, 8))
    yield from _pairs(value, 21, 12, "q")  # scalars in libsodium
    yield from _pairs(value, 30, 9, "I")  # Python's integers
    yield from _digits(value)


def _pairs(value: int, bits: int, count: int, kind: str) -> Iterator[bytes]:
    """Limbs side by side, two at a time: one alone is met by accident."""
    limbs = [value >> (bits * place) & ((1 << bits) - 1) for place in range(count)]
    return (struct.pack(f"<2{kind}", *limbs[place : place + 2]) for place in range(count - 1))


def _digits(value: int) -> Iterator[bytes]:
    """The signed half bytes by which libsodium multiplies a point, eight at a time."""
    carry, found = 0, []
    for place in range(64):
        digit = (value >> (4 * place) & 15) + carry
        carry = (digit + 8) >> 4 if place < 63 else 0
        found.append((digit - (carry << 4)) & 255)
    return (bytes(found[place : place + 8]) for place in range(0, 64, 8))


class Watched:
    """A child that runs `work`, and what can be seen of it. `with Watched(work) as child`."""

    def __init__(self, work: Work) -> None:
        self.shared = mmap.mmap(-1, SHARED_BYTES)
        self._address = int(ffi.cast("uintptr_t", ffi.from_buffer(self.shared)))
        ready, self._go = os.pipe()
        with warnings.catch_warnings():
            # From 3.12 on Python warns of other threads, such as those of pytest-xdist.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if self._pid == 0:
            # `stop` is no Python function: each call covers a part of the stack.
            stop = partial(os.kill, os.getpid(), signal.SIGSTOP)
            os.read(ready, 1)
            try:
                work(self._address, stop)
            finally:
                os._exit(0)
        os.close(ready)
        self._started = False
        self._before: dict[int, bytes] = {}

    def __enter__(self) -> Watched:
        self._before = dict(self._memory())
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._go)

    def run(self) -> None:
        """Until it stops the next time."""
        if self._started:
            os.kill(self._pid, signal.SIGCONT)
        else:
            os.write(self._go, b"!")
        self._started = True
        _, status = os.waitpid(self._pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "the work failed"

    def found(self, needles: Iterable[bytes], *, stack_only: bool = False) -> int:
        """How many of them stand in memory that it has written to since the fork."""
        memory = [
            part
            for start, content in self._memory(stack_only)
            for part in _written(self._before.get(start, b""), content)
        ]
        return sum(any(needle in part for part in memory) for needle in set(needles))

    def _memory(self, stack_only: bool = False) -> Iterator[tuple[int, bytes]]:
        """Address and content of what it can write, the shared part left out."""
        with (
            open(f"/proc/{self._pid}/maps", encoding="ascii") as maps,
            open(f"/proc/{self._pid}/mem", "rb", buffering=0) as memory,
        ):
            for line in maps:
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                other = stack_only and not line.rstrip().endswith("[stack]")
                if other or " rw" not in line or start <= self._address < end:
                    continue
                try:
                    memory.seek(start)
                    yield start, memory.read(end - start)
                except OSError:
                    continue  # secret memory


def _written(before: bytes, now: bytes) -> Iterator[bytes]:
    """Runs of pages that are not as before, each with what lies close to its ends."""
    begin = None
    for at in range(0, len(now) + _PAGE, _PAGE):
        page = now[at : at + _PAGE]
        changed = page not in (before[at : at + _PAGE], _EMPTY, b"")
        if changed and begin is None:
            begin = at
        elif not changed and begin is not None:
            yield now[max(begin - _LONGEST, 0) : at + _LONGEST]
            begin = None
