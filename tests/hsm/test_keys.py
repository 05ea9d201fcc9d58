from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pkcs11
import pytest

from hsm_mpc.errors import BackendError, BadConfig, BadInput, Refused, Tampered
from hsm_mpc.hsm import attributes, failures, generation, keys, objects, uri
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.cryptoki import Attribute, KeyType, ObjectClass
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.identity import Identity
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.listing import listing
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import Algorithm
from hsm_mpc.secure.arena import Arena
from hsm_mpc.tags import Tag
from tests.hsm.lying import WALLET_LABEL, Answer, lie
from tests.named_steps import changes_seen
from tests.rsa_pairs import brought_in
from tests.softhsm import USER_PIN, create_token, secret_of

KEY_ID = bytes(range(20))


def all_keys(token: Token) -> set[int]:
    return set(objects.matching(token, {Attribute.TOKEN: objects.TRUE}))


def test_the_label_of_a_wrapping_key_names_the_wallet() -> None:
    assert keys.wrapping_label(bytes(range(16))) == ("hsm-mpc/kek/000102030405060708090a0b0c0d0e0f")


def test_a_generated_key_is_found_by_its_name(token: Token) -> None:
    made = keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL)
    assert keys.wrapping_key(token, KEY_ID, WALLET_LABEL) == made
    assert keys.find_wrapping_key(token, KEY_ID, WALLET_LABEL) == made
    assert hash(made) == hash(keys.wrapping_key(token, KEY_ID, WALLET_LABEL))


def test_a_generated_key_has_a_uri_with_token_serial_and_id(token: Token) -> None:
    key_id = "".join(f"%{byte:02X}" for byte in KEY_ID)
    prefix = uri.token_part(token.label, token.serial)
    assert keys.key_uri(token, KEY_ID) == f"{prefix};id={key_id};type=secret-key"


@pytest.mark.parametrize(
    ("key_id", "label"),
    [(bytes(20), WALLET_LABEL), (KEY_ID, keys.wrapping_label(bytes(range(16))))],
)
def test_a_key_of_another_id_or_label_is_not_found(token: Token, key_id: bytes, label: str) -> None:
    keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL)
    assert keys.find_wrapping_key(token, key_id, label) is None


def test_a_key_that_a_record_names_and_that_is_missing_is_tampering(token: Token) -> None:
    with pytest.raises(keys.MissingKey, match=f"id {KEY_ID.hex()} is missing") as caught:
        keys.wrapping_key(token, KEY_ID, WALLET_LABEL)
    assert isinstance(caught.value, Tampered)


def test_a_second_key_with_the_same_name_is_a_refusal(token: Token) -> None:
    with administration(token) as session:
        for _ in range(2):
            generation.aes_key(session, KEY_ID, WALLET_LABEL)
    with pytest.raises(BadConfig, match="2 keys, where one is wanted"):
        keys.find_wrapping_key(token, KEY_ID, WALLET_LABEL)


def test_a_token_that_went_away_has_not_lost_a_key(
    private_module: Module, pin_arena: Arena
) -> None:
    token = create_token(private_module, pin_arena)
    token.login(secret_of(pin_arena, USER_PIN))
    key = keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL)
    configuration = Path(private_module.environment["SOFTHSM2_CONF"])
    shutil.rmtree(configuration.parent / "tokens")
    with pytest.raises(BackendError, match="C_GetTokenInfo answered") as caught:
        keys.wrapping_key(token, key.key_id, key.label)
    assert caught.value.retryable


def test_a_token_that_logged_us_out_has_not_lost_a_key(own_token: Token) -> None:
    key = keys.generate_wrapping_key(own_token, KEY_ID, WALLET_LABEL)
    assert own_token._login_session is not None
    assert own_token.calls.C_Logout(own_token._login_session) == 0
    with pytest.raises(BackendError, match="has logged this process out") as caught:
        keys.find_wrapping_key(own_token, key.key_id, key.label)
    assert caught.value.retryable


def test_a_token_that_does_not_say_whether_we_are_logged_in_is_unavailable(
    token: Token, answer: Answer
) -> None:
    answer("C_GetSessionInfo", 0x30)
    with pytest.raises(BackendError, match="C_GetSessionInfo answered CKR_DEVICE_ERROR"):
        keys.find_wrapping_key(token, KEY_ID, WALLET_LABEL)


def test_a_key_that_anybody_could_have_made_is_not_found(token: Token) -> None:
    template = {
        Attribute.CLASS: objects.number(ObjectClass.SECRET_KEY),
        Attribute.KEY_TYPE: objects.number(KeyType.AES),
        Attribute.TOKEN: objects.TRUE,
        Attribute.PRIVATE: objects.FALSE,
        Attribute.ID: KEY_ID,
        Attribute.LABEL: WALLET_LABEL.encode(),
        Attribute.VALUE: bytes(32),
    }
    objects.create(token, template, "test")
    assert keys.find_wrapping_key(token, KEY_ID, WALLET_LABEL) is None
    key = keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL)
    assert keys.wrapping_key(token, KEY_ID, WALLET_LABEL) == key


