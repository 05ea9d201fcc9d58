from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from asn1crypto import cms
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.ids import EpochHash, HolderIndex, WalletId
from hsm_mpc.sealing.cms import MOST_RECIPIENTS, PAIR_CAP, SHARE_CAP, Blob, decode, encode
from hsm_mpc.sealing.context import Context, Pair
from hsm_mpc.wrapping.recipients import (
    KeyRecipient,
    Mechanism,
    OaepHash,
    Recipient,
    RecipientFields,
)
from tests.sealing.blobs import changed, flipped
from tests.sealing.examples import MIXED, PAIR_STATE, RSA, SHARE, key_recipient, refuse

ROOT: Final = Path(__file__).resolve().parents[2]
LAST_SECOND: Final = 253_402_300_799
EXAMPLES = [encode(SHARE), encode(PAIR_STATE), encode(MIXED)]


# Values


@pytest.mark.parametrize("blob", [SHARE, PAIR_STATE, MIXED])
def test_a_blob_comes_back_from_its_encoding(blob: Blob) -> None:
    assert decode(encode(blob)) == blob


@pytest.mark.parametrize("oaep_hash", list(OaepHash))
def test_every_hash_of_oaep_comes_back(oaep_hash: OaepHash) -> None:
    blob = replace(SHARE, recipients=(replace(RSA, oaep_hash=oaep_hash),))
    assert decode(encode(blob)) == blob


def test_the_encoding_does_not_depend_on_the_order_of_the_recipients() -> None:
    assert encode(replace(MIXED, recipients=MIXED.recipients[::-1])) == encode(MIXED)


SECOND_USE = """
from asn1crypto import core
from hsm_mpc.sealing import cms
before = set(core._SETUP_CLASSES)
from tests.sealing.examples import MIXED, PAIR_STATE, SHARE
for blob in (SHARE, PAIR_STATE, MIXED):
    assert cms.decode(cms.encode(blob)) == blob
    cms.binding(cms.authenticated(blob.context, blob.created), SHARE.recipients[0].fields)
print(sorted(each.__name__ for each in set(core._SETUP_CLASSES) - before))
"""


def test_what_asn1crypto_makes_at_first_use_is_there_before_any_thread() -> None:
    """Two threads that open the first blobs would trip each other: one finds a half made table."""
    asked = [sys.executable, "-c", SECOND_USE]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == "[]\n"


texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80)
contexts = st.builds(
    Context,
    wallet_id=st.binary(min_size=16, max_size=16).map(WalletId),
    holder=st.integers(1, 255).map(HolderIndex),
    scheme=st.integers(1, 255),
    epoch=st.integers(0, 2**32 - 1),
    threshold=st.integers(1, 255),
    epoch_hash=st.binary(min_size=32, max_size=32).map(EpochHash),
)
recipients = st.builds(
    KeyRecipient,
    st.builds(
        RecipientFields, st.sampled_from(Mechanism), texts, st.just("7"), st.binary(max_size=16)
    ),
    st.binary(min_size=1, max_size=200),
)


@given(
    context=contexts,
    pair=st.none() | st.builds(Pair, st.integers(1, 255).map(HolderIndex), st.integers(1, 65535)),
    created=st.integers(0, LAST_SECOND),
    recipient=recipients,
    ciphertext=st.binary(min_size=64, max_size=64),
)
def test_whatever_can_be_encoded_can_be_decoded(
    context: Context, pair: Pair | None, created: int, recipient: Recipient, ciphertext: bytes
) -> None:
    context = replace(context, pair=pair)
    blob = Blob(context, created, (recipient,), bytes(12), ciphertext, bytes(16))
    assert decode(encode(blob)) == blob


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("created", -1, "created"),
        ("created", LAST_SECOND + 1, "created"),
        ("recipients", (), "1 to 8"),
        ("recipients", tuple(key_recipient(n) for n in range(9)), "1 to 8"),
        ("recipients", (key_recipient(), key_recipient(wrapped=b"other")), "different keys"),
        ("nonce", bytes(11), "nonce"),
        ("tag", bytes(15), "tag"),
        ("ciphertext", bytes(63), "64 bytes"),
    ],
)
def test_a_value_outside_the_profile_is_not_encoded(field: str, value: Any, rule: str) -> None:
    with pytest.raises(BadInput, match=rule):
        replace(SHARE, **{field: value})


