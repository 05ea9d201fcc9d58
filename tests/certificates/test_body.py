from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.encoding import lv16, u8, u16be, u32be
from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.ids import EpochHash, Scheme
from hsm_mpc.tags import Tag, tagged_hash
from tests.certificates.ceremony import Ceremony, Q, point

CEREMONY = Ceremony()
BODY = CEREMONY.body()
LATER = replace(BODY, kind=EpochKind.REFRESH, epoch=1, prev_hash=BODY.hash)


def test_the_bytes_of_a_body_are_those_of_the_specification() -> None:
    """Step 1.6.5, written out."""
    terms = BODY.terms
    expected = (
        u8(1)
        + u8(0)
        + terms.wallet_id
        + lv16(b"treasury")
        + u8(1)
        + u32be(0)
        + bytes(32)
        + u16be(3)
        + u16be(2)
        + u16be(2)
        + u16be(3)
        + terms.roster_hash
        + terms.policy_hash
        + BODY.commitments[0]
        + BODY.commitments[1]
        + BODY.transcript_hash
    )
    assert BODY.to_bytes() == expected
    assert BODY.hash == tagged_hash(Tag.EPOCH, expected)


@given(
    st.sampled_from([EpochKind.REFRESH, EpochKind.RESHARE]),
    st.integers(1, 2**32 - 1),
    st.binary(min_size=32, max_size=32).filter(any),
    st.binary(min_size=32, max_size=32),
    st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True),
)
def test_any_body_is_read_back_as_it_was_written(
    kind: EpochKind, epoch: int, prev_hash: bytes, transcript_hash: bytes, name: str
) -> None:
    body = EpochBody(
        kind,
        replace(BODY.terms, name=name),
        epoch,
        EpochHash(prev_hash),
        BODY.commitments,
        transcript_hash,
    )
    assert EpochBody.from_bytes(body.to_bytes()) == body


def test_the_public_share_is_the_committed_polynomial_at_the_index() -> None:
    """Step 1.6.6: with the tests' own secrets."""
    for index in CEREMONY.indices:
        shares = (
            sum(a * index**k for k, a in enumerate(polynomial))
            for polynomial in CEREMONY.polynomials
        )
        assert BODY.public_share(index) == point(sum(shares) % Q)
    assert BODY.group_key == point(sum(polynomial[0] for polynomial in CEREMONY.polynomials))


@pytest.mark.parametrize("index", [0, 4])
def test_a_public_share_of_no_holder_is_refused(index: int) -> None:
    """Step 1.2.2."""
    with pytest.raises(BadInput, match=f"holder {index}"):
        BODY.public_share(index)


def test_a_public_share_that_is_the_identity_aborts_without_culprit() -> None:
    """A(2) = A_0 + 2·A_1 = O for A_0 = −2·A_1."""
    body = replace(BODY, commitments=(point(Q - 2), point(1)))
    assert body.public_share(1) == point(Q - 1)
    with pytest.raises(ProtocolAbort) as abort:
        body.public_share(2)
    assert abort.value.culprits == ()


@pytest.mark.parametrize(
    "body, changes, text",
    [
        (BODY, {"prev_hash": bytes(31)}, "32 bytes"),
        (BODY, {"transcript_hash": bytes(33)}, "32 bytes"),
        (BODY, {"commitments": BODY.commitments[:1]}, "2 commitments"),
        (BODY, {"commitments": (*BODY.commitments, point(5))}, "2 commitments"),
        (BODY, {"commitments": (point(1), bytes(33))}, "point"),
        (BODY, {"epoch": 1}, "epoch 0"),
        (BODY, {"prev_hash": b"\x01" * 32}, "epoch 0"),
        (BODY, {"kind": EpochKind.REFRESH}, "epoch 0"),
        (LATER, {"epoch": 0}, "epoch 0"),
        (LATER, {"prev_hash": bytes(32)}, "epoch 0"),
        (LATER, {"kind": EpochKind.KEY_GENERATION}, "epoch 0"),
    ],
)
def test_a_body_that_contradicts_itself_is_refused(
    body: EpochBody, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(BadInput, match=text):
        replace(body, **changes)


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"name": "Treasury"}, "a name is"),
        ({"scheme": Scheme.ECDSA}, "not built"),
        ({"wallet_id": bytes(15)}, "id of 16"),
        ({"roster_hash": bytes(31)}, "hashes of 32"),
        ({"policy_hash": bytes(33)}, "hashes of 32"),
    ],
)
def test_terms_that_break_a_rule_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(BadInput, match=text):
        replace(BODY.terms, **changes)


@pytest.mark.parametrize(
    "offset, value, text",
    [
        (0, b"\x02", "protocol version 2"),
        (0, b"\x00", "protocol version 0"),
        (1, b"\x03", "kind 3"),
        (28, b"\x03", "scheme 3"),
        (28, b"\x09", "scheme 9"),
        (65, u16be(2) + u16be(3), "threshold"),
        (71, u16be(1), "adoption size"),
        (32, b"\x01", "epoch 0"),
        (137, bytes(33), "point"),
    ],
)
def test_bytes_of_a_body_that_breaks_a_rule_are_a_bad_encoding(
    offset: int, value: bytes, text: str
) -> None:
    """Steps 1.6.4, 1.6.5, 1.7.10 and 6.1.3. The name has 8 bytes."""
    source = bytearray(BODY.to_bytes())
    source[offset : offset + len(value)] = value
    with pytest.raises(BadEncoding, match=text):
        EpochBody.from_bytes(bytes(source))
