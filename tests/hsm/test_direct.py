from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hsm_mpc.errors import BackendError, BadInput, Tampered
from hsm_mpc.hsm import direct, gcm, keys
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.cryptoki import ObjectClass, address_of, ffi
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena
from tests.hsm.lying import Answer

IV = bytes(range(12))
DATA = b"what the ciphertext is bound to."
PLAINTEXT = bytes(range(100, 132))


def sealed_by(token: Token, key: Key, plaintext: bytes = PLAINTEXT) -> bytes:
    buffer = ffi.from_buffer(plaintext)
    return gcm.encrypt_gcm(token, key, IV, DATA, address_of(buffer), len(plaintext))


def opened_by(
    token: Token, key: Key, sealed: bytes, iv: bytes = IV, data: bytes = DATA, room: int = 0
) -> bytes:
    out = ffi.new("CK_BYTE[]", max(len(sealed), 1))
    room = room or len(out)
    length = direct.decrypt_gcm_into(token, key, iv, data, sealed, address_of(out), room)
    return bytes(out[0:length])


@pytest.fixture
def imported(token: Token) -> Iterator[tuple[Key, bytes]]:
    """A session key of known value, and the value."""
    value = os.urandom(32)
    with administration(token) as session:
        key = session.create_object(
            {
                pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES,
                pkcs11.Attribute.VALUE: value,
                pkcs11.Attribute.ENCRYPT: True,
                pkcs11.Attribute.DECRYPT: True,
                pkcs11.Attribute.TOKEN: False,
            }
        )
        assert key.handle is not None
        yield Key(key.handle, ObjectClass.SECRET_KEY, b"imported", "imported"), value


@pytest.mark.parametrize("length", [1, 31, 32, 33, 4096])
def test_the_token_gives_back_what_it_encrypted(token: Token, key: Key, length: int) -> None:
    plaintext = os.urandom(length)
    sealed = sealed_by(token, key, plaintext)
    assert len(sealed) == length + 16
    assert opened_by(token, key, sealed) == plaintext


def test_the_plaintext_goes_from_slot_to_slot(token: Token, key: Key, pin_arena: Arena) -> None:
    with pin_arena.scope() as take:
        source, target = take(32), take(48)
        with source.open() as pointer:
            ctypes.memmove(pointer, PLAINTEXT, 32)
            sealed = gcm.encrypt_gcm(token, key, IV, DATA, pointer, 32)
        with target.open() as pointer:
            assert direct.decrypt_gcm_into(token, key, IV, DATA, sealed, pointer, 48) == 32
            assert ctypes.string_at(pointer, 32) == PLAINTEXT


@pytest.mark.parametrize("data", [b"", DATA, bytes(5000)])
def test_another_library_understands_the_token(
    token: Token, imported: tuple[Key, bytes], data: bytes
) -> None:
    key, value = imported
    theirs = AESGCM(value).encrypt(IV, PLAINTEXT, data)
    assert opened_by(token, key, theirs, data=data) == PLAINTEXT
    buffer = ffi.from_buffer(PLAINTEXT)
    ours = gcm.encrypt_gcm(token, key, IV, data, address_of(buffer), len(PLAINTEXT))
    assert ours == theirs


@pytest.mark.parametrize("byte", [0, 31, 32, 47])
def test_a_flipped_bit_is_a_refused_ciphertext(token: Token, key: Key, byte: int) -> None:
    sealed = bytearray(sealed_by(token, key))
    sealed[byte] ^= 0x80
    with pytest.raises(
        direct.CiphertextRefused, match="ciphertext refused by secret key"
    ) as caught:
        opened_by(token, key, bytes(sealed))
    assert isinstance(caught.value, Tampered)


@pytest.mark.parametrize(("iv", "data"), [(bytes(12), DATA), (IV, b""), (IV, DATA[:-1])])
def test_another_iv_or_other_data_is_a_refused_ciphertext(
    token: Token, key: Key, iv: bytes, data: bytes
) -> None:
    with pytest.raises(direct.CiphertextRefused):
        opened_by(token, key, sealed_by(token, key), iv=iv, data=data)