def test_a_name_that_is_taken_is_not_given_again(token: Token) -> None:
    keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL)
    before = all_keys(token)
    with pytest.raises(BadConfig, match="is there already"):
        keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL)
    with pytest.raises(BadConfig, match="is there already"):
        keys.generate_canary_key(token)
    assert all_keys(token) == before


@pytest.mark.parametrize("length", [0, 19, 21])
def test_the_id_of_a_wrapping_key_has_twenty_bytes(token: Token, length: int) -> None:
    with pytest.raises(BadInput, match=f"20 bytes, not {length}"):
        keys.generate_wrapping_key(token, bytes(length), WALLET_LABEL)


def test_generating_and_destroying_are_steps(token: Token) -> None:
    with changes_seen() as seen:
        keys.destroy(token, keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL))
    assert seen == [
        "before key.generate",
        "after key.generate",
        "before key.destroy",
        "after key.destroy",
    ]


def test_a_key_with_other_attributes_is_refused_and_destroyed(token: Token, answer: Answer) -> None:
    before = all_keys(token)
    lie(answer, token, Attribute.EXTRACTABLE, objects.TRUE)
    with pytest.raises(Refused, match=r"secret key .*: CKA_EXTRACTABLE is true"):
        keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL)
    assert all_keys(token) == before


def test_a_key_that_the_module_makes_wrongly_is_refused_and_destroyed(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_keys(token)
    monkeypatch.setattr(generation, "_FIXED", {})
    monkeypatch.setattr(
        generation,
        "_NEVER_LEAVES",
        {
            kind: value
            for kind, value in generation._NEVER_LEAVES.items()
            if kind is not pkcs11.Attribute.MODIFIABLE
        },
    )
    with pytest.raises(Refused, match="CKA_MODIFIABLE is true"):
        keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL)
    with pytest.raises(Refused, match="CKA_MODIFIABLE is true"):
        keys.generate_identity_key(token)
    assert all_keys(token) == before


def test_the_identity_key_has_two_halves_with_the_attributes_of_step_6_2_3(token: Token) -> None:
    made = keys.generate_identity_key(token)
    assert keys.find_identity_key(token) == made
    for half in (made.private, made.public):
        required = attributes.IDENTITY[Algorithm.P256][half.object_class]
        assert half.key_id == b"hsm-mpc/identity"
        assert half.label == "hsm-mpc/identity"
        assert attributes.differences(token, half.handle, required) == ()


def test_there_is_one_identity_key(token: Token) -> None:
    assert keys.find_identity_key(token) is None
    keys.generate_identity_key(token)
    with pytest.raises(BadConfig, match="is there already"):
        keys.generate_identity_key(token)


def test_a_private_half_without_its_public_half_is_tampering(token: Token) -> None:
    keys.destroy(token, keys.generate_identity_key(token).public)
    with pytest.raises(keys.MissingKey, match="the public half of the identity key"):
        keys.find_identity_key(token)


def test_a_public_half_that_a_killed_generation_left_is_replaced(token: Token) -> None:
    left = keys.generate_identity_key(token)
    keys.destroy(token, left.private)
    assert keys.find_identity_key(token) is None
    made = keys.generate_identity_key(token)
    assert made.public != left.public
    assert keys.find_identity_key(token) == made


def test_a_private_half_is_never_replaced(token: Token) -> None:
    left = keys.generate_identity_key(token)
    keys.destroy(token, left.public)
    with pytest.raises(BadConfig, match="private key 'hsm-mpc/identity' is there already"):
        keys.generate_identity_key(token)


def test_an_rsa_wrapping_key_is_one_object_that_is_made_and_destroyed_in_one_step(
    token: Token, answer: Answer
) -> None:
    """So a crash leaves no half of it."""
    before = all_keys(token)
    with changes_seen() as seen:
        made = keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL, Wrapping.RSA_OAEP_SHA1)
    assert seen == ["before key.generate", "after key.generate"]
    assert all_keys(token) == before | {made.handle}
    assert made.object_class is ObjectClass.PRIVATE_KEY
    assert attributes.differences(token, made.handle, attributes.RSA_WRAPPING_KEY) == ()
    assert keys.find_wrapping_key(token, KEY_ID, WALLET_LABEL) == made
    assert keys.wrapping_key(token, KEY_ID, WALLET_LABEL, ObjectClass.PRIVATE_KEY) == made
    with pytest.raises(keys.MissingKey, match="secret key"):
        keys.wrapping_key(token, KEY_ID, WALLET_LABEL)
    for wrapping in Wrapping:
        with pytest.raises(BadConfig, match="is there already"):
            keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL, wrapping)
    (listed,) = [key for key in listing(token) if key.label == WALLET_LABEL]
    assert (listed.key_type, listed.is_ours, listed.differences) == ("RSA", True, ())
    lie(answer, token, Attribute.SIGN, objects.TRUE)
    with pytest.raises(Refused, match=r"private key .*: CKA_SIGN is true"):
        keys.require_attributes(token, made)
    keys.destroy(token, made)
    assert all_keys(token) == before


