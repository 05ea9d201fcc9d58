"""libsodium by pointer, against hashlib, published answers and an outside judge."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

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


# RFC 8032, 7.1, TEST 2
ED25519_SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
ED25519_PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
ED25519_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)

X25519_SECRET = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
X25519_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")


def test_an_ed25519_signature_is_that_of_the_standard(arena: Arena) -> None:
    with arena.scope() as take:
        seed, secret_key = filled(take(32), ED25519_SEED), take(64)
        with seed.open() as source, secret_key.open() as target:
            assert sodium.ed25519_keypair(source, target) == ED25519_PUBLIC
            assert sodium.ed25519_sign(target, b"\x72") == ED25519_SIGNATURE
    assert sodium.ed25519_verifies(ED25519_PUBLIC, b"\x72", ED25519_SIGNATURE)


def test_an_outside_judge_accepts_and_refuses_the_same_signatures() -> None:
    judge = Ed25519PublicKey.from_public_bytes(ED25519_PUBLIC)
    for bit in range(0, 512, 5):
        changed = bytearray(ED25519_SIGNATURE)
        changed[bit // 8] ^= 1 << bit % 8
        assert not sodium.ed25519_verifies(ED25519_PUBLIC, b"\x72", bytes(changed))
        with pytest.raises(InvalidSignature):
            judge.verify(bytes(changed), b"\x72")
    judge.verify(ED25519_SIGNATURE, b"\x72")
    assert not sodium.ed25519_verifies(ED25519_PUBLIC, b"\x73", ED25519_SIGNATURE)


@pytest.mark.parametrize("surplus", [-1, 1])
def test_a_public_key_or_signature_of_another_length_does_not_verify(surplus: int) -> None:
    key, signature = ED25519_PUBLIC + b"x", ED25519_SIGNATURE + b"x"
    assert not sodium.ed25519_verifies(key[: 32 + surplus], b"\x72", ED25519_SIGNATURE)
    assert not sodium.ed25519_verifies(ED25519_PUBLIC, b"\x72", signature[: 64 + surplus])


def test_an_x25519_public_key_is_that_of_the_standard(arena: Arena) -> None:
    """RFC 7748, 6.1: Alice's."""
    with arena.scope() as take, filled(take(32), X25519_SECRET).open() as secret:
        assert sodium.x25519_public(secret) == X25519_PUBLIC
