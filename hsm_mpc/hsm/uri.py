"""The name of a wrapping key: a PKCS#11 URI (RFC 7512) in one canonical form (step 2.6.2).

    pkcs11:token=LABEL;serial=SERIAL;id=%01%02…;type=secret-key

The type is `private` where the wrapping key is the private half of an RSA pair.

Unreserved characters stand for themselves, every other byte is `%XX` with upper-case digits, and
every byte of the id is. The serial is the 16 bytes of CK_TOKEN_INFO, its blanks included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from hsm_mpc.errors import BadEncoding
from hsm_mpc.hsm.cryptoki import ObjectClass

SERIAL_BYTES: Final = 16
LABEL_BYTES: Final = 32

_FORM: Final = re.compile(r"pkcs11:token=([^;]*);serial=([^;]*);id=([^;]*);type=([a-z-]+)")
_TYPES: Final = {ObjectClass.SECRET_KEY: "secret-key", ObjectClass.PRIVATE_KEY: "private"}
_CLASSES: Final = {name: object_class for object_class, name in _TYPES.items()}


@dataclass(frozen=True, slots=True)
class KeyUri:
    """What the URI of a wrapping key says."""

    token: str
    """Label of the token, 1 to 32 bytes in UTF-8, without the padding."""
    serial: bytes
    """16 bytes, as the token gives them."""
    key_id: bytes
    """CKA_ID."""
    object_class: ObjectClass = ObjectClass.SECRET_KEY
    """SECRET_KEY or PRIVATE_KEY."""

    def __str__(self) -> str:
        key_id = "".join(f"%{byte:02X}" for byte in self.key_id)
        kind = _TYPES[self.object_class]
        return f"{token_part(self.token, self.serial)};id={key_id};type={kind}"

    @classmethod
    def parse(cls, text: str) -> KeyUri:
        """The strict inverse of `str`.

        Raises:
            BadEncoding: anything that `str` does not write.
        """
        found = _FORM.fullmatch(text)
        if found is None or found[4] not in _CLASSES:
            raise BadEncoding(f"key uri {text!r}: not of the form of a wrapping key's uri")
        label, serial, key_id = (unquote_to_bytes(part) for part in found.groups()[:3])
        if not 1 <= len(label) <= LABEL_BYTES or len(serial) != SERIAL_BYTES or not key_id:
            raise BadEncoding(f"key uri {text!r}: a label, a serial or an id of a wrong length")
        try:
            uri = cls(label.decode("utf-8"), serial, key_id, _CLASSES[found[4]])
        except UnicodeDecodeError as error:
            raise BadEncoding(f"key uri {text!r}: the token's label is not UTF-8") from error
        if str(uri) != text:
            raise BadEncoding(f"key uri {text!r}: not in its canonical form")
        return uri


def token_part(label: str, serial: bytes) -> str:
    """`pkcs11:token=…;serial=…`: what all URIs of one token begin with."""
    return f"pkcs11:token={_quoted(label.encode('utf-8'))};serial={_quoted(serial)}"


def _quoted(value: bytes) -> str:
    return quote_from_bytes(value, safe="")
