"""Working memory, several secrets in one window, and releasing many at once."""

from __future__ import annotations

import ctypes

import pytest

from hsm_mpc.errors import BackendError, BadInput, Tampered
from hsm_mpc.secure.arena import Arena, opened, publish, publish_at, release_all
from hsm_mpc.secure.mapping import Backend
from tests.secure.bytes_of import accessible, at, bytes_at, filled, write
from tests.secure.children import fate_of

CANARY = 16
SECRET = bytes(range(1, 33))


def test_a_room_is_zero_and_accessible_and_wiped_with_its_canaries(arena: Arena) -> None:
    before = arena.free_bytes
    with arena.room(40) as pointer:
        assert at(pointer, 40) == bytes(40)
        ctypes.memset(pointer, 7, 40)
        assert publish_at(pointer + 8, 2) == b"\7\7"
        assert arena.free_bytes == before - 80
    assert not accessible(arena)
    assert bytes_at(arena, pointer - CANARY, 80) == bytes(80)
    assert arena.free_bytes == before


def test_a_room_is_wiped_when_its_body_raises(arena: Arena) -> None:
    with pytest.raises(KeyboardInterrupt), arena.room(32) as pointer:
        ctypes.memset(pointer, 7, 32)
        raise KeyboardInterrupt
    assert bytes_at(arena, pointer, 32) == bytes(32)


def test_a_room_inside_a_window_is_wiped_at_its_own_end(arena: Arena) -> None:
    with arena.open():
        with arena.room(32) as pointer:
            ctypes.memset(pointer, 7, 32)
        assert at(pointer, 32) == bytes(32)
        assert accessible(arena)


@pytest.mark.parametrize("stray", [-1, 32])
def test_a_write_beyond_a_room_is_found_at_its_end(arena: Arena, stray: int) -> None:
    with pytest.raises(Tampered, match="beyond a slot of 32 bytes"), arena.room(32) as pointer:
        byte = at(pointer + stray, 1)[0] ^ 1
        ctypes.memset(pointer + stray, byte, 1)


def test_a_room_that_is_not_there_changes_nothing(arena: Arena) -> None:
    before = arena.free_bytes
    for size, error in ((0, BadInput), (before + 1, BackendError)):
        with pytest.raises(error), arena.room(size):
            pass
    assert arena.free_bytes == before
    assert not accessible(arena)


def test_a_forked_child_gets_no_room_and_leaves_that_of_its_parent_alone(arena: Arena) -> None:
    refusal = "BackendError: protected memory is not inherited by a fork"
    assert fate_of(lambda: str(arena.room(32).__enter__())) == refusal
    room = arena.room(32)

    def leave() -> str:
        room.__exit__(None, None, None)
        return "left"

    with room as pointer:
        ctypes.memset(pointer, 7, 32)
        assert fate_of(leave) == "left"
        assert at(pointer, 32) == b"\7" * 32


def test_a_room_is_entered_once_and_left_once(arena: Arena) -> None:
    before = arena.free_bytes
    room = arena.room(32)
    with room as pointer:
        ctypes.memset(pointer, 7, 32)
        with pytest.raises(BackendError, match="entered twice"):
            room.__enter__()
    assert bytes_at(arena, pointer, 32) == bytes(32)
    other = filled(arena.take(32), SECRET)
    room.__exit__(None, None, None)
    assert publish(other) == SECRET
    other.release()
    assert arena.free_bytes == before


def test_one_window_opens_several_secrets(arena: Arena) -> None:
    one, other = filled(arena.take(32), SECRET), arena.take(16)
    with opened(one, other) as (first, second):
        assert (at(first, 32), at(second, 16)) == (SECRET, bytes(16))
        one.release()
        assert at(first, 32) == SECRET  # as long as this window is open
    assert bytes_at(arena, first, 32) == bytes(32)
    assert not accessible(arena)


def test_one_secret_may_stand_twice_in_a_window(arena: Arena) -> None:
    secret = filled(arena.take(32), SECRET)
    with opened(secret, secret) as (first, second):
        assert first == second
    secret.release()
    assert bytes_at(arena, first, 32) == bytes(32)


def test_a_window_with_a_released_secret_does_not_open(arena: Arena) -> None:
    kept, gone = arena.take(32), arena.take(32)
    gone.release()
    with pytest.raises(BackendError, match="after its release"), opened(kept, gone):
        pass
    assert not accessible(arena)
    before = arena.free_bytes
    kept.release()
    assert arena.free_bytes == before + 64


def test_a_window_belongs_to_one_arena(arena: Arena, backend: Backend) -> None:
    elsewhere = Arena(4096, backend)
    one, other = arena.take(32), elsewhere.take(32)
    with pytest.raises(BadInput, match="one arena"):
        opened(one, other)
    elsewhere.close()


def test_all_are_released_although_one_was_overrun(arena: Arena, backend: Backend) -> None:
    elsewhere = Arena(4096, backend)
    secrets = [filled(arena.take(32), SECRET), arena.take(32), filled(elsewhere.take(32), SECRET)]
    pointers = [secret._slot.pointer for secret in secrets]
    with secrets[1].open() as pointer:
        ctypes.memset(pointer + 32, at(pointer + 32, 1)[0] ^ 1, 1)
    with pytest.raises(Tampered):
        release_all(secrets)
    assert bytes_at(arena, pointers[0], 32) == bytes_at(elsewhere, pointers[2], 32) == bytes(32)
    for secret in secrets:
        with pytest.raises(BackendError, match="after its release"):
            publish(secret)
    elsewhere.close()


def test_a_secret_is_released_once_though_it_is_named_twice(arena: Arena) -> None:
    before = arena.free_bytes
    secret = arena.take(32)
    release_all((secret, secret))
    other = arena.take(32)
    release_all((secret,))
    write(other, SECRET)
    assert publish(other) == SECRET
    other.release()
    assert arena.free_bytes == before
