"""store/record.py: the epoch record, byte for byte (step 1.11.6)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.errors import BadEncoding, BadInput, HsmMpcError, InvalidSignature
from hsm_mpc.ids import EpochHash, HolderIndex
from hsm_mpc.store.record import EpochRecord, EpochState, Pair, PairStatus, parse
from hsm_mpc.tags import Tag
from tests.software_identity import p256_key
from tests.store.records import INDEX, KEY, OTHER_WALLET, WALLET, record, records

VERIFY = KEY.public.verify
PAIR = Pair(HolderIndex(2), 7, PairStatus.STALE, b"p" * 32)

UNSIGNED = (
    b"\x01\x04"
    + b"h" * 32
    + b"b" * 32
    + b"\x00\x08pkcs11:k"
    + b"\x00\x02\x00\x01x\x00\x01y"
    + b"\x00\x00\x00\x05"
    + b"\x00\x00\x00\x09"
    + b"c" * 32
    + b"\x00\x01\x00\x02\x00\x07\x02"
    + b"p" * 32
)
SIGNED = b"\x00\x10" + WALLET + b"\x00\x03" + UNSIGNED


def with_signature(unsigned: bytes) -> bytes:
    """A record whose signature is right, whatever its bytes are."""
    signature = KEY.sign(Tag.RECORD, b"\x00\x10" + WALLET + b"\x00\x03" + unsigned)
    return unsigned + b"\x00\x40" + signature


def test_the_bytes_are_those_of_the_specification() -> None:
    signed: list[tuple[Tag, bytes]] = []

    def sign(tag: Tag, message: bytes) -> bytes:
        signed.append((tag, message))
        return b"signature"

    known = EpochRecord(
        state=EpochState.STAGED,
        epoch_hash=EpochHash(b"h" * 32),
        blob_digest=b"b" * 32,
        kek_uri="pkcs11:k",
        extra_uris=("x", "y"),
        key_generation=5,
        clients_version=9,
        clients_hash=b"c" * 32,
        pairs=(PAIR,),
    )
    assert known.to_bytes(WALLET, INDEX, sign) == UNSIGNED + b"\x00\x09signature"
    assert signed == [(Tag.RECORD, SIGNED)]
    assert parse(with_signature(UNSIGNED), WALLET, INDEX, VERIFY) == known


@given(records())
def test_a_record_reads_back_as_it_was_written(one: EpochRecord) -> None:
    assert parse(one.to_bytes(WALLET, INDEX, KEY.sign), WALLET, INDEX, VERIFY) == one


@given(records(), st.data())
def test_a_flipped_bit_is_refused(one: EpochRecord, data: st.DataObject) -> None:
    raw = bytearray(one.to_bytes(WALLET, INDEX, KEY.sign))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises((BadEncoding, InvalidSignature)):
        parse(bytes(raw), WALLET, INDEX, VERIFY)


@given(records(), st.data())
def test_a_truncated_record_is_refused(one: EpochRecord, data: st.DataObject) -> None:
    raw = one.to_bytes(WALLET, INDEX, KEY.sign)
    with pytest.raises(BadEncoding):
        parse(raw[: data.draw(st.integers(0, len(raw) - 1))], WALLET, INDEX, VERIFY)


@given(records(), st.binary(min_size=1))
def test_a_trailing_byte_is_refused(one: EpochRecord, more: bytes) -> None:
    with pytest.raises(BadEncoding, match="left over"):
        parse(one.to_bytes(WALLET, INDEX, KEY.sign) + more, WALLET, INDEX, VERIFY)


@given(st.binary(max_size=400))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(HsmMpcError):
        parse(noise, WALLET, INDEX, VERIFY)


def test_record_of_other_wallet_is_refused() -> None:
    raw = record().to_bytes(OTHER_WALLET, INDEX, KEY.sign)
    with pytest.raises(InvalidSignature):
        parse(raw, WALLET, INDEX, VERIFY)


def test_a_record_of_another_holder_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        parse(record().to_bytes(WALLET, INDEX, p256_key(2).sign), WALLET, INDEX, VERIFY)
    raw = record().to_bytes(WALLET, HolderIndex(4), KEY.sign)
    with pytest.raises(InvalidSignature):
        parse(raw, WALLET, INDEX, VERIFY)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b"\x01\x04", b"\x02\x04", "version 2"),
        (b"\x01\x04", b"\x01\x00", "0 is not a valid EpochState"),
        (b"\x01\x04", b"\x01\x08", "8 is not a valid EpochState"),
        (b"\x00\x08pkcs11:k", b"\x00\x00", "key uri"),
        (b"pkcs11:k", b"pkcs11:\n", "key uri"),
        (b"pkcs11:k", b"pkcs11:\xff", "ascii"),
        (b"\x00\x01x\x00\x01y", b"\x00\x01x\x00\x01x", "all different"),
        (b"\x00\x02\x00\x07\x02", b"\x00\x02\x00\x07\x04", "4 is not a valid PairStatus"),
        (b"\x00\x02\x00\x07\x02", b"\x00\x00\x00\x07\x02", "peer 1 to 255"),
        (b"\x00\x02\x00\x07\x02", b"\x01\x00\x00\x07\x02", "peer 1 to 255"),
        (b"\x00\x02\x00\x07\x02", b"\x00\x02\x00\x00\x02", "generation 1 to 65535"),
    ],
)
def test_a_signed_record_with_a_value_out_of_range_is_refused(
    old: bytes, new: bytes, text: str
) -> None:
    assert UNSIGNED.count(old) == 1
    with pytest.raises(BadEncoding, match=text):
        parse(with_signature(UNSIGNED.replace(old, new)), WALLET, INDEX, VERIFY)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("epoch_hash", b"h" * 31, "32 bytes"),
        ("blob_digest", b"b" * 33, "32 bytes"),
        ("clients_hash", b"", "32 bytes"),
        ("kek_uri", "", "key uri"),
        ("kek_uri", "u" * 1025, "key uri"),
        ("kek_uri", "with space", "key uri"),
        ("kek_uri", "ü", "key uri"),
        ("extra_uris", tuple("abcdefgh"), "at most 7"),
        ("extra_uris", ("pkcs11:token=t;id=%01",), "all different"),
        ("extra_uris", ("a\n",), "key uri"),
        ("pairs", (PAIR, PAIR), "strictly ascending"),
        ("pairs", (PAIR, dataclasses.replace(PAIR, generation=6)), "strictly ascending"),
        ("pairs", (PAIR, dataclasses.replace(PAIR, peer=HolderIndex(1))), "strictly ascending"),
    ],
)
def test_a_record_with_a_value_out_of_range_is_never_made(
    field: str, value: Any, text: str
) -> None:
    with pytest.raises(BadInput, match=text):
        dataclasses.replace(record(), **{field: value})


@pytest.mark.parametrize("field", ["key_generation", "clients_version"])
def test_a_number_that_does_not_fit_is_refused(field: str) -> None:
    number: Any = 2**32
    too_large = dataclasses.replace(record(), **{field: number})
    with pytest.raises(BadInput, match="does not fit"):
        too_large.to_bytes(WALLET, INDEX, KEY.sign)


@pytest.mark.parametrize("generation", [0, 0x10000])
def test_a_pair_of_a_generation_out_of_range_is_never_made(generation: int) -> None:
    with pytest.raises(BadInput, match="generation 1 to 65535"):
        Pair(HolderIndex(1), generation, PairStatus.ACTIVE, b"p" * 32)


def test_a_pair_with_a_short_digest_is_never_made() -> None:
    with pytest.raises(BadInput, match="digest"):
        Pair(HolderIndex(1), 1, PairStatus.ACTIVE, b"p" * 31)
