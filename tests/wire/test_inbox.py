"""The order of a receiver's checks, and what proves a cheat (steps 1.7.3, 1.7.4 and 1.10)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BackendError, BadEncoding, InvalidSignature, ProtocolAbort
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.inbox import Equivocation, Expected, Inbox, decoded
from hsm_mpc.wire.rounds import COMMIT, DONE, HELLO, REQUEST, SIGN, Key
from tests.wire.book import NOW, SESSION, WALLET, Book, H

EXPECTED = Expected(HELLO, WALLET, SESSION, H, (1, 2, 3))
ASKED = Expected(REQUEST, WALLET, SESSION, H, None)


@pytest.fixture
def inbox(book: Book) -> Inbox:
    return Inbox(book.keys)


def test_what_is_waited_for_is_received(book: Book, inbox: Inbox) -> None:
    message = book.holders[2].identified(HELLO, b"hello")
    assert inbox.receive(message.to_bytes(), EXPECTED, NOW) == message
    said = book.said(REQUEST, b"request")
    assert inbox.receive(said.to_bytes(), ASKED, NOW) == said


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        (replace(EXPECTED, kind=DONE), "a HELLO where a DONE"),
        (replace(EXPECTED, wallet_id=WalletId(bytes(16))), "wallet"),  # wrong_wallet
        (replace(EXPECTED, session_id=bytes(32)), "session"),  # wrong_session
        (replace(EXPECTED, epoch_hash=EpochHash(bytes(32))), "epoch"),  # wrong_epoch_hash
        (replace(EXPECTED, senders=(1, 3)), "sender 2 is not expected"),
        (replace(EXPECTED, senders=None), "sender 2 is not expected"),
        (replace(EXPECTED, receiver=0x8000), "receiver"),  # wrong_receiver
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_waited_for_is_dropped(
    book: Book, inbox: Inbox, expected: Expected, reason: str
) -> None:
    """Step 1.7.3: wrong_wallet, wrong_session, wrong_epoch_hash, wrong_receiver."""
    message = book.holders[2].identified(HELLO, b"hello")
    with pytest.raises(BadEncoding, match=reason):
        inbox.receive(message.to_bytes(), expected, NOW)


def test_all_that_is_said_outside_is_checked_before_the_signature(book: Book, inbox: Inbox) -> None:
    """Step 1.7.3: a failure before it is nobody's, and costs no verification."""
    message = replace(book.holders[2].identified(HELLO, b"hello"), signature=b"none")
    for expected in (
        replace(EXPECTED, kind=DONE),
        replace(EXPECTED, wallet_id=WalletId(bytes(16))),
        replace(EXPECTED, session_id=bytes(32)),
        replace(EXPECTED, epoch_hash=EpochHash(bytes(32))),
        replace(EXPECTED, senders=()),
        replace(EXPECTED, receiver=1),
    ):
        with pytest.raises(BadEncoding):
            inbox.receive(message.to_bytes(), expected, NOW)
    with pytest.raises(InvalidSignature):
        inbox.receive(message.to_bytes(), EXPECTED, NOW)


def test_unknown_coordinator_is_dropped(book: Book, inbox: Inbox) -> None:
    message = book.said(REQUEST, b"request", 0x8001)
    with pytest.raises(BadEncoding, match="sender 32769 is not expected"):
        inbox.receive(message.to_bytes(), ASKED, NOW)


def test_relay_changed_byte_blames_nobody(book: Book, inbox: Inbox) -> None:
    """Step 1.7.3: whatever byte it is, nothing is remembered and nobody named."""
    whole = book.holders[2].identified(HELLO, b"hello").to_bytes()
    for at in range(len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises((BadEncoding, InvalidSignature)):
            inbox.receive(changed, EXPECTED, NOW)
    assert inbox.messages() == ()


def test_a_message_before_its_channel_blames_nobody(book: Book, inbox: Inbox) -> None:
    holder = book.holders[2]
    message = holder.message(COMMIT, holder.channel(), b"offer")
    with pytest.raises(BackendError):
        inbox.receive(message.to_bytes(), replace(EXPECTED, kind=COMMIT), NOW)


# Equivocation


def test_two_messages_for_one_slot_are_evidence(book: Book, inbox: Inbox) -> None:
    """Step 1.7.4."""
    one, other = (book.holders[2].identified(HELLO, payload) for payload in (b"one", b"other"))
    assert inbox.remember(one)
    with pytest.raises(Equivocation, match="holder 2 sent two different messages HELLO") as twice:
        inbox.remember(other)
    assert twice.value.culprits == (2,)
    assert twice.value.evidence == (one.to_bytes(), other.to_bytes())
    for proof in twice.value.evidence:
        inbox.receive(proof, EXPECTED, NOW)  # anybody can check it


def test_a_repeat_is_no_equivocation(book: Book, inbox: Inbox) -> None:
    """Step 1.7.4: header and payload count, not the signature."""
    message = book.holders[2].identified(HELLO, b"hello")
    assert inbox.remember(message)
    assert not inbox.remember(parse_envelope(message.to_bytes()))
    assert not inbox.remember(replace(message, signature=b"another as good"))
    assert inbox.messages() == (message,)


def test_other_slots_are_other_slots(book: Book, inbox: Inbox) -> None:
    """Step 1.7.4: session, protocol, round, sender, receiver and sub make up a slot."""
    message = book.holders[2].identified(HELLO, b"hello")
    others = [
        book.holders[3].identified(HELLO, b"other"),
        book.holders[2].identified(DONE, b"other"),
        book.holders[2].identified(HELLO, b"other", receiver=1),
        seal_envelope(
            HELLO,
            replace(message.address, session_id=bytes(32)),
            b"other",
            Key.IDENTITY,
            book.holders[2].identity.sign,
        ),
    ]
    for each in (message, *others):
        assert inbox.remember(each)
    assert inbox.remember(book.holders[2].identified(HELLO, b"other"), b"another lease")


def test_a_coordinator_that_says_two_things_blames_no_holder(book: Book, inbox: Inbox) -> None:
    inbox.remember(book.said(SIGN, b"one"), b"attempt 1")
    with pytest.raises(Equivocation, match="coordinator 32768") as twice:
        inbox.remember(book.said(SIGN, b"other"), b"attempt 1")
    assert twice.value.culprits == ()


# After the signature


def _two_bytes(payload: bytes) -> bytes:
    reader = Reader(payload, "two bytes")
    read = reader.take(2)
    reader.end()
    return read


def test_a_signed_payload_that_does_not_parse_names_its_sender(book: Book) -> None:
    """Step 1.10."""
    assert decoded(book.holders[2].identified(HELLO, b"ok"), _two_bytes) == b"ok"
    for payload in (b"", b"o", b"ok?"):
        with pytest.raises(ProtocolAbort, match="HELLO of holder 2 does not parse") as abort:
            decoded(book.holders[2].identified(HELLO, payload), _two_bytes)
        assert abort.value.culprits == (2,)


def test_a_coordinators_payload_that_does_not_parse_names_no_holder(book: Book) -> None:
    """Step 1.7.3."""
    with pytest.raises(ProtocolAbort, match="SIGN of coordinator 32768 does not parse") as abort:
        decoded(book.said(SIGN, b""), _two_bytes)
    assert abort.value.culprits == ()
