"""What keys of ours must be, and what the module says they are (step 6.2.3).

Modules lie and have defaults of their own (an unwrapped key came out extractable, measured), so
what was asked for is read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hsm_mpc.errors import Refused
from hsm_mpc.hsm.cryptoki import Attribute, KeyType, ObjectClass
from hsm_mpc.hsm.objects import FALSE, TRUE, number, read_attribute
from hsm_mpc.hsm.token import Token

RULE: Final = "key-attributes"

AES_BYTES: Final = 32
P256_PARAMETERS: Final = bytes.fromhex("06082a8648ce3d030107")
"""DER of the object identifier of the curve, as CKA_EC_PARAMS holds it."""

Requirements = Mapping[Attribute, bytes]

_SECRET_AND_STAYS: Final[Requirements] = {
    Attribute.TOKEN: TRUE,
    Attribute.PRIVATE: TRUE,
    Attribute.SENSITIVE: TRUE,
    Attribute.EXTRACTABLE: FALSE,
    Attribute.MODIFIABLE: FALSE,
    Attribute.COPYABLE: FALSE,
}
_BORN_HERE: Final[Requirements] = {
    Attribute.LOCAL: TRUE,
    Attribute.ALWAYS_SENSITIVE: TRUE,
    Attribute.NEVER_EXTRACTABLE: TRUE,
}

WRAPPING_KEY: Final[Requirements] = {
    **_SECRET_AND_STAYS,
    Attribute.ENCRYPT: TRUE,
    Attribute.DECRYPT: TRUE,
    Attribute.WRAP: FALSE,
    Attribute.UNWRAP: FALSE,
    Attribute.SIGN: FALSE,
    Attribute.VERIFY: FALSE,
    Attribute.DERIVE: FALSE,
    Attribute.KEY_TYPE: number(KeyType.AES),
    Attribute.VALUE_LEN: number(AES_BYTES),
    **_BORN_HERE,
}
"""A wrapping key that may WRAP too would let whoever is logged in wrap a key and decrypt it."""

IDENTITY_PRIVATE: Final[Requirements] = {
    **_SECRET_AND_STAYS,
    Attribute.SIGN: TRUE,
    Attribute.DECRYPT: FALSE,
    Attribute.UNWRAP: FALSE,
    Attribute.DERIVE: FALSE,
    Attribute.KEY_TYPE: number(KeyType.EC),
    Attribute.EC_PARAMS: P256_PARAMETERS,
    **_BORN_HERE,
}

IDENTITY_PUBLIC: Final[Requirements] = {
    Attribute.TOKEN: TRUE,
    Attribute.MODIFIABLE: FALSE,
    Attribute.COPYABLE: FALSE,
    Attribute.VERIFY: TRUE,
    Attribute.ENCRYPT: FALSE,
    Attribute.WRAP: FALSE,
    Attribute.DERIVE: FALSE,
    Attribute.KEY_TYPE: number(KeyType.EC),
    Attribute.EC_PARAMS: P256_PARAMETERS,
}

OF_CLASS: Final[Mapping[ObjectClass, Requirements]] = {
    ObjectClass.SECRET_KEY: WRAPPING_KEY,
    ObjectClass.PRIVATE_KEY: IDENTITY_PRIVATE,
    ObjectClass.PUBLIC_KEY: IDENTITY_PUBLIC,
}

MAY_BE_UNKNOWN: Final = frozenset({Attribute.COPYABLE})
"""Younger than some modules, which then copy no key either."""

KEY_NOT_LOCAL: Final = "key-not-local"
"""The finding that excuses CKA_LOCAL false of a key that the token made, where it is accepted."""

_WORDS: Final = {TRUE: "true", FALSE: "false"}


def differences(token: Token, handle: int, required: Requirements) -> tuple[str, ...]:
    """Each attribute that is not as required, as `CKA_… is …`.

    Raises:
        StaleHandle: the object is gone.
        BackendError: the token does not answer.
    """
    found = []
    with token.session() as session:
        for kind, wanted in required.items():
            value = read_attribute(token, session, handle, kind)
            if value == wanted or (value is None and kind in MAY_BE_UNKNOWN):
                continue
            if kind is Attribute.LOCAL and KEY_NOT_LOCAL in token.accepted_findings:
                continue
            shown = "not told" if value is None else _WORDS.get(value, value.hex())
            found.append(f"CKA_{kind.name} is {shown}")
    return tuple(found)


def require(token: Token, handle: int, required: Requirements, what: str) -> None:
    """Refuse a key that is not as required.

    Raises:
        Refused: with rule `key-attributes`, naming what does not hold.
        StaleHandle, BackendError: as `differences`.
    """
    found = differences(token, handle, required)
    if found:
        raise Refused(RULE, f"{token.where}: {what}: {', '.join(found)}")
