from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.cryptoki import ObjectClass
from hsm_mpc.hsm.keys import MissingKey
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena, publish
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key
from hsm_mpc.wrapping.pkcs11_rsa import Pkcs11RsaKey
from hsm_mpc.wrapping.recipients import OaepHash, RsaRecipient
from hsm_mpc.wrapping.token_keys import found_key, made_key
from tests.rsa_pairs import private_key
from tests.wrapping.software import write

DATA_KEY = bytes(range(32))
OAEP_SHA1 = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


@pytest.fixture
def key(make_softhsm_rsa_key: Callable[[], Pkcs11RsaKey]) -> Pkcs11RsaKey:
    return make_softhsm_rsa_key()


def wrapped(arena: Arena, key: Pkcs11RsaKey) -> RsaRecipient:
    with arena.scope() as take:
        data_key = take(32)
        write(data_key, DATA_KEY)
        recipient = key.wrap(data_key, lambda _: b"")
    assert isinstance(recipient, RsaRecipient)
    return recipient


def unwrapped(arena: Arena, key: Pkcs11RsaKey, recipient: RsaRecipient) -> bytes:
    with arena.scope() as take:
        into = take(32)
        key.unwrap(recipient, b"", into)
        return publish(into)


def test_a_recipient_names_the_key_by_its_id_and_the_hash(arena: Arena, key: Pkcs11RsaKey) -> None:
    recipient = wrapped(arena, key)
    assert (recipient.key_id, recipient.oaep_hash) == (key._key.key_id, OaepHash.SHA1)
    assert len(recipient.wrapped) == 384
    assert key.key_uri.endswith(";type=private")


def test_a_handle_that_the_token_forgot_is_found_again(
    arena: Arena, token: Token, key: Pkcs11RsaKey
) -> None:
    recipient, info = wrapped(arena, key), key.public_key_info()
    stale = replace(key._key, handle=key._key.handle + 1000)
    assert unwrapped(arena, Pkcs11RsaKey(token, stale), recipient) == DATA_KEY
    assert Pkcs11RsaKey(token, stale).public_key_info() == info
    assert wrapped(arena, Pkcs11RsaKey(token, stale)).key_id == recipient.key_id


def test_a_key_that_was_destroyed_is_missing_and_opens_nothing(
    arena: Arena, token: Token, key: Pkcs11RsaKey
) -> None:
    recipient = wrapped(arena, key)
    keys.destroy(token, key._key)
    for use in (
        lambda: unwrapped(arena, key, recipient),
        lambda: wrapped(arena, key),
        key.public_key_info,
    ):
        with pytest.raises(MissingKey, match="missing"):
            use()


@pytest.mark.parametrize("length", [256, 383, 385, 512])
def test_a_ciphertext_of_another_modulus_never_reaches_the_token(
    arena: Arena, key: Pkcs11RsaKey, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipient = replace(wrapped(arena, key), wrapped=bytes(length))
    monkeypatch.delattr("hsm_mpc.hsm.rsa.decrypt_oaep_into")
    with pytest.raises(Tampered, match="length of RSA-3072"):
        unwrapped(arena, key, recipient)


@pytest.mark.parametrize("oaep_hash", [OaepHash.SHA384, OaepHash.SHA512])
def test_a_recipient_of_a_hash_that_is_never_used_is_refused(
    arena: Arena, key: Pkcs11RsaKey, oaep_hash: OaepHash
) -> None:
    recipient = replace(wrapped(arena, key), oaep_hash=oaep_hash)
    with pytest.raises(Tampered, match=f"names {oaep_hash.value}"):
        unwrapped(arena, key, recipient)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 48])
def test_what_anybody_wrapped_and_is_no_data_key_is_refused(
    arena: Arena, key: Pkcs11RsaKey, length: int
) -> None:
    theirs = private_key(0).public_key().encrypt(bytes(length), OAEP_SHA1)
    recipient = replace(wrapped(arena, key), wrapped=theirs)
    with pytest.raises(Tampered, match=f"unwraps {length} bytes"):
        unwrapped(arena, key, recipient)


def test_it_opens_recipients_of_its_id_alone(arena: Arena, key: Pkcs11RsaKey) -> None:
    with pytest.raises(BadInput, match="does not open"):
        unwrapped(arena, key, replace(wrapped(arena, key), key_id=bytes(20)))


def test_the_class_of_a_key_says_its_backend_and_the_self_test_its_hash(
    token: Token, key: Pkcs11RsaKey
) -> None:
    secret = replace(key._key, object_class=ObjectClass.SECRET_KEY)
    assert isinstance(found_key(token, secret), Pkcs11Key)
    assert isinstance(found_key(token, key._key), Pkcs11RsaKey)
    assert isinstance(made_key(token, secret, Wrapping.AES_GCM), Pkcs11Key)
    for wrapping, oaep_hash in (
        (Wrapping.RSA_OAEP_SHA1, OaepHash.SHA1),
        (Wrapping.RSA_OAEP_SHA256, OaepHash.SHA256),
    ):
        made = made_key(token, key._key, wrapping)
        assert isinstance(made, Pkcs11RsaKey)
        assert made._oaep_hash is oaep_hash
        assert wrapping.key_class is ObjectClass.PRIVATE_KEY
