"""libsodium by pointer, against hashlib."""

from __future__ import annotations

import hashlib

import pytest

from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Arena, publish
from tests.secure.bytes_of import filled


@pytest.mark.parametrize("length", [1, 55, 56, 64, 111, 112, 200])
def test_hashes_are_those_of_hashlib(arena: Arena, length: int) -> None:
    content = bytes(range(length))
    with arena.scope() as take:
        message, short, long = filled(take(length), content), take(32), take(64)
        with message.open() as start, short.open() as out32, long.open() as out64:
            sodium.sha256(out32, start, length)
            sodium.sha512(out64, start, length)
        assert publish(short) == hashlib.sha256(content).digest()
        assert publish(long) == hashlib.sha512(content).digest()


def test_a_hash_may_overwrite_its_message(arena: Arena) -> None:
    content = bytes(range(64))
    with arena.scope() as take:
        short, long = filled(take(64), content), filled(take(64), content)
        with short.open() as pointer:
            sodium.sha256(pointer, pointer, 64)
        with long.open() as pointer:
            sodium.sha512(pointer, pointer, 64)
        assert publish(short) == hashlib.sha256(content).digest() + content[32:]
        assert publish(long) == hashlib.sha512(content).digest()


def test_equal_compares_exactly_the_length_asked_for(arena: Arena) -> None:
    with arena.scope() as take:
        one, other = filled(take(32), b"a" * 32), filled(take(32), b"a" * 31 + b"b")
        with one.open() as first, other.open() as second:
            assert sodium.equal(first, second, 31)
            assert not sodium.equal(first, second, 32)
            assert sodium.equal(first, first, 32)


def test_random_bytes_fill_exactly_the_length_asked_for(arena: Arena) -> None:
    with arena.scope() as take:
        slot = filled(take(64), b"\xa5" * 64)
        with slot.open() as pointer:
            sodium.random_bytes(pointer, 32)
        content = publish(slot)
    assert content[32:] == b"\xa5" * 32
    assert content[:32] != b"\xa5" * 32
