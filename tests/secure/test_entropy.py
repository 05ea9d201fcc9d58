"""Two sources of randomness, joined exactly as step 1.8.6a says."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable

import pytest

from hsm_mpc.errors import BackendError, BadInput
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Arena, publish
from hsm_mpc.secure.entropy import Entropy

OS, HSM = bytes(range(32)), bytes(range(32, 64))


def filling_with(content: bytes) -> Callable[[int, int], None]:
    def fill(pointer: int, length: int) -> None:
        assert length == len(content)
        ctypes.memmove(pointer, content, length)

    return fill


def test_a_seed_is_the_tagged_hash_of_both_sources_and_a_zero_counter(arena: Arena) -> None:
    entropy = Entropy(filling_with(HSM))
    entropy.os_fill = filling_with(OS)
    tag = hashlib.sha256(b"hsm-mpc/v1/seed").digest()
    with arena.scope() as take:
        seed = take(32)
        entropy.seed(seed)
        assert publish(seed) == hashlib.sha256(tag + tag + OS + HSM + bytes(4)).digest()


def test_without_an_hsm_the_operating_system_is_asked_twice(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(sodium, "random_bytes", lambda _, length: asked.append(length))
    Entropy().seed(arena.take(32))
    assert asked == [32, 32]


def test_two_seeds_differ(arena: Arena) -> None:
    first, second = arena.take(32), arena.take(32)
    entropy = Entropy()
    entropy.seed(first)
    entropy.seed(second)
    assert publish(first) != publish(second) != bytes(32)


@pytest.mark.parametrize("size", [1, 31, 33, 64])
def test_a_seed_of_another_size_is_a_refusal(arena: Arena, size: int) -> None:
    with pytest.raises(BadInput, match=f"not {size}"):
        Entropy().seed(arena.take(size))


def test_a_source_that_fails_leaves_no_half_of_a_seed_behind(arena: Arena) -> None:
    def fail(pointer: int, length: int) -> None:
        raise BackendError("no token")

    before = arena.free_bytes
    seed = arena.take(32)
    with pytest.raises(BackendError, match="no token"):
        Entropy(fail).seed(seed)
    assert publish(seed) == bytes(32)
    seed.release()
    assert arena.free_bytes == before