def test_a_ciphertext_of_another_key_is_refused(token: Token, key: Key) -> None:
    other = keys.generate_wrapping_key(token, bytes(20), key.label)
    with pytest.raises(direct.CiphertextRefused):
        opened_by(token, other, sealed_by(token, key))


def test_a_shortened_tag_is_refused(token: Token, key: Key) -> None:
    with pytest.raises(direct.CiphertextRefused):
        opened_by(token, key, sealed_by(token, key)[:-1])


@pytest.mark.parametrize("code", [0x35, 0x40, 0x41])
def test_a_module_that_says_so_is_believed_without_a_canary(
    token: Token, key: Key, answer: Answer, code: int
) -> None:
    sealed = sealed_by(token, key)
    token.canary = None
    answer("C_Decrypt", code)
    with pytest.raises(direct.CiphertextRefused, match="C_Decrypt answered"):
        opened_by(token, key, sealed)


@pytest.mark.parametrize("code", [0x5, 0x6, 0x20, 0x21])
def test_a_token_that_no_longer_decrypts_its_canary_is_unavailable(
    token: Token, key: Key, answer: Answer, code: int
) -> None:
    sealed = sealed_by(token, key)
    answer("C_Decrypt", code)
    with pytest.raises(direct.AmbiguousAnswer) as caught:
        opened_by(token, key, sealed)
    assert caught.value.retryable


@pytest.mark.parametrize("code", [0x5, 0x6, 0x20, 0x21])
def test_a_fault_that_passes_is_no_refused_ciphertext(
    token: Token, key: Key, answer: Answer, code: int
) -> None:
    sealed = sealed_by(token, key)
    honest = token.calls.C_Decrypt
    codes = [code]

    def failing_once(*arguments: Any) -> int:
        answered: int = codes.pop() if codes else honest(*arguments)
        return answered

    answer("C_Decrypt", failing_once)
    assert opened_by(token, key, sealed) == PLAINTEXT
    assert not codes


def test_without_a_canary_nobody_can_tell_a_wrong_blob_from_a_broken_token(
    token: Token, key: Key
) -> None:
    token.canary = None
    with pytest.raises(direct.AmbiguousAnswer):
        opened_by(token, key, bytes(48))


@pytest.mark.parametrize("function", ["C_DecryptInit", "C_Decrypt"])
@pytest.mark.parametrize("code", [0x30, 0xB3])
def test_a_token_that_fails_is_unavailable_and_its_canary_not_asked(
    token: Token, key: Key, answer: Answer, function: str, code: int
) -> None:
    sealed = sealed_by(token, key)
    calls: list[int] = []

    def failing(*_: Any) -> int:
        calls.append(1)
        return code

    answer(function, failing)
    with pytest.raises(BackendError, match=f"{function} answered CKR_"):
        opened_by(token, key, sealed)
    assert len(calls) == 1


def test_a_destroyed_key_is_a_stale_handle(token: Token, key: Key) -> None:
    sealed = sealed_by(token, key)
    keys.destroy(token, key)
    with pytest.raises(StaleHandle):
        opened_by(token, key, sealed)


@pytest.mark.parametrize("function", ["C_EncryptInit", "C_Encrypt"])
def test_a_token_that_does_not_encrypt_is_unavailable(
    token: Token, key: Key, answer: Answer, function: str
) -> None:
    answer(function, 0x30)
    with pytest.raises(BackendError, match=f"{function} answered CKR_DEVICE_ERROR"):
        sealed_by(token, key)


@pytest.mark.parametrize("function", ["C_SignInit", "C_Sign"])
def test_a_token_that_does_not_sign_is_unavailable(
    token: Token, answer: Answer, function: str
) -> None:
    pair = keys.generate_identity_key(token)
    answer(function, 0x30)
    with pytest.raises(BackendError, match=f"{function} answered CKR_DEVICE_ERROR"):
        direct.sign_digest(token, pair.private, bytes(32))


