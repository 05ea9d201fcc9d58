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
from collections.abc import Sequence
from typing import Final

from hsm_mpc.errors import BackendError, Tampered
from hsm_mpc.secure import sodium
from hsm_mpc.secure.freelist import FreeList
from hsm_mpc.secure.mapping import Backend, Mapping
from hsm_mpc.secure.scopes import Room, Scope, Take
from hsm_mpc.secure.secret import (
    CANARY_BYTES,
    Secret,
    Slot,
    copy,
    move_bytes,
    move_public,
    opened,
    publish,
    publish_at,
    release_all,
    slot_length,
)

__all__ = [
    "ARENA_BYTES",
    "Arena",
    "Scope",
    "Secret",
    "Take",
    "copy",
    "move_bytes",
    "move_public",
    "opened",
    "publish",
    "publish_at",
    "release_all",
]

ARENA_BYTES: Final = 256 * 1024
"""Enough for a key generation of 32 holders and 64 open nonce leases at once."""


class _Forks:
    """How often this process is a child's child, since this module was loaded.

    Asking the kernel for the pid would cost more than the rest of a window. A fork that goes past
    Python is not counted: its child finds no pages, and the kernel ends it.
    """

    count = 0


def _count_fork() -> None:
    _Forks.count += 1


os.register_at_fork(after_in_child=_count_fork)


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
        self._forks = _Forks.count
        self._pid = os.getpid()
        self._canary = os.urandom(CANARY_BYTES)
        self._free = FreeList(self._mapping.length)
        self._released: list[Slot] = []  # not wiped yet
        self._whole = Slot(self, -CANARY_BYTES, self._mapping.length, self._mapping.length)
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
        self._require_owner()
        with self._lock:
            secret = Secret(self, self._allot(size))
            damaged = self._settle() if self._windows == 0 or self._released else []
        if damaged:
            raise _overrun(damaged)
        return secret

    def scope(self) -> Scope:
        """`with arena.scope() as take`: each slot taken in it is wiped and given back after."""
        return Scope(self)

    def room(self, size: int) -> Room:
        """`with arena.room(size) as pointer`: zeroed working memory, wiped and given back after.

        Raises:
            BadInput, BackendError: on entering, as `take`.
        """
        return Room(self, size)

    def open(self) -> Slot:
        """Keep the arena accessible over several short windows (each saves two mprotect calls)."""
        return self._whole

    def close(self) -> None:
        """Wipe every page and unmap, as soon as no window is open; no new one opens.

        Called at exit. A forked child does nothing.
        """
        if self._forks != _Forks.count:
            return
        with self._lock:
            if not self._closed:
                self._closed = True
                self._settle()
        atexit.unregister(self.close)

    def __repr__(self) -> str:
        return f"<Arena of {self._mapping.length} bytes, {self.kind}>"

    def _require_owner(self) -> None:
        """Before the lock, which a fork may have inherited taken."""
        if self._forks != _Forks.count:
            raise BackendError("protected memory is not inherited by a fork", retryable=False)

    def _require_open(self) -> None:
        if self._closed:
            raise BackendError("protected memory is closed", retryable=False)

    def _allot(self, size: int) -> Slot:
        """A zeroed slot between fresh canaries; the pages are accessible. Under the lock."""
        length = slot_length(size)
        self._require_open()
        if self._windows == 0:
            self._mapping.set_accessible(True)  # before anything is taken: it may fail
        offset = self._free.take(length)
        if offset is None:
            damaged = self._settle()
            if damaged:
                raise _overrun(damaged)
            offset = self._free.take(length)
        if offset is None:
            message = f"protected memory is full: no room for {size} bytes more"
            raise BackendError(message, retryable=length <= self._mapping.length)
        self._mapping.set_accessible(True)
        slot = Slot(self, offset, size, length)
        sodium.move_public(slot.pointer - CANARY_BYTES, self._canary + bytes(size) + self._canary)
        return slot

    def _enter(self, slots: Sequence[Slot]) -> None:
        """Open one window that holds all of them."""
        self._require_owner()
        with self._lock:
            self._require_open()
            for slot in slots:
                if slot.released:
                    raise BackendError("a secret was used after its release", retryable=False)
            if self._windows == 0:
                self._mapping.set_accessible(True)
            self._windows += 1
            for slot in slots:
                slot.windows += 1

    def _leave(self, slots: Sequence[Slot]) -> None:
        if self._forks != _Forks.count:
            return
        damaged: list[Slot] = []
        with self._lock:
            self._windows -= 1
            for slot in slots:
                slot.windows -= 1
            if self._windows == 0 or self._released:
                damaged = self._settle()
        if damaged:
            raise _overrun(damaged)

    def _release(self, slots: Sequence[Slot]) -> None:
        if self._forks != _Forks.count:
            return
        with self._lock:
            if self._closed:
                return
            for slot in slots:
                if not slot.released:
                    slot.released = True
                    self._released.append(slot)
            damaged = self._settle()
        if damaged:
            raise _overrun(damaged)

    def _enter_new(self, size: int) -> Slot:
        """A window and its slot, with one lock instead of two."""
        self._require_owner()
        with self._lock:
            slot = self._allot(size)
            slot.windows = 1
            self._windows += 1
        return slot

    def _leave_and_release(self, slot: Slot) -> None:
        if self._forks != _Forks.count:
            return
        with self._lock:
            slot.windows -= 1
            slot.released = True
            self._windows -= 1
            self._released.append(slot)
            damaged = self._settle()
        if damaged:
            raise _overrun(damaged)

    def _abandon(self, slot: Slot) -> None:
        """Release the slot of a `Secret` that was dropped.

        The garbage collector may call this anywhere, also where this same thread holds the lock:
        then the slot waits for the next call of `_settle`.
        """
        if slot.released or os.getpid() != self._pid:  # also before the hook has counted a fork
            return
        slot.released = True
        self._released.append(slot)
        if self._lock.acquire(blocking=False):
            try:
                damaged = [] if self._closed else self._settle()
            finally:
                self._lock.release()
            if damaged:
                raise _overrun(damaged)

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
        if self._windows == 0:
            if self._closed:
                self._mapping.set_accessible(True)
                sodium.move_public(self._address, bytes(self._mapping.length))
                self._mapping.unmap()
            else:
                self._mapping.set_accessible(False)
        return damaged

    def _wiped_intact(self, slot: Slot) -> bool:
        """Wipe a slot and its canaries and give it back; whether they were whole.

        An exception in the middle loses nothing but room: what is not wiped stays in the list, and
        nothing is given back twice.
        """
        start = slot.pointer - CANARY_BYTES
        if slot.intact is None:
            behind = slot.pointer + slot.size
            slot.intact = sodium.holds(start, self._canary) and sodium.holds(behind, self._canary)
        sodium.move_public(start, bytes(slot.length))
        self._released.remove(slot)
        self._free.give_back(slot.offset, slot.length)
        return slot.intact


def _overrun(damaged: list[Slot]) -> Tampered:
    sizes = ", ".join(str(slot.size) for slot in damaged)
    return Tampered(f"protected memory: a write went beyond a slot of {sizes} bytes")
