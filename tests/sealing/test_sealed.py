from __future__ import annotations

import hashlib

import pytest

from hsm_mpc.errors import BadEncoding, BadInput, Tampered
from hsm_mpc.sealing.cms import decode
from hsm_mpc.sealing.sealed import SealedShare, inspect, seal
from hsm_mpc.secure.arena import Arena, publish
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wrapping.recipients import KeyRecipient, RsaRecipient
from tests.sealing.blobs import (
    CONTEXT,
    NOW,
    PAIR_CONTEXT,
    SHARE,
    opened_by,
    sealed_by,
)
from tests.wrapping.software import RsaSoftwareKey, SoftwareKey, write

# What is sealed comes back, and only by its keys


@pytest.mark.parametrize("number", [1, 2, 8])
def test_each_recipient_opens_a_share(arena: Arena, number: int) -> None:
    keys = [SoftwareKey(f"key {n}") for n in range(number)]
    encoded = sealed_by(arena, *keys)
    for key in keys:
        assert opened_by(arena, key, encoded) == SHARE


def test_an_rsa_recipient_opens_a_share(arena: Arena) -> None:
    rsa, aes = RsaSoftwareKey(), SoftwareKey()
    encoded = sealed_by(arena, rsa, aes)
    assert opened_by(arena, rsa, encoded) == SHARE
    assert opened_by(arena, aes, encoded) == SHARE


def test_the_device_of_an_ori_recipient_is_shown_what_to_bind_and_rsa_nothing(
    arena: Arena,
) -> None:
    sealed = SealedShare.parse(sealed_by(arena, RsaSoftwareKey(), SoftwareKey()))
    shown = {
        type(recipient): len(associated)
        for recipient, associated in zip(sealed.blob.recipients, sealed.associated, strict=True)
    }
    assert shown == {RsaRecipient: 0, KeyRecipient: 32}


def test_a_pair_state_of_any_length_comes_back(arena: Arena) -> None:
    key = SoftwareKey()
    for content in (b"p", b"pair state" * 900):
        encoded = sealed_by(arena, key, context=PAIR_CONTEXT, content=content)
        assert opened_by(arena, key, encoded, PAIR_CONTEXT) == content


def test_the_secret_itself_stays_as_it_is(arena: Arena) -> None:
    def work() -> bytes:
        with arena.scope() as take:
            secret = take(64)
            write(secret, SHARE)
            seal(secret, CONTEXT, [SoftwareKey()], Entropy(), NOW)
            return publish(secret)

    assert run_shielded(work) == SHARE


def test_data_key_nonce_and_iv_are_fresh_for_every_blob(arena: Arena) -> None:
    key = SoftwareKey()
    blobs = [decode(sealed_by(arena, key)) for _ in range(2)]
    assert blobs[0].nonce != blobs[1].nonce
    assert blobs[0].ciphertext != blobs[1].ciphertext
    ivs = {each.recipients[0].fields.iv for each in blobs}  # type: ignore[union-attr]
    assert len(ivs) == 2


def test_the_data_key_comes_from_both_generators(arena: Arena) -> None:
    filled: list[int] = []

    def hsm_fill(pointer: int, length: int) -> None:
        filled.append(length)

    def work() -> bytes:
        with arena.scope() as take:
            return seal(take(64), CONTEXT, [SoftwareKey()], Entropy(hsm_fill), NOW)

    run_shielded(work)
    assert filled == [32]


@pytest.mark.parametrize(
    ("keys", "length", "rule"),
    [(0, 64, "1 to 8"), (9, 64, "1 to 8"), (1, 63, "64 bytes"), (1, 65, "64 bytes")],
)
def test_what_is_no_share_for_1_to_8_keys_is_not_sealed(
    arena: Arena, keys: int, length: int, rule: str
) -> None:
    with pytest.raises(BadInput, match=rule):
        sealed_by(arena, *(SoftwareKey(str(n)) for n in range(keys)), content=bytes(length))


def test_one_key_is_not_a_recipient_twice(arena: Arena) -> None:
    with pytest.raises(BadInput, match="different keys"):
        sealed_by(arena, SoftwareKey("same"), SoftwareKey("same"))


# Inside the store damage is tampering, outside it is a bad encoding


def test_damage_in_the_store_is_tampering_and_outside_a_bad_encoding() -> None:
    with pytest.raises(Tampered, match="sealed blob"):
        SealedShare.parse(b"no blob")
    with pytest.raises(BadEncoding, match="sealed blob"):
        inspect(b"no blob")


def test_an_inspection_shows_context_recipients_and_sizes(arena: Arena) -> None:
    encoded = sealed_by(arena, SoftwareKey("first"), RsaSoftwareKey())
    inspection = inspect(encoded)
    assert inspection.context == CONTEXT
    assert inspection.created == NOW
    assert {each.name for each in inspection.recipients} == {
        "software:first",
        f"RSA key with id {b'rsa key of the tests'.hex()}",
    }
    assert inspection.content_bytes == 64
    assert inspection.blob_bytes == len(encoded)
    assert inspection.sha256 == hashlib.sha256(encoded).digest()
