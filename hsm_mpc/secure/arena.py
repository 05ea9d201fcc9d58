"""The one arena of protected memory; `Secret` is a slot in it.

A secret is touched only by C functions through its address, only inside `with secret.open() as
pointer`. While no window is open anywhere in the process the pages cannot be read or written at
all. Windows are per process, not per thread: that is what the processor offers at this price.

    arena = Arena()
    with arena.scope() as take:        # every slot taken is wiped at the end, also when it raises
        key = take(32)
        with key.open() as pointer:
            ...
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from hsm_mpc.errors import BackendError, Tampered
from hsm_mpc.secure.freelist import FreeList
from hsm_mpc.secure.mapping import Backend, Mapping
from hsm_mpc.secure.secret import (
    CANARY_BYTES,
    Secret,
    Slot,
    copy,
    libc,
    move_bytes,
    publish,
    slot_length,
)

__all__ = ["ARENA_BYTES", "Arena", "Secret", "Take", "copy", "move_bytes", "publish"]

ARENA_BYTES: Final = 256 * 1024
"""Enough for a key generation of 32 holders and 64 open nonce leases at once."""

Take = Callable[[int], Secret]


class Arena:
    """Protected pages, divided into slots, for all threads; not for signal handlers or `__del__`.

    Args:
        size: payload and canaries together, in bytes; rounded up to whole pages.
        backend: "auto" takes memfd_secret where the kernel has it, else locked pages.

    Raises:
        MemoryUnlockable: this host does not let the process lock that much.
    """

    def __init__(self, size: int = ARENA_BYTES, backend: Backend = "auto") -> None:
        self._mapping = Mapping(size, backend)
        self._address = self._mapping.address
        self._lock = threading.Lock()  # not reentrant: see `_abandon`
        self._windows = 0
        self._owner = os.getpid()
        self._canary = os.urandom(CANARY_BYTES)
        self._free = FreeList(self._mapping.length)
        self._released: list[Slot] = []  # not wiped yet
        self._whole = Slot(self, -CANARY_BYTES, self._mapping.length)
        self._closed = False
        self._mapping.set_accessible(False)
        atexit.register(self.close)

    @property
    def kind(self) -> str:
        """Either "memfd_secret" or "locked"."""
        return self._mapping.kind

    @property
    def free_bytes(self) -> int:
        """What is left for slots, canaries included."""
        return self._free.total

    def take(self, size: int) -> Secret:
        """A zeroed slot of `size` bytes. Prefer `scope`: it cannot forget to wipe.

        Raises:
            BadInput: `size` is not positive.
            BackendError: the arena is full (retryable, slots are short-lived) or too small.
        """
        length = slot_length(size)
        with self.open():
            with self._lock:
                offset = self._free.take(length)
            if offset is None:
                message = f"protected memory is full: no room for {size} bytes more"
                raise BackendError(message, retryable=length <= self._mapping.length)
            slot = Slot(self, offset, size)
            libc.explicit_bzero(slot.pointer, size)
            libc.memmove(slot.pointer - CANARY_BYTES, self._canary, CANARY_BYTES)
            libc.memmove(slot.pointer + size, self._canary, CANARY_BYTES)
            return Secret(self, slot)

    @contextmanager
    def scope(self) -> Iterator[Take]:
        """`with arena.scope() as take`: each slot taken in it is wiped and given back after."""
        taken: list[Secret] = []
        over = False

        def take(size: int) -> Secret:
            if over:
                raise BackendError("a scope of secrets was used after its end", retryable=False)
            taken.append(self.take(size))
            return taken[-1]

        try:
            yield take
        finally:
            over = True
            self._release([secret._slot for secret in taken])

    def open(self) -> Slot:
        """Keep the arena accessible over several short windows (each saves two mprotect calls)."""
        return self._whole

    def close(self) -> None:
        """Wipe every page and unmap, as soon as no window is open; no new one opens.

        Called at exit. A forked child does nothing.
        """
        if os.getpid() != self._owner:
            return
        with self._lock:
            if not self._closed:
                self._closed = True
                self._settle()
        atexit.unregister(self.close)

    def __repr__(self) -> str:
        return f"<Arena of {self._mapping.length} bytes, {self.kind}>"

    def _enter(self, slot: Slot) -> None:
        if os.getpid() != self._owner:  # before the lock: a fork may have inherited it taken
            raise BackendError("protected memory is not inherited by a fork", retryable=False)
        with self._lock:
            if self._closed:
                raise BackendError("protected memory is closed", retryable=False)
            if slot.released:
                raise BackendError("a secret was used after its release", retryable=False)
            if self._windows == 0:
                self._mapping.set_accessible(True)
            self._windows += 1
            slot.windows += 1

    def _leave(self, slot: Slot) -> None:
        if os.getpid() != self._owner:
            return
        with self._lock:
            slot.windows -= 1
            self._windows -= 1
            damaged = self._settle()
        _report(damaged)

    def _release(self, slots: list[Slot]) -> None:
        if os.getpid() != self._owner:
            return
        with self._lock:
            if self._closed:
                return
            fresh = [slot for slot in slots if not slot.released]
            for slot in fresh:
                slot.released = True
            self._released += fresh
            damaged = self._settle()
        _report(damaged)

    def _abandon(self, slot: Slot) -> None:
        """Release the slot of a `Secret` that was dropped.

        The garbage collector may call this anywhere, also where this same thread holds the lock:
        then the slot waits for the next call of `_settle`.
        """
        if slot.released or os.getpid() != self._owner:
            return
        slot.released = True
        self._released.append(slot)
        if self._lock.acquire(blocking=False):
            try:
                damaged = [] if self._closed else self._settle()
            finally:
                self._lock.release()
            _report(damaged)

    def _settle(self) -> list[Slot]:
        """Wipe the released slots that no window holds; without windows, shut the pages.

        Returns those of them that somebody wrote beyond. Under the lock.
        """
        damaged = []
        for slot in tuple(self._released):
            if slot.windows == 0:
                self._mapping.set_accessible(True)
                if not self._wiped_intact(slot):
                    damaged.append(slot)
                self._released.remove(slot)
        if self._windows == 0:
            if self._closed:
                self._mapping.set_accessible(True)
                libc.explicit_bzero(self._address, self._mapping.length)
                self._mapping.unmap()
            else:
                self._mapping.set_accessible(False)
        return damaged

    def _wiped_intact(self, slot: Slot) -> bool:
        """Wipe a slot and its canaries and give it back; whether they were whole."""
        start, length = slot.pointer - CANARY_BYTES, slot_length(slot.size)
        canaries = (start, slot.pointer + slot.size)
        damaged = any(libc.memcmp(canary, self._canary, CANARY_BYTES) for canary in canaries)
        libc.explicit_bzero(start, length)
        self._free.give_back(slot.offset, length)
        return not damaged


def _report(damaged: list[Slot]) -> None:
    if damaged:
        sizes = ", ".join(str(slot.size) for slot in damaged)
        raise Tampered(f"protected memory: a write went beyond a slot of {sizes} bytes")
