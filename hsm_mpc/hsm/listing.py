"""All keys of a token, for `inventory` and `doctor`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from hsm_mpc.hsm import objects
from hsm_mpc.hsm.attributes import differences
from hsm_mpc.hsm.cryptoki import Attribute, KeyType, ObjectClass
from hsm_mpc.hsm.keys import CANARY, IDENTITIES, WRAPPING_LABEL_PREFIX, required_attributes
from hsm_mpc.hsm.register_objects import NAME_PREFIX
from hsm_mpc.hsm.token import Token

_REGISTER: Final = NAME_PREFIX.encode()


@dataclass(frozen=True, slots=True)
class KeyListing:
    """One key as the token describes it."""

    object_class: ObjectClass
    key_type: str
    """`AES`, `EC`, …; a number in hex for a type unknown here; empty if the token does not tell."""
    key_id: bytes
    label: str
    differences: tuple[str, ...]
    """For a key that bears a name of ours: what does not hold of step 6.2.3."""

    @property
    def is_ours(self) -> bool:
        """Whether class and label are those of an identity, canary or wrapping key."""
        wraps = self.label == CANARY or self.label.startswith(WRAPPING_LABEL_PREFIX)
        if self.object_class is ObjectClass.SECRET_KEY:
            return wraps
        if self.object_class is ObjectClass.PRIVATE_KEY:
            return wraps or self.label in IDENTITIES
        return self.label in IDENTITIES


def listing(token: Token) -> tuple[KeyListing, ...]:
    """Every secret, private and public key but registers, sorted by class, label and id.

    Raises:
        BackendError: the token does not answer.
    """
    found = [
        described
        for object_class in ObjectClass
        for handle in objects.matching(
            token,
            {
                Attribute.CLASS: objects.number(object_class),
                Attribute.TOKEN: objects.TRUE,
            },
        )
        if not (described := _described(token, object_class, handle)).key_id.startswith(_REGISTER)
    ]
    return tuple(sorted(found, key=lambda key: (-key.object_class, key.label, key.key_id)))


def _described(token: Token, object_class: ObjectClass, handle: int) -> KeyListing:
    with token.session() as session:
        key_id, label, key_type = (
            objects.read_attribute(token, session, handle, kind)
            for kind in (Attribute.ID, Attribute.LABEL, Attribute.KEY_TYPE)
        )
    number = objects.as_number(key_type)
    described = KeyListing(
        object_class,
        _type_name(number),
        key_id or b"",
        (label or b"").decode("utf-8", "replace"),
        (),
    )
    if not described.is_ours:
        return described
    required = required_attributes(object_class, described.label, number)
    return replace(described, differences=differences(token, handle, required))


def _type_name(number: int | None) -> str:
    if number is None:
        return ""
    try:
        return KeyType(number).name
    except ValueError:
        return hex(number)
