from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.card import Card, UnsignedCard, roster_of_cards
from hsm_mpc.encoding import lv16, u8
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Refused
from hsm_mpc.tags import Tag
from tests.software_identity import p256_key

HOLDER = p256_key(1)
CONTENT = UnsignedCard(lab=False, name="h1", key=HOLDER.public, address="h1.bank.example:7443")


def card_of(number: int, *, lab: bool = False) -> Card:
    key = p256_key(number)
    content = UnsignedCard(lab, f"h{number}", key.public, f"h{number}:7443")
    return Card(content, key.sign(Tag.CARD, content.to_bytes()))


CARD = Card(CONTENT, HOLDER.sign(Tag.CARD, CONTENT.to_bytes()))


def test_the_bytes_of_a_card_are_those_of_the_specification() -> None:
    """Step 1.6.3a, written out."""
    before = (
        u8(0) + lv16(b"h1") + u8(1) + lv16(HOLDER.public.encoded) + lv16(b"h1.bank.example:7443")
    )
    assert CARD.to_bytes() == before + lv16(CARD.signature)


@given(
    st.booleans(),
    st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=255),
)
def test_any_card_is_read_back_as_it_was_written(lab: bool, name: str, address: str) -> None:
    content = UnsignedCard(lab, name, HOLDER.public, address)
    card = Card(content, HOLDER.sign(Tag.CARD, content.to_bytes()))
    assert Card.from_bytes(card.to_bytes()) == card


@pytest.mark.parametrize("address", ["", "!", "~", "a" * 255])
def test_an_address_at_the_limits_is_accepted(address: str) -> None:
    assert replace(CONTENT, address=address).address == address


def test_a_card_signed_by_other_key_is_refused() -> None:
    signature = p256_key(2).sign(Tag.CARD, CONTENT.to_bytes())
    with pytest.raises(InvalidSignature):
        Card(CONTENT, signature)
    with pytest.raises(InvalidSignature):
        Card.from_bytes(CONTENT.to_bytes() + lv16(signature))


@pytest.mark.parametrize(
    "changed",
    [
        replace(CONTENT, lab=True),
        replace(CONTENT, name="h2"),
        replace(CONTENT, key=p256_key(2).public),
        replace(CONTENT, address="evil.example:7443"),
    ],
)
def test_a_changed_field_breaks_the_card(changed: UnsignedCard) -> None:
    with pytest.raises(InvalidSignature):
        Card(changed, CARD.signature)


@pytest.mark.parametrize("address", ["a b", "a\n", "ä", "a" * 256, "\x7f"])
def test_an_address_of_other_characters_is_refused(address: str) -> None:
    with pytest.raises(BadInput, match="address"):
        replace(CONTENT, address=address)
    raw = address.encode("utf-8")
    changed = CARD.to_bytes().replace(lv16(b"h1.bank.example:7443"), lv16(raw))
    with pytest.raises(BadEncoding, match="address"):
        Card.from_bytes(changed)


def test_a_card_of_a_bad_name_is_refused() -> None:
    with pytest.raises(BadInput, match="a name is"):
        replace(CONTENT, name="H1")


def test_unknown_flags_are_refused() -> None:
    with pytest.raises(BadEncoding, match="flags 3"):
        Card.from_bytes(b"\3" + CARD.to_bytes()[1:])


def test_a_roster_entry_is_what_the_card_says_less_the_address() -> None:
    cards = [card_of(i) for i in (2, 1, 3)]
    roster = roster_of_cards(cards, in_lab=False)
    assert [member.name for member in roster.members] == ["h2", "h1", "h3"]
    assert [member.key for member in roster.members] == [card.content.key for card in cards]
    assert (roster.lab, roster.version, roster.predecessor) == (False, 1, bytes(32))
    assert b":7443" not in roster.to_bytes()


def test_a_later_roster_names_the_one_before() -> None:
    old = roster_of_cards([card_of(1), card_of(2)], in_lab=False)
    new = roster_of_cards([card_of(1), card_of(3)], in_lab=False, old=old)
    new.check_succeeds(old)


def test_a_lab_card_outside_a_lab_is_refused() -> None:
    lab_cards = [card_of(i, lab=True) for i in (1, 2)]
    assert roster_of_cards(lab_cards, in_lab=True).lab
    with pytest.raises(Refused) as refusal:
        roster_of_cards(lab_cards, in_lab=False)
    assert refusal.value.rule == "lab-mark"


def test_lab_cards_and_others_make_no_roster_together() -> None:
    with pytest.raises(BadInput, match="together"):
        roster_of_cards([card_of(1), card_of(2, lab=True)], in_lab=True)


def test_no_cards_make_no_roster() -> None:
    with pytest.raises(BadInput, match="1 to 255 holders"):
        roster_of_cards([], in_lab=True)


def test_the_signature_is_over_the_tagged_hash_of_all_before() -> None:
    tag = hashlib.sha256(b"hsm-mpc/v1/card").digest()
    digest = hashlib.sha256(tag + tag + CONTENT.to_bytes()).digest()
    Card(CONTENT, HOLDER.sign_digest(digest))