def test_a_pair_state_has_content() -> None:
    with pytest.raises(BadInput, match="not empty"):
        replace(PAIR_STATE, ciphertext=b"")


def test_a_share_is_capped_at_16_and_a_pair_state_at_32_kib() -> None:
    wide = replace(
        SHARE, recipients=tuple(key_recipient(n, bytes(4096)) for n in range(MOST_RECIPIENTS))
    )
    with pytest.raises(BadInput, match=str(SHARE_CAP)):
        encode(wide)
    assert len(encode(replace(PAIR_STATE, ciphertext=bytes(PAIR_CAP - 1024)))) > SHARE_CAP
    with pytest.raises(BadInput, match=str(PAIR_CAP)):
        encode(replace(PAIR_STATE, ciphertext=bytes(PAIR_CAP)))


# Other bytes of the same values


def test_trailing_bytes_are_refused() -> None:
    for example in EXAMPLES:
        refuse(example + b"\0", "no AuthEnvelopedData")


def test_a_length_in_more_bytes_than_needed_is_refused() -> None:
    encoded = encode(SHARE)
    assert encoded[:2] == b"\x30\x82"
    refuse(b"\x30\x83\x00" + encoded[2:], "canonical")


def test_an_indefinite_length_is_refused() -> None:
    encoded = encode(SHARE)
    refuse(b"\x30\x80" + encoded[4:] + b"\0\0", "canonical")


def test_recipients_out_of_order_are_refused() -> None:
    blob = replace(SHARE, recipients=(key_recipient(1), key_recipient(2)))
    encoded = encode(blob)
    swapped = encoded.replace(b"id=%01", b"id=%%%").replace(b"id=%02", b"id=%01")
    refuse(swapped.replace(b"id=%%%", b"id=%02"), "canonical")


def test_every_truncation_is_refused() -> None:
    encoded = encode(SHARE)
    for length in range(len(encoded)):
        refuse(encoded[:length], "sealed blob")


def test_more_than_the_cap_is_refused_before_it_is_parsed() -> None:
    refuse(bytes(PAIR_CAP + 1), f"{PAIR_CAP + 1} bytes are more")


def test_a_share_above_its_cap_is_refused() -> None:
    many = [key_recipient(n, bytes(3000)) for n in range(6)]
    pair_state = replace(PAIR_STATE, recipients=tuple(many), ciphertext=bytes(64))

    def without_pair(body: Any) -> None:
        del body["auth_attrs"][1]  # sorted: contentType, Pair, Context

    refuse(changed(encode(pair_state), without_pair), f"at most {SHARE_CAP}")


def test_a_foreign_cms_message_is_refused() -> None:
    data = cms.ContentInfo({"content_type": "data", "content": b"hello"}).dump()
    refuse(data, "no AuthEnvelopedData")


@given(st.binary(max_size=300))
def test_random_bytes_are_only_ever_a_bad_encoding(encoded: bytes) -> None:
    refuse(encoded, "sealed blob")


@given(
    example=st.sampled_from(EXAMPLES),
    at=st.integers(0, 10**6),
    removed=st.integers(0, 8),
    put=st.binary(max_size=8),
)
def test_a_mutated_blob_is_only_ever_a_bad_encoding_or_another_blob(
    example: bytes, at: int, removed: int, put: bytes
) -> None:
    at %= len(example)
    mutated = example[:at] + put + example[at + removed :]
    try:
        blob = decode(mutated)
    except BadEncoding:
        return
    assert encode(blob) == mutated


def test_a_flipped_bit_is_only_ever_a_bad_encoding_or_another_blob() -> None:
    encoded = encode(MIXED)
    for bit in range(0, 8 * len(encoded), 29):
        mutated = flipped(encoded, bit)
        try:
            blob = decode(mutated)
        except BadEncoding:
            continue
        assert blob != MIXED
        assert encode(blob) == mutated
