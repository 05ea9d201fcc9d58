from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from hsm_mpc.errors import Tampered
from hsm_mpc.hsm import keys, uri
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.keys import Key, MissingKey
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena, publish
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key
from hsm_mpc.wrapping.recipients import KeyRecipient, Recipient, RecipientFields
from tests.wrapping.softhsm import LABEL
from tests.wrapping.software import write

DATA_KEY = bytes(range(32))
KEY_ID = b"CKA_ID of 20 bytes.."


@pytest.fixture
def made(token: Token) -> Key:
    return keys.generate_wrapping_key(token, KEY_ID, LABEL)


def bind(fields: RecipientFields) -> bytes:
    return hashlib.sha256(repr(fields).encode()).digest()


def wrapped(arena: Arena, key: Pkcs11Key) -> KeyRecipient:
    with arena.scope() as take:
        data_key = take(32)
        write(data_key, DATA_KEY)
        recipient = key.wrap(data_key, bind)
    assert isinstance(recipient, KeyRecipient)
    return recipient


def unwrapped(arena: Arena, key: Pkcs11Key, recipient: KeyRecipient) -> bytes:
    with arena.scope() as take:
        into = take(32)
        key.unwrap(recipient, bind(recipient.fields), into)
        return publish(into)


def test_a_recipient_names_the_key_by_its_uri(arena: Arena, token: Token, made: Key) -> None:
    fields = wrapped(arena, Pkcs11Key(token, made)).fields
    identity = "".join(f"%{byte:02X}" for byte in KEY_ID)
    prefix = uri.token_part(token.label, token.serial)
    assert fields.key_uri == f"{prefix};id={identity};type=secret-key"
    assert fields.key_version == ""
    assert len(fields.iv) == 12


def test_a_data_key_is_opened_by_the_key_found_again(arena: Arena, token: Token, made: Key) -> None:
    recipient = wrapped(arena, Pkcs11Key(token, made))
    found = keys.wrapping_key(token, KEY_ID, LABEL)
    assert unwrapped(arena, Pkcs11Key(token, found), recipient) == DATA_KEY


def test_a_handle_that_the_token_forgot_is_found_again(
    arena: Arena, token: Token, made: Key
) -> None:
    recipient = wrapped(arena, Pkcs11Key(token, made))
    stale = replace(made, handle=made.handle + 1000)
    assert unwrapped(arena, Pkcs11Key(token, stale), recipient) == DATA_KEY
    assert wrapped(arena, Pkcs11Key(token, stale)).fields.key_uri == recipient.fields.key_uri


def test_a_key_that_was_destroyed_is_missing_and_opens_nothing(
    arena: Arena, token: Token, made: Key
) -> None:
    key = Pkcs11Key(token, made)
    recipient = wrapped(arena, key)
    keys.destroy(token, made)
    with pytest.raises(MissingKey, match="missing"):
        unwrapped(arena, key, recipient)
    with pytest.raises(MissingKey, match="missing"):
        wrapped(arena, key)


def test_a_token_that_forgets_every_handle_is_not_asked_for_ever(
    arena: Arena, token: Token, made: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def forgets(*_: object) -> int:
        asked.append(1)
        raise StaleHandle("the token forgot this handle")

    key = Pkcs11Key(token, made)
    recipient = wrapped(arena, key)
    monkeypatch.setattr("hsm_mpc.hsm.direct.decrypt_gcm_into", forgets)
    with pytest.raises(StaleHandle):
        unwrapped(arena, key, recipient)
    assert len(asked) == 2


def shorter_iv(recipient: KeyRecipient) -> Recipient:
    return replace(recipient, fields=replace(recipient.fields, iv=bytes(11)))


def iv_of_a_device(recipient: KeyRecipient) -> Recipient:
    return replace(recipient, fields=replace(recipient.fields, iv=bytes(16)))


def shorter_ciphertext(recipient: KeyRecipient) -> Recipient:
    return replace(recipient, wrapped=recipient.wrapped[:-1])


def longer_ciphertext(recipient: KeyRecipient) -> Recipient:
    return replace(recipient, wrapped=recipient.wrapped + b"\0")


@pytest.mark.parametrize(
    "change", [shorter_iv, iv_of_a_device, shorter_ciphertext, longer_ciphertext]
)
def test_other_lengths_never_reach_the_token(
    arena: Arena,
    token: Token,
    made: Key,
    change: Callable[[KeyRecipient], KeyRecipient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = Pkcs11Key(token, made)
    changed = change(wrapped(arena, key))
    monkeypatch.delattr("hsm_mpc.hsm.direct.decrypt_gcm_into")
    with pytest.raises(Tampered, match="lengths of AES-GCM"):
        unwrapped(arena, key, changed)
