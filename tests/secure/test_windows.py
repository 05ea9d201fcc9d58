"""Windows: when pages open and shut, and what release and close do while one is open."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import weakref

import pytest

from hsm_mpc.errors import BackendError, Tampered
from hsm_mpc.secure import mapping
from hsm_mpc.secure.arena import Arena, publish
from hsm_mpc.secure.mapping import Backend
from tests.secure.bytes_of import accessible, address_of, at, bytes_at, filled, is_mapped, write

CANARY = 16
SECRET = bytes(range(1, 33))


def test_a_slot_released_inside_its_own_window_is_wiped_when_the_window_closes(
    arena: Arena,
) -> None:
    secret = filled(arena.take(32), SECRET)
    with secret.open() as pointer:
        secret.release()
        assert at(pointer, 32) == SECRET
        assert address_of(arena.take(32)) != pointer
    assert bytes_at(arena, pointer - CANARY, 64) == bytes(64)


def test_an_overrun_of_a_slot_released_inside_its_window_is_found_when_that_closes(
    arena: Arena,
) -> None:
    secret = arena.take(32)
    with pytest.raises(Tampered), secret.open() as pointer:
        ctypes.memset(pointer + 32, at(pointer + 32, 1)[0] ^ 1, 1)
        secret.release()


def test_a_secret_dropped_inside_its_own_window_is_wiped_when_the_window_closes(
    arena: Arena,
) -> None:
    secret = filled(arena.take(32), SECRET)
    with secret.open() as pointer:
        del secret
        assert at(pointer, 32) == SECRET
    assert bytes_at(arena, pointer - CANARY, 64) == bytes(64)


def test_close_waits_for_the_open_window_and_opens_no_other(arena: Arena) -> None:
    secret = filled(arena.take(32), SECRET)
    with secret.open() as pointer:
        arena.close()
        assert at(pointer, 32) == SECRET
        with pytest.raises(BackendError, match="closed"):
            arena.take(1)
        with pytest.raises(BackendError, match="closed"), secret.open():
            pass
    assert not is_mapped(pointer)


def test_close_wipes_before_it_unmaps(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = filled(arena.take(32), SECRET)
    address = address_of(secret)
    seen: list[bytes] = []

    def look(mapped: mapping.Mapping) -> None:
        seen.append(at(mapped.address, mapped.length))

    with monkeypatch.context() as patch:
        patch.setattr(mapping.Mapping, "unmap", look)
        arena.close()
    assert seen == [bytes(len(seen[0]))]
    assert is_mapped(address)
    arena._mapping.unmap()
    assert not is_mapped(address)


def test_after_close_every_use_is_refused_and_every_end_is_quiet(arena: Arena) -> None:
    secret = arena.take(32)
    with arena.scope() as take:
        take(32)
        arena.close()
    for use in (secret.wipe, lambda: publish(secret), lambda: arena.take(1)):
        with pytest.raises(BackendError, match="closed"):
            use()
    secret.release()
    arena.close()


def test_the_exit_of_the_interpreter_closes_the_arena_without_a_word() -> None:
    script = """
import threading
from hsm_mpc.secure import mapping
from hsm_mpc.secure.arena import Arena
unmap = mapping.Mapping.unmap
mapping.Mapping.unmap = lambda mapped: (unmap(mapped), print("unmapped"))
arena = Arena(4096, "locked")
secret = arena.take(32)
forgotten = threading.Thread(target=arena.take(32).open, daemon=True)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"unmapped\n", b"")


def test_the_exit_of_the_interpreter_leaves_an_open_window_of_a_daemon_thread_alone() -> None:
    script = """
import ctypes, threading
from hsm_mpc.secure.arena import Arena
arena = Arena(4096, "locked")
secret = arena.take(32)
inside = threading.Event()
def work():
    with secret.open() as pointer:
        inside.set()
        while True:
            ctypes.memset(pointer, 7, 32)
threading.Thread(target=work, daemon=True).start()
inside.wait()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_closed_arena_is_not_kept_for_the_exit(backend: Backend) -> None:
    arena = Arena(4096, backend)
    seen = weakref.ref(arena)
    arena.close()
    del arena
    gc.collect()
    assert seen() is None


def test_a_window_that_cannot_be_opened_changes_nothing(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = filled(arena.take(32), SECRET)
    before = arena.free_bytes
    with monkeypatch.context() as patch:
        patch.setattr(mapping._libc, "mprotect", lambda *_: -1)
        for use in (secret.wipe, lambda: arena.take(1)):
            with pytest.raises(BackendError, match="mprotect"):
                use()
    assert publish(secret) == SECRET
    assert arena.free_bytes == before
    assert not accessible(arena)


def test_pages_that_could_not_be_shut_are_shut_after_the_next_window(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = filled(arena.take(32), SECRET)
    with monkeypatch.context() as patch:
        with pytest.raises(BackendError, match="mprotect"), secret.open():
            patch.setattr(mapping._libc, "mprotect", lambda *_: -1)
        assert accessible(arena)
    assert publish(secret) == SECRET
    assert not accessible(arena)


def test_windows_inside_a_window_leave_the_arena_accessible_until_the_last_one(
    arena: Arena,
) -> None:
    with arena.open():
        with arena.scope() as take:
            write(take(32), SECRET)
        assert accessible(arena)
    assert not accessible(arena)
