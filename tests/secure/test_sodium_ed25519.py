"""What libsodium's scalar functions leave behind, and XChaCha20-Poly1305 by pointer."""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import warnings
from collections.abc import Callable, Iterator

import pytest
from nacl._sodium import ffi, lib
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt

from hsm_mpc.secure import sodium
from hsm_mpc.secure import sodium_ed25519 as library
from hsm_mpc.secure.arena import Arena, publish
from tests.secure.bytes_of import filled

BASE = bytes.fromhex("58" + "66" * 31)
A, B, OUT = 0, 32, 64  # where the operands and the result lie
FACTOR = 0x123456789

Operation = Callable[[int], object]


def le(value: int) -> bytes:
    return value.to_bytes(32, "little")


def limbs(value: int) -> Iterator[bytes]:
    """libsodium's own form: 21 bits in 8 bytes. Pairs of them: one alone is met by accident."""
    parts = [value >> (21 * place) & 0x1FFFFF for place in range(12)]
    return (struct.pack("<2q", *parts[place : place + 2]) for place in range(11))


def digits(value: int) -> Iterator[bytes]:
    """The signed half bytes by which a point is multiplied, eight at a time."""
    carry, found = 0, []
    for place in range(64):
        digit = (value >> (4 * place) & 15) + carry
        carry = (digit + 8) >> 4 if place < 63 else 0
        found.append((digit - (carry << 4)) & 255)
    return (bytes(found[place : place + 8]) for place in range(0, 64, 8))


def left_on_the_stack(operation: Operation) -> int:
    """How many parts of operands and results stand on the stack of a child that ran `operation`.

    The operands come to it by shared memory, after the fork; it stops itself and is read.
    """
    shared = mmap.mmap(-1, 4096)
    address = int(ffi.cast("uintptr_t", ffi.from_buffer(shared)))
    ready, go = os.pipe()
    with warnings.catch_warnings():
        # From 3.12 on Python warns of other threads, such as those of pytest-xdist.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # as few calls as possible after the operation: each covers a part of it
        stop, me, kill = signal.SIGSTOP, os.getpid(), os.kill
        os.read(ready, 1)
        operation(address)
        kill(me, stop)
        os._exit(0)
    try:
        numbers = random.Random(os.urandom(8))
        a, b = numbers.randrange(1, library.ORDER), numbers.randrange(1, library.ORDER)
        shared[A : A + 64] = le(a) + le(b)
        os.write(go, b"!")
        os.waitpid(child, os.WUNTRACED)
        with open(f"/proc/{child}/maps", encoding="ascii") as maps:
            (line,) = [line for line in maps if line.rstrip().endswith("[stack]")]
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        with open(f"/proc/{child}/mem", "rb", buffering=0) as memory:
            memory.seek(start)
            stack = memory.read(end - start)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(go)
    values = [a, b, a + b, a * FACTOR, a + b * FACTOR, library.ORDER - a, a | b << 256]
    needles = [needle for value in values for needle in limbs(value % library.ORDER)]
    needles += limbs(a + b)
    needles += [part for value in (a, b) for part in digits(value)]
    needles += [le(value)[at : at + 8] for value in (a, b) for at in range(0, 32, 8)]
    return sum(needle in stack for needle in needles)


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


def test_what_a_step_made_public_is_read_exactly(arena: Arena) -> None:
    with arena.scope() as take, filled(take(32), bytes(range(32))).open() as start:
        assert sodium.published(start + 3, 5) == bytes([3, 4, 5, 6, 7])
