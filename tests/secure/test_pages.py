"""Where the processor stops a stray access, and what a fork gets: nothing."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.secure.arena import Arena, _Forks, publish
from hsm_mpc.secure.mapping import PAGE, Backend
from tests.secure.bytes_of import address_of, at, filled
from tests.secure.children import fate_of

SECRET = bytes(range(1, 33))


def read(address: int) -> bytes:
    return at(address, 1)


def write(address: int) -> int | None:
    return ctypes.memset(address, 1, 1)


@pytest.mark.parametrize("touch", [read, write])
def test_idle_pages_can_be_neither_read_nor_written(
    backend: Backend, touch: Callable[[int], object]
) -> None:
    def touch_idle_page() -> str:
        address = address_of(Arena(PAGE, backend).take(32))
        touch(address)
        return "survived"

    def touch_page_in_a_window() -> str:
        with Arena(PAGE, backend).open() as pointer:
            touch(pointer)
        return "survived"

    assert fate_of(touch_idle_page) == "SIGSEGV"
    assert fate_of(touch_page_in_a_window) == "survived"


@pytest.mark.parametrize("touch", [read, write])
@pytest.mark.parametrize("offset", [-1, PAGE], ids=["before", "behind"])
def test_the_pages_around_the_arena_can_never_be_touched(
    backend: Backend, touch: Callable[[int], object], offset: int
) -> None:
    def touch_guard_page() -> str:
        with Arena(PAGE, backend).open() as pointer:
            touch(pointer)
            touch(pointer + PAGE - 1)
            touch(pointer + offset)
        return "survived"

    assert fate_of(touch_guard_page) == "SIGSEGV"


def test_a_forked_child_has_no_page_even_in_an_open_window(arena: Arena) -> None:
    secret = filled(arena.take(32), SECRET)
    with secret.open() as pointer:
        assert fate_of(lambda: read(pointer)) == "SIGSEGV"
        assert read(pointer) == SECRET[:1]


def test_a_forked_child_is_refused_by_every_call(arena: Arena) -> None:
    secret = filled(arena.take(32), SECRET)
    refusal = "BackendError: protected memory is not inherited by a fork"
    assert fate_of(lambda: publish(secret)) == refusal
    assert fate_of(secret.wipe) == refusal
    assert fate_of(lambda: arena.take(32)) == refusal
    assert fate_of(lambda: arena.open().__enter__()) == refusal


def test_a_forked_child_gives_nothing_back_and_unmaps_nothing(arena: Arena) -> None:
    secret = filled(arena.take(32), SECRET)

    def end_everything() -> str:
        secret.release()
        secret.__del__()
        arena.close()
        return f"closed: {arena._closed}, released: {secret._slot.released}"

    assert fate_of(end_everything) == "closed: False, released: False"


def test_a_secret_that_dies_before_the_fork_is_counted_touches_nothing(arena: Arena) -> None:
    """Hooks of a fork run in the order in which they were made: ours may come late."""
    secrets = [filled(arena.take(32), SECRET)]

    def uncounted() -> str:
        arena._forks = _Forks.count  # as if the hook had not run yet
        secrets.clear()
        return "alive"

    with arena.open():
        assert fate_of(uncounted) == "alive"
    assert publish(secrets[0]) == SECRET


def test_a_child_forked_inside_a_window_leaves_it_without_touching_memory(arena: Arena) -> None:
    """The hole that the child got may hold memory of its own by now."""
    secret = filled(arena.take(32), SECRET)

    def leave() -> str:
        mapped = arena._mapping
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        private, anonymous, fixed = 0x02, 0x20, 0x10
        libc.mmap(
            *(ctypes.c_void_p(mapped.address), ctypes.c_size_t(mapped.length)),
            *(3, private | anonymous | fixed, -1, ctypes.c_long(0)),
        )
        write(mapped.address)
        secret._slot.__exit__()
        return str(read(mapped.address))

    with secret.open():
        assert fate_of(leave) == str(b"\x01")
    assert publish(secret) == SECRET


def test_a_child_forked_while_another_thread_holds_the_lock_is_refused_not_hung(
    arena: Arena,
) -> None:
    secret = arena.take(32)

    def end_everything() -> str:
        arena.close()
        secret.release()
        secret.__del__()
        return str(arena.free_bytes)

    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with arena._lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        fate = fate_of(secret.wipe)
        quiet = fate_of(end_everything)
    finally:
        done.set()
        holder.join()
    assert fate == "BackendError: protected memory is not inherited by a fork"
    assert quiet == str(arena.free_bytes)


def test_a_grandchild_may_make_its_own_arena(backend: Backend) -> None:
    def make() -> str:
        with Arena(PAGE, backend).scope() as take:
            return publish(filled(take(4), b"mine")).decode()

    assert fate_of(make) == "mine"


def test_the_refusal_in_a_child_is_not_worth_a_retry(arena: Arena) -> None:
    def retryable() -> str:
        try:
            arena.take(1)
        except BackendError as refusal:
            return str(refusal.retryable)
        return "taken"

    assert fate_of(retryable) == "False"


def mapping_flags(address: int) -> list[str]:
    """The kernel's flags of the mapping that starts at `address`."""
    with open("/proc/self/smaps", encoding="ascii") as smaps:
        lines = iter(smaps)
        for line in lines:
            if line.startswith(f"{address:x}-"):
                return next(flags for flags in lines if flags.startswith("VmFlags")).split()[1:]
    raise AssertionError("not mapped")


def test_the_kernel_lists_the_pages_as_locked_not_dumped_and_not_forked(arena: Arena) -> None:
    flags = mapping_flags(arena._address)
    assert {"lo", "dd", "dc"} <= set(flags)


def test_no_descriptor_of_the_memory_stays_open(backend: Backend) -> None:
    before = set(os.listdir("/proc/self/fd"))
    arena = Arena(PAGE, backend)
    assert set(os.listdir("/proc/self/fd")) == before
    arena.close()


def test_root_reads_open_locked_pages_but_never_secret_memory(arena: Arena) -> None:
    """What `kind` tells the operator."""
    secret = filled(arena.take(32), SECRET)
    with secret.open() as pointer, open("/proc/self/mem", "rb", buffering=0) as memory:
        memory.seek(pointer)
        if arena.kind == "locked":
            assert memory.read(32) == SECRET
        else:
            with pytest.raises(OSError, match="Input/output error"):
                memory.read(32)


def test_nobody_reopens_secret_memory_through_the_list_of_mappings(arena: Arena) -> None:
    start, end = arena._address, arena._address + arena._mapping.length
    with arena.open(), pytest.raises(OSError, match=r"No such|not permitted|denied"):
        os.close(os.open(f"/proc/self/map_files/{start:x}-{end:x}", os.O_RDWR))


def test_a_segmentation_fault_is_not_swallowed_where_all_signals_are_blocked(
    backend: Backend,
) -> None:
    def touch_with_signals_blocked() -> str:
        address = address_of(Arena(PAGE, backend).take(32))
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        read(address)
        return "survived"

    assert fate_of(touch_with_signals_blocked) == "SIGSEGV"
