"""ASK, JOIN, ACK and DESTROYED as bytes: read back as written, and nothing else is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.reason import MOST_CHARACTERS
from hsm_mpc.certificates.resharing import ReshareOrder, Resharing
from hsm_mpc.encoding import lv16, lv32, u8, u16be, u64be
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.succession.ack import Ack
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.destroyed import Destroyed
from hsm_mpc.succession.join import Adoption, Join
from tests.succession.making import COORDINATOR, Refresh

ATTEMPT = Attempt(7, COORDINATOR)
ATTEMPT_BYTES = u64be(7) + u16be(COORDINATOR)
ADOPTION = Adoption(Attempt(6, COORDINATOR), EpochHash(b"h" * 32), b"c" * 32)
ROSTER = Refresh().ceremony.roster
RESHARING = u16be(3) * 3 + lv32(ROSTER.to_bytes())
ASK = Ask(ATTEMPT, "older than a month", 1_800_000_000, b"what retired the epoch before")


def an_ack() -> Ack:
    refresh = Refresh()
    return Ack(refresh.attempt(), refresh.body().hash, refresh.acknowledgement(1))


def of_ask(
    kind: int = 1, reason: bytes = b"why", policy: bytes = b"", parameters: bytes = b""
) -> bytes:
    """The payload of an ASK, as the specification writes it."""
    until = u64be(1_800_000_000)
    head = ATTEMPT_BYTES + u8(kind) + lv16(reason) + until + lv32(b"")
    return head + lv32(policy) + lv32(parameters)


@pytest.mark.parametrize(
    ("read", "payload"),
    [
        (Ask.from_bytes, ASK.to_bytes()),
        (Join.from_bytes, Join(ATTEMPT, None).to_bytes()),
        (Join.from_bytes, Join(ATTEMPT, ADOPTION).to_bytes()),
        (Ack.from_bytes, an_ack().to_bytes()),
        (Destroyed.from_bytes, Refresh().destroyed_payload(1)),
    ],
    ids=["ask", "join", "join of one that adopted", "ack", "destroyed"],
)
def test_it_reads_back_and_no_byte_is_missing_or_left_over(
    read: Callable[[bytes], Ask | Join | Ack | Destroyed], payload: bytes
) -> None:
    assert read(payload).to_bytes() == payload
    for wrong in (payload[:-1], payload + b"x"):
        with pytest.raises(BadEncoding):
            read(wrong)


def test_the_bytes_of_a_join_are_those_of_the_specification() -> None:
    adopted = u64be(6) + u16be(COORDINATOR) + b"h" * 32 + b"c" * 32
    assert Join(ATTEMPT, None).to_bytes() == ATTEMPT_BYTES + u8(0)
    assert Join(ATTEMPT, ADOPTION).to_bytes() == ATTEMPT_BYTES + u8(1) + adopted


def test_an_unknown_form_of_join_is_refused() -> None:
    with pytest.raises(BadEncoding, match="unknown form 2"):
        Join.from_bytes(ATTEMPT_BYTES + u8(2) + ADOPTION.to_bytes())


def test_the_bytes_of_an_ask_are_those_of_the_specification() -> None:
    ask = Ask.from_bytes(of_ask())
    assert ask == Ask(ATTEMPT, "why", 1_800_000_000, b"")
    assert ask.digest == hashlib.sha256(of_ask()).digest()


@pytest.mark.parametrize(
    "other",
    [of_ask(kind=2), of_ask(kind=0), of_ask(policy=b"p"), of_ask(kind=1, parameters=RESHARING)],
    ids=["to nobody", "another kind", "another policy", "a refresh to others"],
)
def test_only_a_refresh_or_a_resharing_is_asked_for(other: bytes) -> None:
    with pytest.raises(BadEncoding, match="no refresh or resharing"):
        Ask.from_bytes(other)


def test_the_bytes_of_an_ask_for_a_resharing() -> None:
    source = of_ask(kind=2, parameters=RESHARING)
    ask = Ask.from_bytes(source)
    assert ask.to_bytes() == source
    assert ask.resharing == Resharing(QuorumSizes(3, 3, 3, 3), ROSTER)
    assert u16be(3) * 3 + lv32(ROSTER.to_bytes()) == RESHARING
    order = ask.order(WalletId(b"w" * 16), EpochHash(b"h" * 32))
    assert order is not None
    assert order.to_bytes() == (
        b"w" * 16 + b"h" * 32 + lv16(b"why") + u64be(1_800_000_000) + lv32(RESHARING)
    )
    assert ReshareOrder.from_bytes(order.to_bytes()) == order
    assert Ask(ATTEMPT, "why", 1, b"").order(order.wallet_id, order.epoch_hash) is None
    with pytest.raises(BadInput, match="sizes for 4 of 3"):
        Resharing(QuorumSizes.default(4, 3), ROSTER)


@pytest.mark.parametrize(
    "reason",
    [b"x" * (MOST_CHARACTERS + 1), b"two\nlines", b"\xff"],
    ids=["too long", "not printable", "no text"],
)
def test_a_reason_is_a_line_for_people(reason: bytes) -> None:
    with pytest.raises(BadEncoding, match="reason"):
        Ask.from_bytes(of_ask(reason=reason))
    longest = b"x" * MOST_CHARACTERS
    assert Ask.from_bytes(of_ask(reason=longest)).reason == longest.decode()
