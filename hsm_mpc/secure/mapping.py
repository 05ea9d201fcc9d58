"""Pages for secrets: invisible to the kernel or locked, guarded, never forked or dumped.

    [ guard, no access ][ data pages ][ guard, no access ]

memfd_secret(2) where the kernel has it: then not even root reads the pages through /proc/PID/mem
or ptrace. Otherwise anonymous pages with mlock(2) and MADV_DONTDUMP: these root can read. Which of
the two it became stands in `kind`. If neither can be had the answer is `MemoryUnlockable`; there is
no third way (measured: 64 KiB of RLIMIT_MEMLOCK give sixteen pages, root is not limited).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
from typing import Final, Literal

from hsm_mpc.errors import BackendError, MemoryUnlockable

Backend = Literal["auto", "memfd_secret", "locked"]

PAGE: Final = mmap.PAGESIZE
NO_ACCESS: Final = 0
READ_WRITE: Final = mmap.PROT_READ | mmap.PROT_WRITE

_MAP_FIXED: Final = 0x10
_MADV_DONTFORK: Final = 10
_MADV_DONTDUMP: Final = 16
_SYS_MEMFD_SECRET: Final = 447  # the same number on x86_64, aarch64 and riscv64
_FAILED: Final = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
for _name in ("munmap", "mlock"):
    getattr(_libc, _name).argtypes = [ctypes.c_void_p, ctypes.c_size_t]
for _name in ("mprotect", "madvise"):
    getattr(_libc, _name).argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def _failure(call: str) -> BackendError:
    code = ctypes.get_errno()
    return BackendError(f"protected memory: {call}: {os.strerror(code)}", retryable=False)


def memfd_secret_exists() -> bool:
    """Whether this kernel gives out secret memory (asked by calling, there is no other way)."""
    descriptor = _libc.syscall(_SYS_MEMFD_SECRET, os.O_CLOEXEC)
    if descriptor < 0:
        return False
    os.close(descriptor)
    return True


def raise_memlock_limit() -> int:
    """Raise the soft limit of lockable bytes to the hard one; returns it (-1: no limit)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    return hard


def _unlockable(length: int) -> MemoryUnlockable:
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    return MemoryUnlockable(
        f"cannot lock {length // 1024} KiB of memory for secrets: this process may lock "
        f"{limit // 1024} KiB in all. raise the limit: `LimitMEMLOCK=8M` in the systemd unit, or "
        "`* hard memlock 8192` in /etc/security/limits.conf and log in again"
    )


class Mapping:
    """`length` bytes of protected pages at `address`; whole pages, created accessible and zero."""

    __slots__ = ("_accessible", "_base", "address", "kind", "length")

    def __init__(self, length: int, backend: Backend) -> None:
        self.length = -(-length // PAGE) * PAGE
        raise_memlock_limit()
        self._base = self._map(None, self.length + 2 * PAGE, NO_ACCESS, _anonymous(), -1)
        self.address = self._base + PAGE
        try:
            self.kind = self._fill(backend)
            self._advise(_MADV_DONTFORK)
        except BaseException:
            self.unmap()
            raise
        self._accessible: bool | None = True

    @staticmethod
    def _map(at: int | None, length: int, protection: int, flags: int, descriptor: int) -> int:
        address = _libc.mmap(at, length, protection, flags, descriptor, 0)
        if address is None or address == _FAILED:
            raise _failure("mmap")
        return int(address)

    def _fill(self, backend: Backend) -> str:
        if backend != "locked" and self._secret_memory():
            return "memfd_secret"
        if backend == "memfd_secret":
            raise MemoryUnlockable(
                "this kernel gives out no memfd_secret memory; configure "
                "`memory: {backend: locked}`"
            )
        self._map(self.address, self.length, READ_WRITE, _anonymous() | _MAP_FIXED, -1)
        if _libc.mlock(self.address, self.length):
            raise _unlockable(self.length)
        self._advise(_MADV_DONTDUMP)
        return "locked"

    def _secret_memory(self) -> bool:
        """Map secret memory; False: the kernel has none, or a filter forbids it.

        Any other reason raises: "auto" does not fall back to less because of a passing shortage.
        """
        descriptor = _libc.syscall(_SYS_MEMFD_SECRET, os.O_CLOEXEC)
        if descriptor < 0:
            if ctypes.get_errno() in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise _failure("memfd_secret")
            return False
        try:
            os.ftruncate(descriptor, self.length)
            address = _libc.mmap(
                self.address,
                self.length,
                READ_WRITE,
                mmap.MAP_SHARED | _MAP_FIXED,
                descriptor,
                0,
            )
        except OSError as refused:
            raise BackendError(f"protected memory: {refused}", retryable=False) from refused
        finally:
            os.close(descriptor)  # the mapping holds the memory; no descriptor is left to inherit
        if address == _FAILED:
            beyond_limit = ctypes.get_errno() == errno.EAGAIN
            raise _unlockable(self.length) if beyond_limit else _failure("mmap of memfd_secret")
        return True

    def _advise(self, advice: int) -> None:
        if _libc.madvise(self.address, self.length, advice):
            raise _failure("madvise")

    def set_accessible(self, accessible: bool) -> None:
        """Open or close all data pages of this process to reading and writing."""
        if accessible != self._accessible:
            protection = READ_WRITE if accessible else NO_ACCESS
            self._accessible = None  # not known, should a signal come in between
            if _libc.mprotect(self.address, self.length, protection):
                raise _failure("mprotect")
            self._accessible = accessible

    def unmap(self) -> None:
        """Give the pages back. The caller has wiped them."""
        _libc.munmap(self._base, self.length + 2 * PAGE)


def _anonymous() -> int:
    return mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
