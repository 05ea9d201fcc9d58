"""RSA in a token, by pointer: OAEP under pairs whose numbers the tests know, and PSS."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_mpc.errors import BackendError, BadInput
from hsm_mpc.hsm import keys, objects, rsa
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.cryptoki import Attribute, Hash, Mechanism, ObjectClass, address_of, ffi
from hsm_mpc.hsm.direct import AmbiguousAnswer, CiphertextRefused
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.listing import listing
from hsm_mpc.hsm.token import Token
from tests.hsm.lying import WALLET_LABEL, Answer, lie
from tests.rsa_pairs import brought_in, private_key

PLAINTEXT = bytes(range(100, 132))
OAEP_SHA1 = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


def pair(token: Token, number: int) -> Key:
    with administration(token) as session:
        return brought_in(session, number, os.urandom(20), WALLET_LABEL)


@pytest.fixture
def rsa_key(token: Token) -> Key:
    return pair(token, 0)


def sealed_by(token: Token, key: Key, plaintext: bytes = PLAINTEXT) -> bytes:
    buffer = ffi.from_buffer(plaintext)
    return rsa.encrypt_oaep(token, key, Hash.SHA1, address_of(buffer), len(plaintext))


def opened_by(token: Token, key: Key, sealed: bytes, hash_: Hash = Hash.SHA1) -> bytes:
    out = ffi.new("CK_BYTE[]", rsa.RSA_BYTES)
    length = rsa.decrypt_oaep_into(token, key, hash_, sealed, address_of(out), len(out))
    return bytes(out[0:length])


def test_the_token_gives_back_what_it_encrypted(token: Token, rsa_key: Key) -> None:
    sealed = sealed_by(token, rsa_key)
    assert len(sealed) == 384
    assert opened_by(token, rsa_key, sealed) == PLAINTEXT
    assert sealed_by(token, rsa_key) != sealed


def test_an_independent_implementation_reads_and_writes_the_same(
    token: Token, rsa_key: Key
) -> None:
    assert private_key(0).decrypt(sealed_by(token, rsa_key), OAEP_SHA1) == PLAINTEXT
    theirs = private_key(0).public_key().encrypt(PLAINTEXT, OAEP_SHA1)
    assert opened_by(token, rsa_key, theirs) == PLAINTEXT


@pytest.mark.parametrize("form", [PublicFormat.PKCS1, PublicFormat.SubjectPublicKeyInfo])
def test_the_private_half_tells_the_public_one(
    token: Token, rsa_key: Key, form: PublicFormat
) -> None:
    expected = private_key(0).public_key().public_bytes(Encoding.DER, form)
    assert rsa.public_numbers(token, rsa_key).encoded(form) == expected


def test_a_public_key_that_somebody_put_there_is_not_used(token: Token, rsa_key: Key) -> None:
    """Public objects are written without a PIN."""
    theirs = private_key(1).public_key().public_numbers()
    template = {
        Attribute.CLASS: objects.number(ObjectClass.PUBLIC_KEY),
        Attribute.KEY_TYPE: objects.number(0),
        Attribute.TOKEN: objects.TRUE,
        Attribute.PRIVATE: objects.FALSE,
        Attribute.ENCRYPT: objects.TRUE,
        Attribute.ID: rsa_key.key_id,
        Attribute.LABEL: rsa_key.label.encode(),
        Attribute.MODULUS: theirs.n.to_bytes(384, "big"),
        Attribute.PUBLIC_EXPONENT: b"\1\0\1",
    }
    objects.create(token, template, "test")
    found = keys.find_wrapping_key(token, rsa_key.key_id, rsa_key.label)
    assert found == rsa_key
    assert opened_by(token, rsa_key, sealed_by(token, found)) == PLAINTEXT
    (planted,) = [key for key in listing(token) if key.object_class is ObjectClass.PUBLIC_KEY]
    assert not planted.is_ours


def test_encrypting_leaves_nothing_in_the_token_and_no_object_in_the_session(
    token: Token, rsa_key: Key
) -> None:
    def public_keys() -> tuple[int, ...]:
        return objects.matching(token, {Attribute.CLASS: objects.number(ObjectClass.PUBLIC_KEY)})

    sealed_by(token, rsa_key)
    assert public_keys() == ()


def test_a_failed_encryption_leaves_no_object_either(
    token: Token, rsa_key: Key, answer: Answer
) -> None:
    answer("C_Encrypt", 0x30)
    with pytest.raises(BackendError, match="C_Encrypt answered CKR_DEVICE_ERROR"):
        sealed_by(token, rsa_key)
    assert objects.matching(token, {Attribute.KEY_TYPE: objects.number(0)}) == (rsa_key.handle,)


def flipped(sealed: bytes) -> bytes:
    return sealed[:-1] + bytes((sealed[-1] ^ 1,))


def test_a_flipped_bit_another_key_and_another_hash_are_refused(
    token: Token, rsa_key: Key, answer: Answer
) -> None:
    sealed = sealed_by(token, rsa_key)
    with pytest.raises(CiphertextRefused):
        opened_by(token, rsa_key, flipped(sealed))
    with pytest.raises(CiphertextRefused):
        opened_by(token, pair(token, 1), sealed)
    by_sha256 = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    with pytest.raises(CiphertextRefused):
        opened_by(token, rsa_key, private_key(0).public_key().encrypt(PLAINTEXT, by_sha256))
    assert opened_by(token, rsa_key, sealed) == PLAINTEXT


def test_a_hash_that_the_module_lacks_is_no_refusal_of_the_ciphertext(
    token: Token, rsa_key: Key
) -> None:
    with pytest.raises(BackendError, match="C_DecryptInit answered CKR_ARGUMENTS_BAD") as caught:
        opened_by(token, rsa_key, sealed_by(token, rsa_key), Hash.SHA256)
    assert not caught.value.retryable


def test_the_parameters_say_one_hash_and_no_label(
    token: Token, rsa_key: Key, answer: Answer
) -> None:
    said: list[tuple[int, ...]] = []

    def noted(_: int, mechanism: Any, __: int) -> int:
        assert mechanism.mechanism == Mechanism.RSA_PKCS_OAEP
        given = ffi.cast("CK_RSA_PKCS_OAEP_PARAMS *", mechanism.pParameter)
        said.append((given.hashAlg, given.mgf, given.source, given.ulSourceDataLen))
        assert mechanism.ulParameterLen == ffi.sizeof("CK_RSA_PKCS_OAEP_PARAMS")
        return 0x30

    token.canary = None  # nobody asks whether the token is well
    answer("C_DecryptInit", noted)
    for hash_ in Hash:
        with pytest.raises(BackendError):
            opened_by(token, rsa_key, bytes(384), hash_)
    assert said == [(0x220, 1, 1, 0), (0x250, 2, 1, 0)]


@pytest.mark.parametrize("code", [0x5, 0x6])
def test_an_ambiguous_answer_of_a_token_that_is_away_is_no_refusal(
    token: Token, rsa_key: Key, answer: Answer, code: int
) -> None:
    sealed = sealed_by(token, rsa_key)
    answer("C_Decrypt", code)
    with pytest.raises(AmbiguousAnswer) as caught:
        opened_by(token, rsa_key, sealed)
    assert caught.value.retryable


@pytest.mark.parametrize(("length", "room"), [(383, 384), (385, 400), (0, 384), (384, 383)])
def test_wrong_lengths_never_reach_the_module(
    token: Token, rsa_key: Key, answer: Answer, length: int, room: int
) -> None:
    answer("C_DecryptInit", 0x30)
    out = ffi.new("CK_BYTE[400]")
    with pytest.raises(BadInput, match="RSA-OAEP"):
        rsa.decrypt_oaep_into(token, rsa_key, Hash.SHA1, bytes(length), address_of(out), room)


def test_nothing_is_not_encrypted(token: Token, rsa_key: Key, answer: Answer) -> None:
    answer("C_EncryptInit", 0x30)
    with pytest.raises(BadInput, match="RSA-OAEP"):
        rsa.encrypt_oaep(token, rsa_key, Hash.SHA1, address_of(ffi.new("CK_BYTE[1]")), 0)


def longer_by(token: Token, answer: Answer, function: str, change: int) -> None:
    """The function says that it wrote `change` bytes more than it did."""
    honest: Callable[..., int] = getattr(token.calls, function)

    def changed(*arguments: Any) -> int:
        code = honest(*arguments)
        arguments[-1][0] += change
        return code

    answer(function, changed)


def test_a_length_that_cannot_be_is_an_error(token: Token, rsa_key: Key, answer: Answer) -> None:
    token.canary = None  # nobody asks whether the token is well
    sealed = sealed_by(token, rsa_key)
    longer_by(token, answer, "C_Decrypt", 384)
    with pytest.raises(BackendError, match="C_Decrypt wrote 416 bytes"):
        opened_by(token, rsa_key, sealed)
    longer_by(token, answer, "C_Encrypt", -1)
    with pytest.raises(BackendError, match="ciphertext of a wrong length"):
        sealed_by(token, rsa_key)


@pytest.mark.parametrize("function", ["C_CreateObject", "C_EncryptInit", "C_DestroyObject"])
def test_a_token_that_does_not_encrypt_is_unavailable(
    token: Token, rsa_key: Key, answer: Answer, function: str
) -> None:
    answer(function, 0x30)
    with pytest.raises(BackendError, match=f"{function} answered CKR_DEVICE_ERROR"):
        sealed_by(token, rsa_key)


def test_a_key_that_is_gone_is_stale(token: Token, rsa_key: Key) -> None:
    sealed = sealed_by(token, rsa_key)
    keys.destroy(token, rsa_key)
    with pytest.raises(StaleHandle):
        sealed_by(token, rsa_key)
    with pytest.raises(StaleHandle):
        opened_by(token, rsa_key, sealed)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Attribute.MODULUS, None),
        (Attribute.MODULUS, b"\x7f" + bytes(383)),
        (Attribute.MODULUS, bytes(128) + b"\xff" + bytes(255)),
    ],
)
def test_a_pair_that_tells_no_modulus_of_3072_bits_is_not_used(
    token: Token, rsa_key: Key, answer: Answer, kind: Attribute, value: bytes | None
) -> None:
    lie(answer, token, kind, value)
    with pytest.raises(BackendError, match="no modulus of 3072 bits") as caught:
        sealed_by(token, rsa_key)
    assert not caught.value.retryable


@pytest.mark.parametrize("exponent", [None, b"", b"\1", b"\3", b"\1\0\1\0"])
def test_nothing_is_encrypted_with_another_exponent(
    token: Token, rsa_key: Key, answer: Answer, exponent: bytes | None
) -> None:
    """With exponent 1 the data key would stand in the blob."""
    lie(answer, token, Attribute.PUBLIC_EXPONENT, exponent)
    with pytest.raises(BackendError, match="another exponent than 65537"):
        sealed_by(token, rsa_key)


def test_a_modulus_may_begin_with_zeros(token: Token, rsa_key: Key, answer: Answer) -> None:
    honest = rsa.public_numbers(token, rsa_key)
    lie(answer, token, Attribute.MODULUS, b"\0" + honest.modulus)
    assert rsa.public_numbers(token, rsa_key) == honest


@pytest.mark.parametrize("length", [0, 20, 31, 33, 64])
def test_only_a_digest_of_32_bytes_is_signed(token: Token, rsa_key: Key, length: int) -> None:
    with pytest.raises(BadInput, match="digest of 32 bytes"):
        rsa.sign_pss(token, rsa_key, bytes(length))
