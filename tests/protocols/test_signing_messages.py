"""Payloads of the signing protocol (steps 3.2.2 to 3.2.4, 1.1.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.protocols.signing_messages import (
    CommitPayload,
    PartialPayload,
    SignPayload,
    list_hash,
)

LEASE = b"lease of a test."
COMMIT = CommitPayload(7, LEASE, b"n" * 66)
SIGN = SignPayload(3, 7, (b"first", b"", b"third"))
PARTIAL = PartialPayload(LEASE, b"h" * 32, b"s" * 32)


def read_commit(payload: bytes) -> CommitPayload:
    return CommitPayload.from_bytes(payload, 66)


READERS: list[tuple[bytes, Callable[[bytes], object]]] = [
    (COMMIT.to_bytes(), read_commit),
    (SIGN.to_bytes(), SignPayload.from_bytes),
    (PARTIAL.to_bytes(), PartialPayload.from_bytes),
]


def test_a_commit_is_its_three_fields() -> None:
    assert COMMIT.to_bytes() == b"\0\7" + LEASE + b"n" * 66
    assert read_commit(COMMIT.to_bytes()) == COMMIT


def test_a_list_is_its_commits_verbatim() -> None:
    head = bytes.fromhex("0000000300070003")
    commits = b"\0\0\0\5first\0\0\0\0\0\0\0\5third"
    assert SIGN.to_bytes() == head + commits
    assert SignPayload.from_bytes(SIGN.to_bytes()) == SIGN


def test_a_partial_names_lease_and_list() -> None:
    assert PARTIAL.to_bytes() == LEASE + b"h" * 32 + b"s" * 32
    assert PartialPayload.from_bytes(PARTIAL.to_bytes()) == PARTIAL
    assert list_hash(b"payload") == hashlib.sha256(b"payload").digest()


@pytest.mark.parametrize(("payload", "read"), READERS)
def test_a_truncated_payload_is_refused(payload: bytes, read: Callable[[bytes], object]) -> None:
    for length in range(len(payload)):
        with pytest.raises(BadEncoding):
            read(payload[:length])


@pytest.mark.parametrize(("payload", "read"), READERS)
def test_a_trailing_byte_is_refused(payload: bytes, read: Callable[[bytes], object]) -> None:
    with pytest.raises(BadEncoding, match="left over"):
        read(payload + b"\0")


@given(payload=st.binary(max_size=200))
def test_what_parses_is_written_back_as_it_was(payload: bytes) -> None:
    for _, read in READERS:
        try:
            value = read(payload)
        except BadEncoding:
            continue
        assert value.to_bytes() == payload  # type: ignore[attr-defined]


def test_a_lease_id_of_another_length_is_refused() -> None:
    with pytest.raises(BadInput, match="COMMIT: a lease_id is 16 bytes, not 15"):
        CommitPayload(0, LEASE[1:], b"")


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ((LEASE[1:], b"h" * 32, b"s" * 32), "a lease_id"),
        ((LEASE, b"h" * 31, b"s" * 32), "a list hash"),
        ((LEASE, b"h" * 32, b"s" * 33), "a partial signature"),
    ],
)
def test_a_partial_of_other_lengths_is_refused(
    fields: tuple[bytes, bytes, bytes], what: str
) -> None:
    with pytest.raises(BadInput, match=f"PARTIAL: {what}"):
        PartialPayload(*fields)
