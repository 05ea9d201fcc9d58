from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.certificates.channel import Channel, UnsignedChannel
from hsm_mpc.encoding import lv16, u64be
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Refused
from hsm_mpc.tags import Tag, tagged_hash
from tests.software_identity import SoftwareKey, ed25519_key, p256_key

HOLDER = p256_key(1)
SIGNER = ed25519_key(b"\x01" * 32)
DAY = 24 * 3600
CONTENT = UnsignedChannel(
    boot=bytes(range(16)),
    signing_key=SIGNER.public.encoded,
    exchange_key=b"\x05" * 32,
    lowest=1,
    highest=1,
    not_before=1_000_000,
    not_after=1_000_000 + DAY,
)


def certified(content: UnsignedChannel, holder: SoftwareKey = HOLDER) -> Channel:
    signature = holder.sign(Tag.CHANNEL, content.signed_message(holder.public))
    return Channel(holder.public, content, signature)


CHANNEL = certified(CONTENT)


def test_the_bytes_of_a_channel_are_those_of_the_specification() -> None:
    """Step 1.6.2a, written out."""
    before = (
        bytes(range(16))
        + SIGNER.public.encoded
        + b"\x05" * 32
        + b"\x01\x01"
        + u64be(1_000_000)
        + u64be(1_000_000 + DAY)
    )
    assert len(before) == 98
    assert CHANNEL.to_bytes() == before + lv16(CHANNEL.signature)
    digest = tagged_hash(Tag.CHANNEL, lv16(HOLDER.public.encoded) + before)
    Channel(HOLDER.public, CONTENT, HOLDER.sign_digest(digest))


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(1, 255),
    st.integers(0, 2**63),
    st.integers(1, DAY),
)
def test_any_channel_is_read_back_as_it_was_written(
    boot: bytes, version: int, not_before: int, validity: int
) -> None:
    content = replace(
        CONTENT,
        boot=boot,
        highest=version,
        not_before=not_before,
        not_after=not_before + validity,
    )
    channel = certified(content)
    assert Channel.from_bytes(channel.to_bytes(), HOLDER.public) == channel


def test_a_channel_of_another_holder_is_refused() -> None:
    """The identity key is in what is signed: no holder can certify the keys of another."""
    with pytest.raises(InvalidSignature):
        Channel.from_bytes(CHANNEL.to_bytes(), p256_key(2).public)
    foreign = p256_key(2).sign(Tag.CHANNEL, CONTENT.signed_message(HOLDER.public))
    with pytest.raises(InvalidSignature):
        Channel(HOLDER.public, CONTENT, foreign)


@pytest.mark.parametrize(
    "changes",
    [
        {"boot": bytes(16)},
        {"signing_key": ed25519_key(b"\x02" * 32).public.encoded},
        {"exchange_key": bytes(32)},
        {"highest": 2},
        {"not_before": 1_000_001},
        {"not_after": 1_000_000 + DAY - 1},
    ],
)
def test_a_changed_field_breaks_the_channel(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidSignature):
        Channel(HOLDER.public, replace(CONTENT, **changes), CHANNEL.signature)


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"boot": bytes(15)}, "boot has 16"),
        ({"exchange_key": bytes(31)}, "exchange key 32"),
        ({"signing_key": bytes(31)}, "ed25519"),
        ({"signing_key": bytes(32)}, "small order"),
        ({"lowest": 0}, "protocol version"),
        ({"lowest": 2}, "protocol version"),
        ({"not_after": 1_000_000}, "24 hours"),
        ({"not_after": 1_000_000 + DAY + 1}, "24 hours"),
    ],
)
def test_a_channel_that_breaks_a_rule_is_refused(changes: dict[str, Any], text: str) -> None:
    """Step 1.6.2a."""
    with pytest.raises(BadInput, match=text):
        replace(CONTENT, **changes)


def test_bytes_of_a_channel_that_breaks_a_rule_are_a_bad_encoding() -> None:
    changed = bytearray(CHANNEL.to_bytes())
    changed[80] = 0
    with pytest.raises(BadEncoding, match="protocol version"):
        Channel.from_bytes(bytes(changed), HOLDER.public)


def test_validity_is_judged_with_300_seconds_of_tolerance() -> None:
    """Step 1.7.2."""
    first, last = CONTENT.not_before - 300, CONTENT.not_after + 300
    CHANNEL.check_validity(first)
    CHANNEL.check_validity(last)
    for now in (first - 1, last + 1):
        with pytest.raises(Refused) as refusal:
            CHANNEL.check_validity(now)
        assert refusal.value.rule == "channel-validity"


def test_a_version_out_of_range_is_refused() -> None:
    """Step 1.7.10."""
    channel = certified(replace(CONTENT, lowest=2, highest=3))
    channel.check_version(2)
    channel.check_version(3)
    for version in (1, 4):
        with pytest.raises(Refused) as refusal:
            channel.check_version(version)
        assert refusal.value.rule == "protocol-version"


def test_a_channel_signature_is_bound_to_the_whole_channel() -> None:
    """Step 1.6.2a: with its CHANNEL it is evidence as good as the identity key's."""
    message = b"a message"
    digest = hashlib.sha256(CHANNEL.to_bytes()).digest()
    signature = SIGNER.sign(Tag.ENVELOPE, digest + message)
    CHANNEL.verify(Tag.ENVELOPE, message, signature)
    other = certified(replace(CONTENT, boot=bytes(16)))
    for channel, tag, shown in (
        (other, Tag.ENVELOPE, message),
        (CHANNEL, Tag.ACK, message),
        (CHANNEL, Tag.ENVELOPE, message + b"\0"),
    ):
        with pytest.raises(InvalidSignature):
            channel.verify(tag, shown, signature)
