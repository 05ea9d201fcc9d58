"""What a register is in a token: a data object, or a secret key with a telling label (6.2.1a).

NSS keeps no data objects. There a register is a generic secret that nobody uses: its CKA_ID is the
register's name, its CKA_LABEL the register's bytes in hex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import DATA_OBJECT, Attribute, KeyType, ObjectClass
from hsm_mpc.hsm.token import Token

NAME_PREFIX: Final = "hsm-mpc/register/"
OBJECT: Final = "register"
"""How the steps are called that make and destroy one."""

_PRIVATE: Final = {Attribute.TOKEN: objects.TRUE, Attribute.PRIVATE: objects.TRUE}
_UNUSED_KEY: Final = bytes(32)


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One of the ways in which a token can keep a register."""

    words: str
    kind: Mapping[Attribute, bytes]
    """What all its objects have in common."""
    filling: Mapping[Attribute, bytes]
    """What the module wants besides, when one is made."""
    name_in: Attribute
    value_in: Attribute
    in_hex: bool

    def template(self, name: bytes, value: bytes) -> dict[Attribute, bytes]:
        """The attributes of a new one."""
        written = value.hex().encode("ascii") if self.in_hex else value
        return {**self.kind, **self.filling, self.name_in: name, self.value_in: written}


DATA: Final = Form(
    words="as data objects",
    kind={Attribute.CLASS: objects.number(DATA_OBJECT), **_PRIVATE},
    filling={},
    name_in=Attribute.LABEL,
    value_in=Attribute.VALUE,
    in_hex=False,
)
LABEL: Final = Form(
    words="as labels of secret keys",
    kind={
        Attribute.CLASS: objects.number(ObjectClass.SECRET_KEY),
        Attribute.KEY_TYPE: objects.number(KeyType.GENERIC_SECRET),
        **_PRIVATE,
    },
    filling={Attribute.VALUE: _UNUSED_KEY},
    name_in=Attribute.ID,
    value_in=Attribute.LABEL,
    in_hex=True,
)
FORMS: Final = (DATA, LABEL)


class RegisterObject(NamedTuple):
    """One object, in the form in which it was found or made."""

    form: Form
    handle: int

    def name(self, token: Token) -> bytes:
        """Which register it is; empty if the token does not tell."""
        return self._read(token, self.form.name_in)

    def value(self, token: Token) -> bytes:
        """The register's bytes; empty if they are not told, or are no hex where they should be."""
        stored = self._read(token, self.form.value_in)
        if not self.form.in_hex:
            return stored
        try:
            return bytes.fromhex(stored.decode("ascii"))
        except ValueError:
            return b""

    def is_private(self, token: Token) -> bool:
        """Whether it is stored, and only the user's."""
        return all(self._read(token, kind) == wanted for kind, wanted in _PRIVATE.items())

    def _read(self, token: Token, kind: Attribute) -> bytes:
        with token.session() as session:
            return objects.read_attribute(token, session, self.handle, kind) or b""


def create(token: Token, name: bytes, value: bytes) -> RegisterObject:
    """A new object, in the first form that the token takes.

    Raises:
        BackendError: it takes none, or does not answer.
    """
    for form in FORMS[:-1]:
        try:
            return _created(token, form, name, value)
        except BackendError as refused:
            if refused.retryable:
                raise
    return _created(token, FORMS[-1], name, value)


def _created(token: Token, form: Form, name: bytes, value: bytes) -> RegisterObject:
    return RegisterObject(form, objects.create(token, form.template(name, value), OBJECT))


def named(token: Token, name: bytes) -> tuple[RegisterObject, ...]:
    """Every object of this name. Private ones only: anybody makes a public one, without a PIN."""
    return tuple(
        RegisterObject(form, handle)
        for form in FORMS
        for handle in objects.matching(token, {**form.kind, form.name_in: name})
    )


def all_private(token: Token) -> tuple[RegisterObject, ...]:
    """Every object that could be a register, by its class alone."""
    return tuple(
        RegisterObject(form, handle)
        for form in FORMS
        for handle in objects.matching(token, form.kind)
    )