def with_length(token: Token, answer: Answer, function: str, change: int) -> None:
    """The function says that it wrote `change` bytes more than it did."""
    honest = getattr(token.calls, function)

    def changed(*arguments: Any) -> int:
        code: int = honest(*arguments)
        arguments[-1][0] += change
        return code

    answer(function, changed)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_plaintext_of_a_wrong_length_is_refused(
    token: Token, key: Key, answer: Answer, change: int
) -> None:
    sealed = sealed_by(token, key)
    with_length(token, answer, "C_Decrypt", change)
    with pytest.raises(BackendError, match=f"C_Decrypt wrote {32 + change} bytes") as caught:
        opened_by(token, key, sealed)
    assert not caught.value.retryable


@pytest.mark.parametrize("change", [-1, 1])
def test_a_ciphertext_of_a_wrong_length_is_refused(
    token: Token, key: Key, answer: Answer, change: int
) -> None:
    with_length(token, answer, "C_Encrypt", change)
    with pytest.raises(BackendError, match="C_Encrypt wrote a wrong length"):
        sealed_by(token, key)


def test_a_signature_of_a_wrong_length_is_refused(token: Token, answer: Answer) -> None:
    pair = keys.generate_identity_key(token)
    with_length(token, answer, "C_Sign", -1)
    with pytest.raises(BackendError, match="signature of a wrong length"):
        direct.sign_digest(token, pair.private, bytes(32))


def test_a_module_that_chooses_its_own_iv_is_refused(
    token: Token, key: Key, answer: Answer
) -> None:
    honest = token.calls.C_EncryptInit

    def choosing(session: int, mechanism: Any, handle: int) -> int:
        ffi.cast("CK_GCM_PARAMS *", mechanism.pParameter).pIv[0] ^= 1
        code: int = honest(session, mechanism, handle)
        return code

    answer("C_EncryptInit", choosing)
    with pytest.raises(BackendError, match="changed the IV") as caught:
        sealed_by(token, key)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("iv", "length", "room"),
    [
        (IV[:-1], 48, 48),
        (IV + b"\0", 48, 48),
        (IV, 16, 48),
        (IV, 0, 48),
        (IV, 48, 47),
        (IV, 48, 32),
    ],
)
def test_wrong_lengths_never_reach_the_module(
    token: Token, key: Key, answer: Answer, iv: bytes, length: int, room: int
) -> None:
    answer("C_DecryptInit", 0x30)
    with pytest.raises(BadInput, match="AES-GCM"):
        opened_by(token, key, bytes(length), iv=iv, room=room)


@pytest.mark.parametrize(("iv", "length"), [(IV[:-1], 32), (IV + b"\0", 32), (IV, 0), (IV, -1)])
def test_wrong_lengths_are_not_encrypted(
    token: Token, key: Key, answer: Answer, iv: bytes, length: int
) -> None:
    answer("C_EncryptInit", 0x30)
    with pytest.raises(BadInput, match="AES-GCM"):
        gcm.encrypt_gcm(token, key, iv, DATA, address_of(ffi.new("CK_BYTE[32]")), length)


@pytest.mark.parametrize("length", [0, 20, 31, 33, 64])
def test_only_a_digest_of_32_bytes_is_signed(token: Token, key: Key, length: int) -> None:
    with pytest.raises(BadInput, match="digest of 32 bytes"):
        direct.sign_digest(token, key, bytes(length))


def test_a_session_that_saw_a_refusal_is_not_used_again(
    token: Token, key: Key, answer: Answer
) -> None:
    sealed = sealed_by(token, key)
    assert len(token.pool._idle) == 1
    used = token.pool._idle[0].handle
    honest = token.calls.C_CloseSession
    closed: list[int] = []

    def noted(handle: int) -> int:
        closed.append(handle)
        code: int = honest(handle)
        return code

    answer("C_CloseSession", noted)
    with pytest.raises(direct.CiphertextRefused):
        opened_by(token, key, bytes(48))
    assert closed[0] == used
    assert len(set(closed)) == len(closed)
    assert opened_by(token, key, sealed) == PLAINTEXT
