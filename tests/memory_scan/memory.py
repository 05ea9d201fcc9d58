"""Everything of another process that can be read: its pages and the registers of its threads.

The reader needs CAP_SYS_PTRACE over the process: it is root, or it is "root" of the user namespace
in which both live. A process that made itself undumpable stays readable for nobody else.
"""

from __future__ import annotations

import array
import ctypes
import errno
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PAGE: Final = os.sysconf("SC_PAGESIZE")

_PAGEMAP_ENTRY_BYTES: Final = 8
_PRESENT_OR_SWAPPED: Final = 0b11 << 62

_PTRACE_SEIZE: Final = 0x4206
_PTRACE_INTERRUPT: Final = 0x4207
_PTRACE_DETACH: Final = 17
_PTRACE_GETREGSET: Final = 0x4204
_WALL: Final = 0x40000000
_REGISTER_SETS: Final = {"general": 1, "floating point": 2, "x86 vector": 0x202}
_MOST_REGISTER_BYTES: Final = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


@dataclass(frozen=True, slots=True)
class Run:
    """Pages side by side that the process has touched."""

    start: int
    name: str
    """What the kernel calls the mapping."""
    content: bytes | None
    """None: the kernel lets nobody read it."""


def pages(pid: int) -> Iterator[Run]:
    """Every page that a process has, whatever its access rights.

    Left out are pages that it has never touched: zeros, or what stands in a file.
    """
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        lines = maps.read().splitlines()
    with (
        open(f"/proc/{pid}/mem", "rb", buffering=0) as memory,
        open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap,
    ):
        for line in lines:
            bounds, _, _, _, _, *name = line.split(maxsplit=5)
            low, high = (int(bound, 16) for bound in bounds.split("-"))
            for start, end in _touched(pagemap.fileno(), low, high):
                content = _read(memory.fileno(), start, end)
                yield Run(start, name[0] if name else "anonymous", content)


def _touched(pagemap: int, low: int, high: int) -> Iterator[tuple[int, int]]:
    wanted = (high - low) // PAGE * _PAGEMAP_ENTRY_BYTES
    try:
        entries = array.array("Q", os.pread(pagemap, wanted, low // PAGE * _PAGEMAP_ENTRY_BYTES))
    except OverflowError:
        return  # [vsyscall]: a page of the kernel, above every offset
    number = 0
    for touched, group in itertools.groupby(entries, lambda entry: entry & _PRESENT_OR_SWAPPED > 0):
        length = len(list(group))
        if touched:
            yield low + number * PAGE, low + (number + length) * PAGE
        number += length


def _read(memory: int, start: int, end: int) -> bytes | None:
    parts = []
    while start < end:
        try:
            part = os.pread(memory, end - start, start)
        except OSError as error:
            if error.errno == errno.EIO:
                return None
            raise
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def registers(pid: int) -> Iterator[tuple[str, bytes]]:
    """The registers of every thread, which is stopped meanwhile."""
    for thread in sorted(int(name) for name in os.listdir(f"/proc/{pid}/task")):
        _ptrace(_PTRACE_SEIZE, thread, 0, 0)
        try:
            _ptrace(_PTRACE_INTERRUPT, thread, 0, 0)
            os.waitpid(thread, _WALL)
            for name, number in _REGISTER_SETS.items():
                content = _register_set(thread, number)
                if content is not None:
                    yield f"{name} registers", content
        finally:
            _ptrace(_PTRACE_DETACH, thread, 0, 0)


class _Buffer(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _register_set(thread: int, number: int) -> bytes | None:
    content = ctypes.create_string_buffer(_MOST_REGISTER_BYTES)
    buffer = _Buffer(ctypes.addressof(content), len(content))
    try:
        _ptrace(_PTRACE_GETREGSET, thread, number, ctypes.addressof(buffer))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENODEV):
            return None  # another kind of processor
        raise
    return content.raw[: buffer.length]


def _ptrace(request: int, thread: int, address: int, data: int) -> None:
    if _libc.ptrace(request, thread, address, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"ptrace: {os.strerror(code)}")
