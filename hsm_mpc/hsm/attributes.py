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
from hsm_mpc.identity import Algorithm

RULE: Final = "key-attributes"

AES_BYTES: Final = 32
P256_PARAMETERS: Final = bytes.fromhex("06082a8648ce3d030107")
"""DER of the object identifier of the curve, as CKA_EC_PARAMS holds it."""
RSA_BITS: Final = 3072
RSA_EXPONENT: Final = bytes((1, 0, 1))

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

_RSA: Final[Requirements] = {
    Attribute.KEY_TYPE: number(KeyType.RSA),
    Attribute.PUBLIC_EXPONENT: RSA_EXPONENT,
}

RSA_WRAPPING_KEY: Final[Requirements] = {
    **_SECRET_AND_STAYS,
    Attribute.DECRYPT: TRUE,
    Attribute.UNWRAP: FALSE,
    Attribute.SIGN: FALSE,
    Attribute.DERIVE: FALSE,
    **_RSA,
    **_BORN_HERE,
}
"""The private half, the only one that is in the token."""

_P256: Final[Requirements] = {
    Attribute.KEY_TYPE: number(KeyType.EC),
    Attribute.EC_PARAMS: P256_PARAMETERS,
}
_SIGNS_ONLY: Final[Requirements] = {
    **_SECRET_AND_STAYS,
    Attribute.SIGN: TRUE,
    Attribute.DECRYPT: FALSE,
    Attribute.UNWRAP: FALSE,
    Attribute.DERIVE: FALSE,
    **_BORN_HERE,
}
_VERIFIES_ONLY: Final[Requirements] = {
    Attribute.TOKEN: TRUE,
    Attribute.MODIFIABLE: FALSE,
    Attribute.COPYABLE: FALSE,
    Attribute.VERIFY: TRUE,
    Attribute.ENCRYPT: FALSE,
    Attribute.WRAP: FALSE,
    Attribute.DERIVE: FALSE,
}

IDENTITY: Final[Mapping[Algorithm, Mapping[ObjectClass, Requirements]]] = {
    Algorithm.P256: {
        ObjectClass.PRIVATE_KEY: {**_SIGNS_ONLY, **_P256},
        ObjectClass.PUBLIC_KEY: {**_VERIFIES_ONLY, **_P256},
    },
    Algorithm.RSA3072: {
        ObjectClass.PRIVATE_KEY: {**_SIGNS_ONLY, **_RSA},
        ObjectClass.PUBLIC_KEY: {
            **_VERIFIES_ONLY,
            **_RSA,
            Attribute.MODULUS_BITS: number(RSA_BITS),
        },
    },
}

WRAPPING: Final[Mapping[ObjectClass, Requirements]] = {
    ObjectClass.SECRET_KEY: WRAPPING_KEY,
    ObjectClass.PRIVATE_KEY: RSA_WRAPPING_KEY,
}
"""Of wrapping keys and of canaries."""

MAY_BE_UNKNOWN: Final = frozenset({Attribute.COPYABLE})
"""Younger than some modules, which then copy no key either."""

KEY_NOT_LOCAL: Final = "key-not-local"
"""The finding that excuses CKA_LOCAL false of a key that the token made, where it is accepted."""

_WORDS: Final = {TRUE: "true", FALSE: "false"}


def differences(token: Token, handle: int, required: Requirements) -> tuple[str, ...]:
    """Each attribute that is not as required, as `CKA_… is …`.

    What the token's profile leaves out is not looked at.

    Raises:
        StaleHandle: the object is gone.
        BackendError: the token does not answer.
    """
    found = []
    with token.session() as session:
        for kind, wanted in required.items():
            if kind in token.profile.leaves_out:
                continue
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