def test_a_key_of_each_class_under_one_name_is_a_refusal(token: Token) -> None:
    keys.generate_wrapping_key(token, KEY_ID, WALLET_LABEL)
    with administration(token) as session:
        brought_in(session, 0, KEY_ID, WALLET_LABEL)
    with pytest.raises(BadConfig, match=r"two keys, where one is wanted: secret key .*, private"):
        keys.find_wrapping_key(token, KEY_ID, WALLET_LABEL)


def test_an_rsa_identity_key_has_two_halves_with_the_attributes_of_step_6_2_3(
    token: Token, answer: Answer
) -> None:
    made = keys.generate_identity_key(token, Algorithm.RSA3072)
    assert keys.find_identity_key(token) == made
    for half in (made.private, made.public):
        required = attributes.IDENTITY[Algorithm.RSA3072][half.object_class]
        assert attributes.differences(token, half.handle, required) == ()
        keys.require_attributes(token, half)
    Identity(token, made).sign(Tag.CARD, b"message")
    lie(answer, token, Attribute.DECRYPT, objects.TRUE)
    with pytest.raises(Refused, match="CKA_DECRYPT is true"):
        keys.require_attributes(token, made.private)


def test_a_destroyed_key_is_gone_by_name_and_by_handle(token: Token, key: Key) -> None:
    keys.destroy(token, key)
    assert keys.find_wrapping_key(token, key.key_id, key.label) is None
    with pytest.raises(StaleHandle):
        keys.destroy(token, key)


def test_a_key_that_is_still_named_after_its_destruction_is_an_error(
    token: Token, key: Key, answer: Answer
) -> None:
    answer("C_DestroyObject", 0)
    with pytest.raises(BackendError, match="was destroyed and is still there"):
        keys.destroy(token, key)


def test_a_key_that_only_its_name_still_gives_is_an_error(
    token: Token, key: Key, answer: Answer
) -> None:
    answer("C_DestroyObject", 0)
    answer("C_GetAttributeValue", failures.OBJECT_HANDLE_INVALID)
    with pytest.raises(BackendError, match="was destroyed and is still there"):
        keys.destroy(token, key)


def test_a_key_that_its_handle_still_gives_is_an_error(
    token: Token, key: Key, answer: Answer
) -> None:
    def found_nothing(_: int, __: Any, ___: int, count: Any) -> int:
        count[0] = 0
        return 0

    answer("C_DestroyObject", 0)
    answer("C_FindObjects", found_nothing)
    with pytest.raises(BackendError, match="was destroyed and is still there"):
        keys.destroy(token, key)


def test_two_wallets_have_a_key_each(token: Token) -> None:
    names = [(os.urandom(20), keys.wrapping_label(bytes((number,)) * 16)) for number in range(2)]
    made = [keys.generate_wrapping_key(token, *name) for name in names]
    assert made[0].handle != made[1].handle
    assert [keys.wrapping_key(token, *name) for name in names] == made


# At each start


def test_a_wrapping_key_that_is_not_as_it_was_made_is_not_used(
    token: Token, key: Key, answer: Answer
) -> None:
    assert keys.wrapping_key(token, key.key_id, key.label) == key
    lie(answer, token, Attribute.EXTRACTABLE, objects.TRUE)
    with pytest.raises(Refused, match="CKA_EXTRACTABLE is true") as caught:
        keys.wrapping_key(token, key.key_id, key.label)
    assert caught.value.rule == "key-attributes"


@pytest.mark.parametrize("kind", [Attribute.SENSITIVE, Attribute.VERIFY])
def test_nobody_starts_with_an_identity_key_that_is_not_as_it_was_made(
    token: Token, answer: Answer, kind: Attribute
) -> None:
    """One attribute of each half."""
    identity = Identity(token, keys.generate_identity_key(token))
    identity.require_attributes()
    lie(answer, token, kind, objects.FALSE)
    with pytest.raises(Refused, match=f"CKA_{kind.name} is false"):
        identity.require_attributes()


def test_the_second_name_is_taken_only_once(token: Token) -> None:
    keys.generate_identity_key(token, label=keys.SECOND_IDENTITY)
    assert keys.find_identity_key(token) is None
    with pytest.raises(BadConfig, match="private key 'hsm-mpc/identity/2' is there already"):
        keys.generate_identity_key(token, label=keys.SECOND_IDENTITY)
