"""What the arena promises of its slots, on each kind of protected memory."""

from __future__ import annotations

import ctypes
import gc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_mpc.errors import BackendError, BadInput, Tampered
from hsm_mpc.secure import mapping, sodium
from hsm_mpc.secure.arena import Arena, Secret, copy, move_bytes, publish, release_all
from tests.secure.bytes_of import accessible, address_of, at, bytes_at, filled

CANARY = 16
SECRET = bytes(range(1, 33))


def test_a_fresh_arena_is_shut(arena: Arena) -> None:
    assert not accessible(arena)


def test_a_slot_is_zero_when_it_is_taken(arena: Arena) -> None:
    assert publish(arena.take(64)) == bytes(64)


def test_a_slot_is_zero_even_if_somebody_wrote_to_it_after_its_release(arena: Arena) -> None:
    stale = address_of(arena.take(32))
    with arena.open():
        move_bytes(stale, SECRET, 32)
    fresh = arena.take(32)
    assert address_of(fresh) == stale
    assert publish(fresh) == bytes(32)


def test_a_slot_keeps_what_was_written_and_is_aligned(arena: Arena) -> None:
    secrets = [filled(arena.take(size), bytes([size]) * size) for size in (1, 15, 16, 17, 100)]
    for secret in secrets:
        assert publish(secret) == bytes([secret.size]) * secret.size
        assert address_of(secret) % 16 == 0


def test_wipe_zeroes_and_keeps_the_slot(arena: Arena) -> None:
    secret = filled(arena.take(32), SECRET)
    secret.wipe()
    assert publish(secret) == bytes(32)


def test_release_wipes_payload_and_canaries_and_gives_the_room_back(arena: Arena) -> None:
    before = arena.free_bytes
    secret = filled(arena.take(32), SECRET)
    address = address_of(secret)
    assert arena.free_bytes == before - 64
    secret.release()
    assert bytes_at(arena, address - CANARY, 64) == bytes(64)
    assert arena.free_bytes == before


def test_a_second_release_does_nothing_even_if_the_slot_has_a_new_owner(arena: Arena) -> None:
    first = arena.take(32)
    first.release()
    second = filled(arena.take(32), SECRET)
    free = arena.free_bytes
    first.release()
    assert publish(second) == SECRET
    assert arena.free_bytes == free


def test_a_released_secret_opens_no_window(arena: Arena) -> None:
    secret = arena.take(32)
    window = secret.open()
    secret.release()
    for use in (secret.wipe, lambda: publish(secret), window.__enter__):
        with pytest.raises(BackendError, match="after its release"):
            use()


def test_a_secret_that_nobody_holds_is_released_before_its_window_opens(arena: Arena) -> None:
    with pytest.raises(BackendError, match="after its release"), arena.take(32).open():
        pass


def test_a_dropped_secret_is_wiped_and_given_back(arena: Arena) -> None:
    before = arena.free_bytes
    secret = filled(arena.take(32), SECRET)
    address = address_of(secret)
    del secret
    assert bytes_at(arena, address - CANARY, 64) == bytes(64)
    assert arena.free_bytes == before


def test_a_scope_wipes_everything_at_its_end(arena: Arena) -> None:
    before = arena.free_bytes
    with arena.scope() as take:
        addresses = [address_of(filled(take(32), SECRET)) for _ in range(3)]
    assert [bytes_at(arena, address, 32) for address in addresses] == [bytes(32)] * 3
    assert arena.free_bytes == before


def test_a_scope_wipes_everything_when_its_body_raises(arena: Arena) -> None:
    with pytest.raises(KeyboardInterrupt), arena.scope() as take:
        kept = filled(take(32), SECRET)
        address = address_of(kept)
        raise KeyboardInterrupt
    assert bytes_at(arena, address, 32) == bytes(32)
    with pytest.raises(BackendError, match="after its release"):
        publish(kept)


def test_a_scope_gives_out_nothing_after_its_end(arena: Arena) -> None:
    with arena.scope() as take:
        pass
    with pytest.raises(BackendError, match="after its end"):
        take(32)


def test_a_secret_released_inside_a_scope_is_not_released_again_at_its_end(arena: Arena) -> None:
    with arena.scope() as take:
        take(32).release()
        outside = filled(arena.take(32), SECRET)
    assert publish(outside) == SECRET


def test_the_end_of_a_scope_wipes_every_slot_although_one_was_overrun(arena: Arena) -> None:
    with pytest.raises(Tampered), arena.scope() as take:
        address = address_of(filled(take(32), SECRET))
        with take(32).open() as pointer:
            ctypes.memset(pointer + 32, at(pointer + 32, 1)[0] ^ 1, 1)
    assert bytes_at(arena, address, 32) == bytes(32)


@pytest.mark.parametrize("size", [1, 16, 31, 32])
@pytest.mark.parametrize("behind", [True, False])
def test_one_byte_beyond_a_slot_is_found_at_its_release(
    arena: Arena, size: int, behind: bool
) -> None:
    secret = arena.take(size)
    with secret.open() as pointer:
        stray = pointer + size if behind else pointer - 1
        ctypes.memset(stray, at(stray, 1)[0] ^ 0x80, 1)
    with pytest.raises(Tampered, match=f"beyond a slot of {size} bytes"):
        secret.release()


