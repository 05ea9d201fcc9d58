"""AES-256-GCM over secrets, against published answers and an outside judge."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_mpc.errors import BackendError, BadInput, Tampered
from hsm_mpc.secure import libcrypto, sodium
from hsm_mpc.secure.aead import Aes256Gcm
from hsm_mpc.secure.arena import Arena, publish
from tests.secure.bytes_of import filled

KEY, NONCE, PLAIN = bytes(range(32)), bytes(range(12)), b"a share of a key"


@pytest.fixture
def gcm() -> Aes256Gcm:
    return Aes256Gcm()


def sealed(
    gcm: Aes256Gcm, arena: Arena, key: bytes, nonce: bytes, associated: bytes, plain: bytes
) -> bytes:
    with arena.scope() as take:
        return gcm.seal(filled(take(32), key), nonce, associated, filled(take(len(plain)), plain))


def opened(
    gcm: Aes256Gcm, arena: Arena, key: bytes, nonce: bytes, associated: bytes, box: bytes
) -> bytes:
    with arena.scope() as take:
        into = take(len(box) - 16)
        gcm.open(filled(take(32), key), nonce, associated, box, into)
        return publish(into)


@dataclass(frozen=True, slots=True)
class Answer:
    """A case that its source published."""

    key: str
    nonce: str
    associated: str
    plain: str
    box: str


# The GCM specification (McGrew and Viega), test cases 14, 15 and 16.
PUBLISHED = [
    Answer(
        "00" * 32,
        "00" * 12,
        "",
        "00" * 16,
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    ),
    Answer(
        "feffe9928665731c6d6a8f9467308308" * 2,
        "cafebabefacedbaddecaf888",
        "",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
        "b16aedf5aa0de657ba637b391aafd255",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
        "c5f61e6393ba7a0abcc9f662898015adb094dac5d93471bdec1a502270e3cc6c",
    ),
    Answer(
        "feffe9928665731c6d6a8f9467308308" * 2,
        "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
        "b16aedf5aa0de657ba637b39",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
        "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
    ),
]


@pytest.mark.parametrize("answer", PUBLISHED)
def test_published_answers(gcm: Aes256Gcm, arena: Arena, answer: Answer) -> None:
    key, nonce, associated, plain, box = (
        bytes.fromhex(field)
        for field in (answer.key, answer.nonce, answer.associated, answer.plain, answer.box)
    )
    assert sealed(gcm, arena, key, nonce, associated, plain) == box
    assert opened(gcm, arena, key, nonce, associated, box) == plain


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=12, max_size=12),
    st.binary(max_size=300),
    st.binary(min_size=1, max_size=300),
)
def test_an_outside_judge_agrees(
    gcm: Aes256Gcm, arena: Arena, key: bytes, nonce: bytes, associated: bytes, plain: bytes
) -> None:
    box = AESGCM(key).encrypt(nonce, plain, associated)
    assert sealed(gcm, arena, key, nonce, associated, plain) == box
    assert opened(gcm, arena, key, nonce, associated, box) == plain


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_any_flipped_bit_is_tampered_and_leaves_zeros(gcm: Aes256Gcm, arena: Arena) -> None:
    parts = [KEY, NONCE, b"context", sealed(gcm, arena, KEY, NONCE, b"context", PLAIN)]
    into = arena.take(len(PLAIN))
    for which, part in enumerate(parts):
        for bit in range(8 * len(part)):
            key, nonce, associated, box = (
                flipped(each, bit) if at == which else each for at, each in enumerate(parts)
            )
            with arena.scope() as take, pytest.raises(Tampered, match="not authentic"):
                gcm.open(filled(take(32), key), nonce, associated, box, filled(into, PLAIN))
            assert publish(into) == bytes(len(PLAIN))


@pytest.mark.parametrize("length", [0, 1, 15, 31, 33, 48])
def test_a_ciphertext_of_another_length_is_tampered(
    gcm: Aes256Gcm, arena: Arena, length: int
) -> None:
    box = (sealed(gcm, arena, KEY, NONCE, b"", PLAIN) * 2)[:length]
    with arena.scope() as take, pytest.raises(Tampered, match=f"of {length} bytes for 16"):
        gcm.open(filled(take(32), KEY), NONCE, b"", box, take(16))


@pytest.mark.parametrize("key_size", [16, 31, 33])
def test_a_key_of_another_size_is_a_refusal(gcm: Aes256Gcm, arena: Arena, key_size: int) -> None:
    with arena.scope() as take:
        key = take(key_size)
        with pytest.raises(BadInput):
            gcm.seal(key, NONCE, b"", take(16))
        with pytest.raises(BadInput):
            gcm.open(key, NONCE, b"", bytes(32), take(16))


@pytest.mark.parametrize("nonce_size", [0, 11, 13, 16])
def test_a_nonce_of_another_size_is_a_refusal(
    gcm: Aes256Gcm, arena: Arena, nonce_size: int
) -> None:
    with arena.scope() as take:
        with pytest.raises(BadInput):
            gcm.seal(take(32), bytes(nonce_size), b"", take(16))
        with pytest.raises(BadInput):
            gcm.open(take(32), bytes(nonce_size), b"", bytes(32), take(16))


def test_a_library_that_fails_half_way_leaves_zeros(
    gcm: Aes256Gcm, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(key: int, nonce: bytes, associated: bytes, box: bytes, out: int) -> bool:
        sodium.random_bytes(out, 8)
        raise BackendError("failed half way")

    monkeypatch.setattr(libcrypto, "aes256gcm_open", fail)
    with arena.scope() as take:
        into = take(16)
        with pytest.raises(BackendError, match="half way"):
            gcm.open(take(32), NONCE, b"", bytes(32), into)
        assert publish(into) == bytes(16)
