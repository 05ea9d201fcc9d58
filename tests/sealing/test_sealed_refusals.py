"""Nothing is opened before everything was compared; whatever was changed is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.ids import HolderIndex
from hsm_mpc.sealing.cms import decode, encode
from hsm_mpc.sealing.sealed import SealedShare, unseal
from hsm_mpc.secure.arena import Arena, publish
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wrapping.recipients import KeyRecipient
from tests.sealing.blobs import (
    CONTEXT,
    NOW,
    PAIR_CONTEXT,
    flipped,
    opened_by,
    sealed_by,
)
from tests.wrapping.software import CountingKey, RsaSoftwareKey, SoftwareKey


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wallet_id", bytes(16)),
        ("holder", 2),
        ("scheme", 2),
        ("epoch", 4),
        ("threshold", 3),
        ("epoch_hash", bytes(32)),
        ("pair", PAIR_CONTEXT.pair),
    ],
)
def test_a_context_that_is_not_expected_is_refused_before_the_device_is_asked(
    arena: Arena, field: str, value: Any
) -> None:
    key = CountingKey()
    encoded = sealed_by(arena, key)
    with pytest.raises(Tampered, match=rf"something else: {field}$"):
        opened_by(arena, key, encoded, replace(CONTEXT, **{field: value}))
    assert key.unwrapped == 0


def test_context_of_other_holder_is_refused(arena: Arena) -> None:
    key = CountingKey()
    other = sealed_by(arena, key, context=replace(CONTEXT, holder=HolderIndex(2)))
    with pytest.raises(Tampered, match="holder"):
        opened_by(arena, key, other)
    relabelled = encode(replace(decode(other), context=CONTEXT))
    assert key.unwrapped == 0
    with pytest.raises(Tampered, match="not authentic"):
        opened_by(arena, key, relabelled)


def test_a_file_that_the_record_does_not_name_is_refused_before_the_device_is_asked(
    arena: Arena,
) -> None:
    key = CountingKey()
    mine, another = sealed_by(arena, key), sealed_by(arena, key)
    with pytest.raises(Tampered, match="epoch record"):
        opened_by(arena, key, mine, digest=hashlib.sha256(another).digest())
    assert key.unwrapped == 0


def test_a_key_that_is_no_recipient_is_told_who_is(arena: Arena) -> None:
    encoded = sealed_by(arena, SoftwareKey("first"), RsaSoftwareKey())
    with pytest.raises(Tampered, match="software:third is not among") as refusal:
        opened_by(arena, SoftwareKey("third"), encoded)
    assert "software:first" in str(refusal.value)
    assert b"rsa key of the tests".hex() in str(refusal.value)


def test_a_key_of_the_same_name_with_another_value_opens_nothing(arena: Arena) -> None:
    encoded = sealed_by(arena, SoftwareKey("name"))
    with pytest.raises(Tampered, match="not authentic"):
        opened_by(arena, SoftwareKey("name"), encoded)


def test_swapped_recipient_fields_are_refused(arena: Arena) -> None:
    one, other = SoftwareKey("one", bytes(32)), SoftwareKey("other", bytes(32))
    blob = decode(sealed_by(arena, one, other))
    first, second = blob.recipients
    assert isinstance(first, KeyRecipient)
    assert isinstance(second, KeyRecipient)
    swapped = (replace(first, fields=second.fields), replace(second, fields=first.fields))
    for key in (one, other):
        with pytest.raises(Tampered, match="not authentic"):
            opened_by(arena, key, encode(replace(blob, recipients=swapped)))


def test_a_recipient_of_another_blob_is_refused(arena: Arena) -> None:
    key = SoftwareKey()
    mine = decode(sealed_by(arena, key))
    other = decode(sealed_by(arena, key, context=replace(CONTEXT, epoch=4)))
    with pytest.raises(Tampered, match="not authentic"):
        opened_by(arena, key, encode(replace(mine, recipients=other.recipients)))


def test_the_content_of_another_blob_is_refused(arena: Arena) -> None:
    key = SoftwareKey()
    mine, other = decode(sealed_by(arena, key)), decode(sealed_by(arena, key))
    mixed = replace(mine, nonce=other.nonce, ciphertext=other.ciphertext, tag=other.tag)
    with pytest.raises(Tampered, match="content is not authentic"):
        opened_by(arena, key, encode(mixed))


def test_a_moment_of_sealing_that_was_changed_is_refused(arena: Arena) -> None:
    key = SoftwareKey()
    blob = decode(sealed_by(arena, key))
    with pytest.raises(Tampered, match="not authentic"):
        opened_by(arena, key, encode(replace(blob, created=NOW + 1)))


def test_an_rsa_recipient_does_not_loosen_what_the_content_is_bound_to(arena: Arena) -> None:
    key = RsaSoftwareKey()
    blob = decode(sealed_by(arena, key, context=replace(CONTEXT, holder=HolderIndex(2))))
    with pytest.raises(Tampered, match="content is not authentic"):
        opened_by(arena, key, encode(replace(blob, context=CONTEXT)))


@pytest.mark.parametrize("size", [63, 65])
def test_a_slot_of_another_length_is_refused(arena: Arena, size: int) -> None:
    key = SoftwareKey()
    with pytest.raises(BadInput, match="do not fit"):
        opened_by(arena, key, sealed_by(arena, key), size=size)


def test_every_flipped_bit_is_refused(arena: Arena) -> None:
    """Even by an attacker who could sign a new record that names the changed file."""
    key = SoftwareKey()
    encoded = sealed_by(arena, key)
    digest = hashlib.sha256(encoded).digest()

    def work() -> int:
        late = 0
        with arena.scope() as take:
            into = take(64)
            for bit in range(8 * len(encoded)):
                mutated = flipped(encoded, bit)
                try:
                    sealed = SealedShare.parse(mutated)
                except Tampered:
                    continue
                late += 1
                with pytest.raises(Tampered, match="epoch record"):
                    unseal(sealed, key, CONTEXT, digest, into)
                with pytest.raises(Tampered, match=r"sealed blob|software key"):
                    unseal(sealed, key, sealed.blob.context, sealed.digest, into)
                assert publish(into) == bytes(64)
        return late

    refused_late = run_shielded(work)
    assert 8 * (64 + 16 + 12 + 48 + 12) <= refused_late < 8 * len(encoded)
