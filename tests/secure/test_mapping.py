"""Which kind of memory it becomes, and that nothing is done with memory that is not locked."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable

import pytest

from hsm_mpc.errors import BackendError, MemoryUnlockable
from hsm_mpc.secure import mapping
from hsm_mpc.secure.arena import ARENA_BYTES, Arena
from hsm_mpc.secure.mapping import PAGE, Backend, Mapping
from tests.conftest import NO_MEMFD_SECRET
from tests.secure.children import become_nobody, fate_of

SYSCALL_FREE = 1023
"""A number without a system call: it answers ENOSYS, as memfd_secret's does on other kernels."""


needs_secret_memory = pytest.mark.skipif(not mapping.memfd_secret_exists(), reason=NO_MEMFD_SECRET)


def mapped(length: int, backend: Backend) -> Mapping:
    result = Mapping(length, backend)
    result.unmap()
    return result


def with_memlock_limit(soft: int, hard: int, action: Callable[[], object]) -> str:
    """`action` in a child without privileges that may lock `soft`, at will `hard` bytes."""

    def limited() -> object:
        become_nobody()
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))
        return action()

    return fate_of(limited)


@pytest.mark.parametrize(
    "asked", ["auto", "locked", pytest.param("memfd_secret", marks=needs_secret_memory)]
)
def test_a_limit_that_is_too_small_is_a_refusal_that_names_the_mend(asked: Backend) -> None:
    limit = 64 * 1024
    fate = with_memlock_limit(limit, limit, lambda: Arena(ARENA_BYTES, asked))
    assert fate.startswith("MemoryUnlockable: cannot lock 256 KiB of memory for secrets")
    for part in ("may lock 64 KiB", "LimitMEMLOCK=8M", "/etc/security/limits.conf"):
        assert part in fate


def test_a_limit_of_nothing_is_a_refusal(backend: Backend) -> None:
    assert with_memlock_limit(0, 0, lambda: Arena(PAGE, backend)).startswith("MemoryUnlockable")


def test_what_other_arenas_have_locked_counts(backend: Backend) -> None:
    def two() -> object:
        first = Arena(8 * PAGE, backend)
        return first, Arena(8 * PAGE, backend)

    assert with_memlock_limit(12 * PAGE, 12 * PAGE, two).startswith("MemoryUnlockable")


def test_a_limit_that_is_just_enough_is_enough(backend: Backend) -> None:
    fate = with_memlock_limit(PAGE, PAGE, lambda: Arena(PAGE, backend).kind)
    assert fate == backend


def test_the_soft_limit_is_raised_to_the_hard_one(backend: Backend) -> None:
    fate = with_memlock_limit(0, ARENA_BYTES, lambda: Arena(ARENA_BYTES, backend).kind)
    assert fate == backend


def test_a_refused_mapping_leaves_no_address_space_behind(backend: Backend) -> None:
    def refused_often() -> int:
        before = address_space()
        for _ in range(20):
            with pytest.raises(MemoryUnlockable):
                Mapping(64 * PAGE, backend)
        return (address_space() - before) // (64 * PAGE)

    assert with_memlock_limit(PAGE, PAGE, refused_often) == "0"


def address_space() -> int:
    """The size of everything that this process has mapped, in bytes."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[0]) * PAGE


@needs_secret_memory
def test_auto_takes_secret_memory_where_there_is_some() -> None:
    assert mapped(PAGE, "auto").kind == "memfd_secret"


def test_auto_takes_locked_pages_where_there_is_no_secret_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mapping, "_SYS_MEMFD_SECRET", SYSCALL_FREE)
    assert not mapping.memfd_secret_exists()
    assert mapped(PAGE, "auto").kind == "locked"


def test_secret_memory_that_was_demanded_and_is_not_there_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mapping, "_SYS_MEMFD_SECRET", SYSCALL_FREE)
    with pytest.raises(MemoryUnlockable, match="backend: locked"):
        Mapping(PAGE, "memfd_secret")


@needs_secret_memory
def test_auto_does_not_fall_back_because_descriptors_ran_out() -> None:

    def without_descriptors() -> str:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        return Mapping(PAGE, "auto").kind

    fate = fate_of(without_descriptors)
    assert fate == "BackendError: protected memory: memfd_secret: Too many open files"


@needs_secret_memory
def test_auto_does_not_fall_back_because_files_may_not_grow() -> None:

    def without_file_size() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        return Mapping(PAGE, "auto").kind

    assert fate_of(without_file_size).startswith("BackendError: protected memory: [Errno 27]")


def test_memory_that_cannot_be_mapped_is_an_error(backend: Backend) -> None:
    with pytest.raises(BackendError, match="mmap: Cannot allocate memory"):
        Mapping(1 << 56, backend)


@needs_secret_memory
def test_secret_memory_that_cannot_be_mapped_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    mmap = mapping._libc.mmap

    def refuse_descriptors(at: int | None, length: int, *rest: int) -> int | None:
        if rest[2] < 0:
            return int(mmap(at, length, *rest))
        ctypes.set_errno(12)
        return mapping._FAILED

    class Libc:
        def __getattr__(self, name: str) -> object:
            return refuse_descriptors if name == "mmap" else getattr(ctypes_libc, name)

    ctypes_libc = mapping._libc
    monkeypatch.setattr(mapping, "_libc", Libc())
    with pytest.raises(BackendError, match="mmap of memfd_secret: Cannot allocate memory"):
        Mapping(PAGE, "auto")


@pytest.mark.parametrize("advice", [mapping._MADV_DONTFORK, mapping._MADV_DONTDUMP])
def test_pages_that_would_be_forked_or_dumped_are_not_used(
    monkeypatch: pytest.MonkeyPatch, advice: int
) -> None:
    madvise = mapping._libc.madvise

    def refuse(address: int, length: int, asked: int) -> int:
        return -1 if asked == advice else int(madvise(address, length, asked))

    monkeypatch.setattr(mapping._libc, "madvise", refuse)
    with pytest.raises(BackendError, match="madvise"):
        Mapping(PAGE, "locked")


def test_lengths_are_rounded_up_to_whole_pages(backend: Backend) -> None:
    assert mapped(1, backend).length == PAGE
    assert mapped(PAGE + 1, backend).length == 2 * PAGE


def test_the_list_of_descriptors_shows_none_after_a_refusal(backend: Backend) -> None:
    def refused() -> bool:
        before = os.listdir("/proc/self/fd")
        with pytest.raises(MemoryUnlockable):
            Mapping(4 * PAGE, backend)
        return os.listdir("/proc/self/fd") == before

    assert with_memlock_limit(0, 0, refused) == "True"
