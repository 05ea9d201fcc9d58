"""Whose signature counts, and for how long (steps 1.6.2a, 1.7.2, 1.7.3)."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from hsm_mpc.errors import BackendError, BadEncoding, BadInput, InvalidSignature, Refused
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.wire.channels import channel_address
from hsm_mpc.wire.rounds import COMMIT, HELLO, REQUEST
from tests.software_identity import p256_key
from tests.wire.book import NOW, Book, Holder


def test_a_message_of_a_known_channel_verifies(book: Book) -> None:
    holder = book.holders[2]
    channel = holder.channel()
    assert book.keys.learn_message(holder.announced(channel), NOW) == 2
    book.keys.verify(holder.message(COMMIT, channel, b"offer"), NOW)


def test_a_message_before_its_channel_waits_for_it(book: Book) -> None:
    holder = book.holders[2]
    with pytest.raises(BackendError, match="no valid channel of holder 2") as waits:
        book.keys.verify(holder.message(COMMIT, holder.channel(), b"offer"), NOW)
    assert waits.value.retryable


def test_a_changed_message_does_not_verify(book: Book) -> None:
    holder = book.holders[2]
    channel = holder.channel()
    book.keys.learn(2, channel.to_bytes(), NOW)
    message = holder.message(COMMIT, channel, b"offer")
    for changed in (
        replace(message, signed_part=message.signed_part[:-1] + b"?"),
        replace(message, signature=message.signature[:-1] + b"?"),
        replace(message, signature=b""),
    ):
        with pytest.raises(InvalidSignature):
            book.keys.verify(changed, NOW)


def test_a_message_under_another_certificate_of_the_same_key_does_not_verify(book: Book) -> None:
    """Step 1.6.2a: the signature covers SHA-256(CHANNEL)."""
    holder = book.holders[2]
    book.keys.learn(2, holder.channel().to_bytes(), NOW)
    with pytest.raises(InvalidSignature):
        book.keys.verify(holder.message(COMMIT, holder.channel(NOW - 1), b"offer"), NOW)


def test_the_two_newest_channels_count(book: Book) -> None:
    """Step 1.7.2: an older one never displaces them, whoever shows it again and again."""
    holder = book.holders[2]
    channels = [holder.channel(NOW + age) for age in (-3, -2, -1)]
    for channel in (*channels, *channels[:1] * 3):
        book.keys.learn(2, channel.to_bytes(), NOW)
    assert book.keys.channels(2) == (channels[2], channels[1])
    for channel in channels[1:]:
        book.keys.verify(holder.message(COMMIT, channel, b"offer"), NOW)
    with pytest.raises(InvalidSignature):
        book.keys.verify(holder.message(COMMIT, channels[0], b"offer"), NOW)


def test_a_channel_that_is_shown_again_displaces_no_other(book: Book) -> None:
    holder = book.holders[2]
    channels = [holder.channel(NOW + age) for age in (-2, -1)]
    for channel in (*channels, channels[1]):
        book.keys.learn(2, channel.to_bytes(), NOW)
    assert book.keys.channels(2) == (channels[1], channels[0])


def test_a_holder_that_starts_thrice_in_a_second_is_understood(book: Book) -> None:
    holder = book.holders[2]
    channels = [holder.channel(length=length) for length in (1000, 1001, 1002)]
    for channel in channels:
        book.keys.learn(2, channel.to_bytes(), NOW)
    book.keys.verify(holder.message(COMMIT, channels[2], b"offer"), NOW)


def test_an_expired_channel_beside_a_valid_one_does_no_harm(book: Book) -> None:
    """Step 1.7.2: both are tried, and each is judged by the own clock."""
    holder = book.holders[2]
    short, long = holder.channel(NOW, 10), holder.channel(NOW - 1, 10_000)
    for channel in (short, long):
        book.keys.learn(2, channel.to_bytes(), NOW)
    later = NOW + 10 + 301
    book.keys.verify(holder.message(COMMIT, long, b"offer"), later)
    with pytest.raises(InvalidSignature):
        book.keys.verify(holder.message(COMMIT, short, b"offer"), later)


@pytest.mark.parametrize(("begin", "valid"), [(301, False), (300, True), (-300, True)])
def test_a_channel_counts_within_five_minutes_of_its_time(
    book: Book, begin: int, valid: bool
) -> None:
    holder = book.holders[2]
    channel = holder.channel(NOW + begin)
    if not valid:
        with pytest.raises(Refused, match="not valid") as refused:
            book.keys.learn(2, channel.to_bytes(), NOW)
        assert refused.value.rule == "channel-validity"
        return
    book.keys.learn(2, channel.to_bytes(), NOW)
    book.keys.verify(holder.message(COMMIT, channel, b"offer"), NOW)
    with pytest.raises(BackendError, match="no valid channel"):
        book.keys.verify(holder.message(COMMIT, channel, b"offer"), NOW + begin + 1000 + 301)


def test_a_channel_that_was_announced_once_expires_all_the_same(book: Book) -> None:
    announced = book.holders[2].announced(book.holders[2].channel())
    book.keys.learn_message(announced, NOW)
    with pytest.raises(Refused, match="not valid"):
        book.keys.learn_message(announced, NOW + 1000 + 301)


def test_a_channel_of_another_holder_is_refused(book: Book) -> None:
    """Step 1.6.2a: certified by the identity key that the roster has at this place."""
    channel = book.holders[1].channel()
    with pytest.raises(InvalidSignature):
        book.keys.learn(2, channel.to_bytes(), NOW)
    book.keys.learn(1, channel.to_bytes(), NOW)
    with pytest.raises(InvalidSignature):
        book.keys.learn(2, channel.to_bytes(), NOW)
    foreign = book.holders[1].announced(channel, channel_address(2))
    with pytest.raises(InvalidSignature):
        book.keys.learn_message(foreign, NOW)


@pytest.mark.parametrize("index", [0, 4, 255])
def test_a_channel_of_nobody_is_refused(book: Book, index: int) -> None:
    holder = replace(book.holders[1], index=index)
    with pytest.raises(BadInput):
        book.keys.learn_message(holder.announced(holder.channel()), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"wallet_id": WalletId(b"w" * 16)},
        {"session_id": b"s" * 32},
        {"epoch_hash": EpochHash(b"h" * 32)},
        {"receiver": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_channel_belongs_to_no_wallet(book: Book, changes: dict[str, object]) -> None:
    """Step 1.7.3."""
    holder = book.holders[2]
    address = replace(channel_address(2), **changes)  # type: ignore[arg-type]
    with pytest.raises(BadEncoding, match="not a CHANNEL"):
        book.keys.learn_message(holder.announced(holder.channel(), address), NOW)
    assert book.keys.channels(2) == ()


def test_another_message_announces_no_channel(book: Book) -> None:
    holder = book.holders[2]
    channel = holder.channel()
    message = holder.message(COMMIT, channel, channel.to_bytes(), channel_address(2))
    with pytest.raises(BadEncoding, match="not a CHANNEL"):
        book.keys.learn_message(message.to_bytes(), NOW)


def test_an_announcement_is_signed_by_the_channel_in_it(book: Book) -> None:
    """Though the holder has another one, and its signature would verify under that."""
    holder = book.holders[2]
    old, new = holder.channel(NOW - 1), holder.channel()
    book.keys.learn_message(holder.announced(old), NOW)
    crossed = holder.message(HELLO, old, new.to_bytes(), channel_address(2))
    message = holder.announced(new)[: -len(crossed.signature)] + crossed.signature
    with pytest.raises(InvalidSignature):
        book.keys.learn_message(message, NOW)


def test_what_was_announced_once_is_not_verified_again(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = book.holders[2]
    announced = [holder.announced(holder.channel(NOW - age)) for age in (0, 1)]
    for message in announced:
        book.keys.learn_message(message, NOW)
    monkeypatch.setattr(book.keys, "learn", None)
    assert [book.keys.learn_message(message, NOW) for message in announced] == [2, 2]


def test_under_another_roster_another_key_of_one_holder_counts(book: Book) -> None:
    """What was learned stays, of both: a holder has another HSM (step 6.7.2)."""
    old, other = book.holders[2], book.holders[1]
    new = Holder(2, p256_key(77))
    later = book.keys.under(book.keys.roster.with_key(2, new.identity.public))
    for holder in (old, other):
        assert book.keys.learn_message(holder.announced(holder.channel()), NOW) == holder.index
    assert later.learn_message(other.announced(other.channel()), NOW) == 1
    for keys, known, foreign in ((book.keys, old, new), (later, new, old)):
        channel = known.channel()
        keys.learn_message(known.announced(channel), NOW)
        keys.verify(known.message(COMMIT, channel, b"offer"), NOW)
        assert keys.channels(2) == (channel,)
        with pytest.raises(InvalidSignature):
            keys.learn_message(foreign.announced(foreign.channel()), NOW)
        with pytest.raises(InvalidSignature):
            keys.verify(foreign.message(COMMIT, foreign.channel(), b"offer"), NOW)
    both = [each.content.signing_key for each in later.channels_ever(2)]
    assert both == [old.channel_key.public.encoded, new.channel_key.public.encoded]
    assert later.under(book.keys.roster).channels(2) == book.keys.channels(2)
    assert book.keys.under(book.keys.roster) is book.keys


def test_what_is_remembered_does_not_grow(book: Book) -> None:
    holder = book.holders[2]
    for age in range(20, 0, -1):
        book.keys.learn_message(holder.announced(holder.channel(NOW - age)), NOW)
    assert len(book.keys._channels.announced) == 2


def test_threads_lose_no_channel(book: Book) -> None:
    def learn(index: int) -> None:
        for age in range(50):
            holder = book.holders[index]
            book.keys.learn_message(holder.announced(holder.channel(NOW - age)), NOW)

    threads = [threading.Thread(target=learn, args=(index,)) for index in (1, 2, 3) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in (1, 2, 3):
        newest = [channel.content.not_before for channel in book.keys.channels(index)]
        assert newest == [NOW, NOW - 1]


# Identity and coordinator keys


def test_a_message_of_the_identity_key_verifies(book: Book) -> None:
    message = book.holders[2].identified(HELLO, b"hello")
    book.keys.verify(message, NOW)
    for changed in (replace(message, signed_part=b"?"), replace(message, signature=b"")):
        with pytest.raises(InvalidSignature):
            book.keys.verify(changed, NOW)
    address = replace(message.address, sender=3)
    with pytest.raises(InvalidSignature):
        book.keys.verify(replace(message, address=address), NOW)


@pytest.mark.parametrize("index", [0, 4, 0x4001])
def test_a_message_of_nobody_is_refused(book: Book, index: int) -> None:
    message = book.holders[2].identified(HELLO, b"hello")
    with pytest.raises(BadInput):
        book.keys.verify(replace(message, address=replace(message.address, sender=index)), NOW)


def test_a_coordinators_message_verifies_by_its_number(book: Book) -> None:
    book.keys.verify(book.said(REQUEST, b"request"), NOW)
    with pytest.raises(InvalidSignature, match="not in the own list"):
        book.keys.verify(book.said(REQUEST, b"request", 0x8001), NOW)
    with pytest.raises(InvalidSignature):
        book.keys.verify(replace(book.said(REQUEST, b"request"), signed_part=b"?"), NOW)
    assert book.keys.knows_coordinator(0x8000)
    assert not book.keys.knows_coordinator(0x8001)
    assert book.keys.may_show_proof(0x8000) is None
    everybody = range(1, book.keys.roster.n + 1)
    assert book.keys.may_show_proof(1) == book.keys.may_show_proof(0x8001) == everybody
