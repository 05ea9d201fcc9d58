"""Calls and answers as any transport carries them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.encoding import lv16, u16be
from hsm_mpc.errors import (
    BackendError,
    BadConfig,
    BadEncoding,
    BadInput,
    Declined,
    HsmMpcError,
    InvalidSignature,
    NameTaken,
    NotReady,
    PinRefused,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
    Tampered,
)
from hsm_mpc.wire.calls import Call, answer_of, failure_of, parts_of

PARTS = st.lists(st.binary(max_size=40), max_size=6).map(tuple)


def test_the_bytes_of_a_call_are_those_of_the_specification() -> None:
    assert Call(7, (b"ab", b"")).to_bytes() == b"\7\0\2\0\0\0\2ab\0\0\0\0"
    assert answer_of((b"x",)) == b"\0\0\1\0\0\0\1x"


@given(st.integers(0, 255), PARTS)
def test_any_call_is_read_back_as_it_was_written(method: int, parts: tuple[bytes, ...]) -> None:
    call = Call(method, parts)
    assert Call.from_bytes(call.to_bytes()) == call


@given(PARTS)
def test_any_answer_is_read_back_as_it_was_written(parts: tuple[bytes, ...]) -> None:
    assert parts_of(answer_of(parts)) == parts


@given(st.binary(max_size=60))
def test_bytes_are_a_call_exactly_if_they_are_its_encoding(source: bytes) -> None:
    try:
        call = Call.from_bytes(source)
    except BadEncoding:
        return
    assert call.to_bytes() == source


@given(st.binary(max_size=60))
def test_whatever_comes_is_an_answer_or_one_of_our_errors(source: bytes) -> None:
    try:
        parts = parts_of(source)
    except HsmMpcError:
        return
    assert answer_of(parts) == source


ERRORS = [
    HsmMpcError("bug"),
    BadInput("bad"),
    BadEncoding("bad"),
    NameTaken("taken"),
    Refused("some-rule", "no"),
    Declined("all say no", "some-rule"),
    BackendError("away"),
    BackendError("away for good", retryable=False),
    QuorumUnreachable("too few", ("h2", "h3")),
    PinRefused("wrong"),
    ProtocolAbort("a cheat", (3, 1)),
    Tampered("damaged"),
    NotReady("wait", ("h1",)),
    InvalidSignature("no"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_arrives_as_what_it_was(error: HsmMpcError) -> None:
    with pytest.raises(HsmMpcError) as arrived:
        parts_of(failure_of(error))
    other = arrived.value
    assert type(other) is type(error)
    assert (str(other), other.kind, other.retryable) == (str(error), error.kind, error.retryable)
    assert other.facts() == error.facts()


def test_what_only_one_side_knows_arrives_as_an_unexpected_error() -> None:
    with pytest.raises(HsmMpcError) as arrived:
        parts_of(failure_of(BadConfig("whose is it?")))
    assert arrived.value.kind == "internal"


def test_a_long_text_is_cut() -> None:
    with pytest.raises(BadInput) as arrived:
        parts_of(failure_of(BadInput("é" * 100_000)))
    assert str(arrived.value) == "é" * 1000


OTHER_FORM = b"\2" + failure_of(Tampered("x"))[1:]


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"\2",
        b"\0",
        answer_of(()) + b"x",
        failure_of(BadInput("x"))[:-1],
        b"\1" + lv16(b""),
        OTHER_FORM,
    ],
)
def test_what_is_no_answer_is_refused(source: bytes) -> None:
    with pytest.raises(BadEncoding):
        parts_of(source)


def test_nothing_may_follow_a_call() -> None:
    with pytest.raises(BadEncoding, match="left over"):
        Call.from_bytes(b"\1" + u16be(0) + b"x")


def test_nothing_may_follow_a_failure() -> None:
    with pytest.raises(BadEncoding, match="left over"):
        parts_of(failure_of(BadInput("x")) + b"x")