def test_an_overrun_slot_is_wiped_and_usable_again(arena: Arena) -> None:
    before = arena.free_bytes
    secret = filled(arena.take(32), SECRET)
    with secret.open() as pointer:
        ctypes.memset(pointer + 32, 1, 16)
    with pytest.raises(Tampered):
        secret.release()
    assert arena.free_bytes == before
    fresh = arena.take(32)
    assert publish(fresh) == bytes(32)
    fresh.release()


def test_the_full_arena_says_so_and_recovers(arena: Arena) -> None:
    whole = arena.take(arena.free_bytes - 2 * CANARY)
    with pytest.raises(BackendError, match="no room for 1 bytes more") as refusal:
        arena.take(1)
    assert refusal.value.retryable
    whole.release()
    arena.take(1).release()


def test_what_never_fits_is_not_worth_a_retry(arena: Arena) -> None:
    with pytest.raises(BackendError) as refusal:
        arena.take(arena.free_bytes + 1)
    assert not refusal.value.retryable


@pytest.mark.parametrize("size", [0, -1, -64, -(2**70)])
def test_a_slot_without_bytes_is_a_refusal(arena: Arena, size: int) -> None:
    before = arena.free_bytes
    with pytest.raises(BadInput):
        arena.take(size)
    assert arena.free_bytes == before


def test_copy_takes_the_first_bytes_and_never_more_than_the_target_has(arena: Arena) -> None:
    source, target = filled(arena.take(32), SECRET), filled(arena.take(40), b"\xff" * 40)
    copy(target, source)
    assert publish(target) == SECRET + b"\xff" * 8
    with pytest.raises(BadInput):
        copy(source, target)


def test_move_bytes_never_reads_beyond_public_bytes(arena: Arena) -> None:
    secret = arena.take(32)
    with secret.open() as pointer, pytest.raises(BadInput):
        move_bytes(pointer, b"too short", 32)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 700), st.integers(0, 255)), max_size=40))
def test_slots_never_share_a_byte(arena: Arena, moves: list[tuple[bool, int, int]]) -> None:
    before = arena.free_bytes
    live: list[tuple[Secret, bytes]] = []
    for release, number, byte in moves:
        if release and live:
            live.pop(number % len(live))[0].release()
        elif arena.free_bytes > 4096:
            live.append(
                (filled(arena.take(number), bytes([byte]) * number), bytes([byte]) * number)
            )
        for secret, content in live:
            assert publish(secret) == content
    for secret, _ in live:
        secret.release()
    assert arena.free_bytes == before


def test_repr_names_size_and_kind_only(arena: Arena) -> None:
    assert repr(arena) == f"<Arena of 16384 bytes, {arena.kind}>"


def test_what_could_not_be_wiped_is_wiped_the_next_time(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception in the middle: no secret stays, no slot is given to two."""
    before = arena.free_bytes
    secrets = [filled(arena.take(32), SECRET) for _ in range(4)]
    addresses = [address_of(secret) for secret in secrets]
    move, moved = sodium.move_public, [0]

    def failing(target: int, content: bytes) -> None:
        moved[0] += 1
        if moved[0] == 2:
            raise MemoryError
        move(target, content)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(sodium, "move_public", failing)
        release_all(secrets)
    with arena.open():
        pass
    assert [bytes_at(arena, address, 32) for address in addresses] == [bytes(32)] * 4
    assert arena.free_bytes == before
    taken = [arena.take(32) for _ in range(4)]
    assert len({address_of(secret) for secret in taken}) == 4


def test_what_stands_in_a_canarys_place_is_not_copied(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the end of a secret that was too long."""
    secret = arena.take(32)
    with secret.open() as pointer:
        ctypes.memset(pointer, 1, 48)
    with monkeypatch.context() as patch, pytest.raises(Tampered):
        patch.setattr(sodium, "bytes_at", lambda *_: pytest.fail("copied"))
        secret.release()


def test_a_full_arena_wipes_what_was_dropped_before_it_says_so(arena: Arena) -> None:
    """The collector may drop a secret where the lock is held: then it waits in the list."""
    secret = arena.take(arena.free_bytes - 2 * CANARY)
    with arena._lock:
        del secret
    assert arena.free_bytes == 0
    again = arena.take(64)
    assert publish(again) == bytes(64)


def test_a_slot_is_given_back_where_pages_could_not_be_shut(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = arena.free_bytes
    mprotect, failures = mapping._libc.mprotect, [-1]

    def failing_once(*arguments: int) -> int:
        shutting = arguments[2] == mapping.NO_ACCESS
        return failures.pop() if shutting and failures else mprotect(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(mapping._libc, "mprotect", failing_once)
        with pytest.raises(BackendError, match="mprotect"):
            arena.take(32)
        gc.collect()
    with arena.open():
        pass
    assert arena.free_bytes == before
    assert not accessible(arena)
