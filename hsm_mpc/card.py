"""A holder's card: name, identity key and address, signed by that key (step 1.6.3a)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import Reader, lv16, u8
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import checked_name
from hsm_mpc.roster import (
    FIRST_PREDECESSOR,
    Member,
    Roster,
    read_lab_flag,
    read_name,
    refuse_lab_mark_outside,
)
from hsm_mpc.tags import Tag

_LONGEST_ADDRESS: Final = 255


@dataclass(frozen=True, slots=True)
class UnsignedCard:
    """What `holder init` has its HSM sign, with tag `card`, over `to_bytes()`.

    The address is up to 255 visible ASCII characters.

    Raises:
        BadInput: from the constructor, for another name or address.
    """

    lab: bool
    name: str
    key: VerifyingKey
    address: str

    def __post_init__(self) -> None:
        checked_name(self.name, "holder")
        visible = all("!" <= character <= "~" for character in self.address)
        if not visible or len(self.address) > _LONGEST_ADDRESS:
            raise BadInput(f"an address is up to {_LONGEST_ADDRESS} visible ASCII characters")

    def to_bytes(self) -> bytes:
        """`u8(flags) ‖ LV16(name) ‖ u8(alg) ‖ LV16(identity key) ‖ LV16(address)`."""
        member = Member(self.name, self.key)
        return u8(self.lab) + member.to_bytes() + lv16(self.address.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Card:
    """A card whose signature verified: there is no other way to have one.

    Raises:
        InvalidSignature: from the constructor: not signed by the key that it shows.
    """

    content: UnsignedCard
    signature: bytes

    def __post_init__(self) -> None:
        self.content.key.verify(Tag.CARD, self.content.to_bytes(), self.signature)

    @property
    def member(self) -> Member:
        """The roster's entry for this holder: the card less the address."""
        return Member(self.content.name, self.content.key)

    def to_bytes(self) -> bytes:
        """`CARD`."""
        return self.content.to_bytes() + lv16(self.signature)

    @classmethod
    def from_bytes(cls, source: bytes) -> Card:
        """Inverse of `to_bytes`.

        Raises:
            BadEncoding: anything but a card.
            InvalidSignature: a card signed by another key.
        """
        reader = Reader(source, "card")
        lab = read_lab_flag(reader, "card")
        name = read_name(reader, "holder")
        key = VerifyingKey.read(reader)
        raw_address = reader.lv16()
        signature = reader.lv16()
        reader.end()
        try:
            content = UnsignedCard(lab, name, key, raw_address.decode("ascii"))
        except (UnicodeDecodeError, BadInput) as error:
            raise BadEncoding("card: the address is not visible ASCII") from error
        return cls(content, signature)


def roster_of_cards(cards: Sequence[Card], *, in_lab: bool, old: Roster | None = None) -> Roster:
    """The roster whose holders are `cards`, in this order; the version after `old`, or the first.

    Raises:
        BadInput: a name or key twice, none or too many cards, lab and other cards mixed.
        Refused: `lab-mark`, for a lab's card outside a lab.
    """
    marks = {card.content.lab for card in cards}
    for marked in marks:
        refuse_lab_mark_outside(marked, in_lab=in_lab, what="a card")
    if len(marks) > 1:
        raise BadInput("cards of a lab and other cards make no roster together")
    return Roster(
        lab=True in marks,
        version=1 if old is None else old.version + 1,
        predecessor=FIRST_PREDECESSOR if old is None else old.hash,
        members=tuple(card.member for card in cards),
    )
