"""What libsodium's scalar functions leave behind, and XChaCha20-Poly1305 by pointer."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from nacl._sodium import ffi, lib
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_core_ed25519_add,
)

from hsm_mpc.errors import BackendError
from hsm_mpc.secure import sodium
from hsm_mpc.secure import sodium_ed25519 as library
from hsm_mpc.secure.arena import Arena, publish
from tests.secure.bytes_of import filled
from tests.secure.residues import ORDER, Watched, forms

BASE = bytes.fromhex("58" + "66" * 31)
A, B, OUT = 0, 32, 64  # where the operands and the result lie
FACTOR = 0x123456789

Operation = Callable[[int], object]


def le(value: int) -> bytes:
    return value.to_bytes(32, "little")


def left_on_the_stack(operation: Operation) -> int:
    """How many parts of operands and results stand on the stack after `operation`."""

    def work(address: int, stop: Callable[[], None]) -> None:
        operation(address)
        stop()

    with Watched(work) as child:
        numbers = random.Random(os.urandom(8))
        a, b = numbers.randrange(1, ORDER), numbers.randrange(1, ORDER)
        child.shared[A : A + 64] = le(a) + le(b)
        child.run()
        values = [a, b, a + b, a * FACTOR, a + b * FACTOR, -a, a | b << 256]
        return child.found((form for value in values for form in forms(value)), stack_only=True)


def pointer(address: int) -> object:
    return ffi.cast("unsigned char *", address)


OPERATIONS: dict[str, Operation] = {
    "add": lambda at: library.add(at + A, at + B),
    "multiply": lambda at: library.multiply(at + A, le(FACTOR)),
    "negate": lambda at: library.negate(at + A),
    "reduce": lambda at: library.reduce(at + OUT, at + A),
    "horner": lambda at: library.horner(at + OUT, at + A, 2, le(FACTOR)),
    "point_of": lambda at: library.point_of(at + A),
    "diffie_hellman": lambda at: library.diffie_hellman(at + OUT, BASE, at + A),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_leaves_nothing_on_the_stack(operation: Operation) -> None:
    """Step 1.8.1."""
    assert left_on_the_stack(operation) == 0


def test_without_the_cover_a_sum_stays_on_the_stack() -> None:
    """The control: what the test above looks for is there to be found."""

    def uncovered(at: int) -> None:
        first = pointer(at + A)
        lib.crypto_core_ed25519_scalar_add(first, first, pointer(at + B))

    assert max(left_on_the_stack(uncovered) for _ in range(3)) > 0


@pytest.mark.parametrize("length", [32, 48, 100])
def test_a_sealed_secret_is_what_the_bindings_of_bytes_make(arena: Arena, length: int) -> None:
    key, nonce, content = bytes(range(32)), b"n" * 24, bytes(range(length))
    with arena.scope() as take:
        secret, opened = filled(take(32), key), take(length)
        with secret.open() as at, filled(take(length), content).open() as text:
            sealed = sodium.xchacha20poly1305_seal(at, nonce, text, length)
            assert sealed == crypto_aead_xchacha20poly1305_ietf_encrypt(content, None, nonce, key)
            with opened.open() as out:
                assert sodium.xchacha20poly1305_open(at, nonce, sealed, out)
        assert publish(opened) == content


def test_what_is_not_authentic_does_not_open_and_leaves_zeros(arena: Arena) -> None:
    with arena.scope() as take, filled(take(32), b"k" * 32).open() as key:
        with filled(take(32), b"p" * 32).open() as text:
            sealed = sodium.xchacha20poly1305_seal(key, b"n" * 24, text, 32)
        for bit in range(0, 48 * 8, 5):
            changed = bytearray(sealed)
            changed[bit // 8] ^= 1 << bit % 8
            out = filled(take(32), b"x" * 32)
            with out.open() as target:
                assert not sodium.xchacha20poly1305_open(key, b"n" * 24, bytes(changed), target)
            assert publish(out) == bytes(32)


def test_a_library_that_takes_points_of_mixed_order_is_not_used() -> None:
    """CVE-2025-69277: the known answer is B and the point of order 2, added."""
    base, order_two = (
        library.base_multiplied(b"\1" + bytes(31)),
        (2**255 - 20).to_bytes(32, "little"),
    )
    assert crypto_core_ed25519_add(base, order_two) == library._MIXED
    library._require_sound(lambda point: int(library.is_point(point)))
    with pytest.raises(BackendError, match=r"PyNaCl 1\.6\.2") as unsound:
        library._require_sound(lambda _: 1)
    assert not unsound.value.retryable
