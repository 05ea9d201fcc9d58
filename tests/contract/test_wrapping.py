"""What every wrapping key keeps to, whatever device stands behind it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import pytest

from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.secure.arena import Arena, publish
from hsm_mpc.wrapping.base import Bind, WrappingKey
from hsm_mpc.wrapping.recipients import KeyRecipient, Recipient, RecipientFields, RsaRecipient
from tests.wrapping.software import RsaSoftwareKey, SoftwareKey, write

DATA_KEY: Final = bytes(range(100, 132))

MakeKey = Callable[[], WrappingKey]


def software() -> WrappingKey:
    return SoftwareKey(os.urandom(4).hex())


def software_rsa() -> WrappingKey:
    return RsaSoftwareKey(os.urandom(20))


IN_TOKENS: Final = {"softhsm": "make_softhsm_key", "softhsm-rsa": "make_softhsm_rsa_key"}


@pytest.fixture(params=["software", "software-rsa", "softhsm", "softhsm-rsa"])
def make_key(request: pytest.FixtureRequest) -> MakeKey:
    """Makes a new key of one backend at each call."""
    if request.param in IN_TOKENS:
        make: MakeKey = request.getfixturevalue(IN_TOKENS[request.param])
        return make
    return {"software": software, "software-rsa": software_rsa}[request.param]


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena(16 * 1024)
    yield made
    made.close()


def bound_to(context: bytes) -> Bind:
    return lambda fields: hashlib.sha256(context + repr(fields).encode()).digest()


def associated(recipient: Recipient, context: bytes = b"context") -> bytes:
    if isinstance(recipient, RsaRecipient):
        return b""
    return bound_to(context)(recipient.fields)


def wrapped(arena: Arena, key: WrappingKey, context: bytes = b"context") -> Recipient:
    with arena.scope() as take:
        data_key = take(32)
        write(data_key, DATA_KEY)
        return key.wrap(data_key, bound_to(context))


def unwrapped(
    arena: Arena, key: WrappingKey, recipient: Recipient, context: bytes = b"context"
) -> bytes:
    with arena.scope() as take:
        into = take(32)
        key.unwrap(recipient, associated(recipient, context), into)
        return publish(into)


def test_a_data_key_comes_back(arena: Arena, make_key: MakeKey) -> None:
    key = make_key()
    assert unwrapped(arena, key, wrapped(arena, key)) == DATA_KEY


def test_two_wraps_of_one_data_key_differ(arena: Arena, make_key: MakeKey) -> None:
    key = make_key()
    one, other = wrapped(arena, key), wrapped(arena, key)
    assert one.wrapped != other.wrapped
    if isinstance(one, KeyRecipient) and isinstance(other, KeyRecipient):
        assert one.fields.iv != other.fields.iv


def test_a_wrapped_key_names_the_key_that_opens_it(arena: Arena, make_key: MakeKey) -> None:
    key, other = make_key(), make_key()
    recipient = wrapped(arena, key)
    assert key.opens(recipient)
    assert not other.opens(recipient)
    with pytest.raises(BadInput, match="does not open"):
        unwrapped(arena, other, recipient)


@pytest.mark.parametrize("size", [16, 31, 33, 48])
def test_only_data_keys_of_32_bytes_are_wrapped(arena: Arena, make_key: MakeKey, size: int) -> None:
    key = make_key()
    recipient = wrapped(arena, key)
    with arena.scope() as take:
        slot = take(size)
        with pytest.raises(BadInput, match="32 bytes"):
            key.wrap(slot, bound_to(b"context"))
        with pytest.raises(BadInput, match="32 bytes"):
            key.unwrap(recipient, associated(recipient), slot)


def test_a_flipped_bit_is_refused_and_leaves_zeros(arena: Arena, make_key: MakeKey) -> None:
    key = make_key()
    recipient = wrapped(arena, key)
    for position in (0, len(recipient.wrapped) // 2, len(recipient.wrapped) - 1):
        changed = bytearray(recipient.wrapped)
        changed[position] ^= 1
        forged = replace(recipient, wrapped=bytes(changed))
        with arena.scope() as take:
            into = take(32)
            write(into, DATA_KEY)
            with pytest.raises(Tampered):
                key.unwrap(forged, associated(forged), into)
            assert publish(into) == bytes(32)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrapped_key_of_another_length_is_refused(
    arena: Arena, make_key: MakeKey, change: int
) -> None:
    key = make_key()
    recipient = wrapped(arena, key)
    if isinstance(recipient, RsaRecipient):
        return  # the profile itself refuses what is shorter than the modulus
    longer = (recipient.wrapped + b"\0")[: len(recipient.wrapped) + change]
    with pytest.raises(Tampered):
        unwrapped(arena, key, replace(recipient, wrapped=longer))


def test_a_device_that_binds_the_context_refuses_another_one(
    arena: Arena, make_key: MakeKey
) -> None:
    key = make_key()
    recipient = wrapped(arena, key)
    if not key.binds_context:
        assert unwrapped(arena, key, recipient, b"other") == DATA_KEY
        return
    with pytest.raises(Tampered):
        unwrapped(arena, key, recipient, b"other")


def test_a_device_that_binds_the_context_refuses_another_iv(
    arena: Arena, make_key: MakeKey
) -> None:
    key = make_key()
    recipient = wrapped(arena, key)
    if not isinstance(recipient, KeyRecipient) or not key.binds_context:
        return
    other_iv = bytes(byte ^ 1 for byte in recipient.fields.iv)
    with pytest.raises(Tampered):
        unwrapped(arena, key, replace(recipient, fields=replace(recipient.fields, iv=other_iv)))


def test_the_backend_shows_its_iv_before_the_data_key_is_bound(
    arena: Arena, make_key: MakeKey
) -> None:
    key, shown = make_key(), []

    def bind(fields: RecipientFields) -> bytes:
        shown.append(fields)
        return hashlib.sha256(repr(fields).encode()).digest()

    with arena.scope() as take:
        recipient = key.wrap(take(32), bind)
    if isinstance(recipient, KeyRecipient):
        assert shown == [recipient.fields]


def test_threads_use_one_key_at_once(arena: Arena, make_key: MakeKey) -> None:
    key = make_key()

    def work(number: int) -> bool:
        context = number.to_bytes(4, "big")
        return unwrapped(arena, key, wrapped(arena, key, context), context) == DATA_KEY

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(64)))


def test_nothing_is_left_in_protected_memory(arena: Arena, make_key: MakeKey) -> None:
    before = arena.free_bytes
    key = make_key()
    unwrapped(arena, key, wrapped(arena, key))
    assert arena.free_bytes == before
