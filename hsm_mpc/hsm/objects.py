"""Objects in a token: making those that hold no key, finding, reading and destroying any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import failures
from hsm_mpc.hsm.cryptoki import ULONG, ULONG_BYTES, UNAVAILABLE, Attribute, ffi
from hsm_mpc.hsm.sessions import Handle, Session
from hsm_mpc.hsm.token import Token
from hsm_mpc.steps import step

_BATCH: Final = 256
_MOST_OBJECTS: Final = 1 << 16
_LARGEST_VALUE: Final = 4096
_NUMBERS: Final = frozenset(
    {Attribute.CLASS, Attribute.KEY_TYPE, Attribute.MODULUS_BITS, Attribute.VALUE_LEN}
)
"""Attributes that are a CK_ULONG: NSS tells them into room of that very length only."""
_NOT_TOLD: Final = frozenset(
    {
        failures.ATTRIBUTE_TYPE_INVALID,
        failures.ATTRIBUTE_SENSITIVE,
        failures.BUFFER_TOO_SMALL,  # longer than any value of ours
    }
)

TRUE: Final = b"\1"
FALSE: Final = b"\0"


def number(value: int) -> bytes:
    """A CK_ULONG as an attribute holds it."""
    return bytes(ffi.buffer(ffi.new(ULONG, value)))


def matching(token: Token, template: Mapping[Attribute, bytes]) -> tuple[Handle, ...]:
    """The handles of all objects with these attributes. None means that the token has none.

    Raises:
        BackendError: the token is gone, does not answer as it should, or has logged us out.
    """
    attributes, _values = as_template(template)
    with token.session() as session, step("object.find"):
        code = token.calls.C_FindObjectsInit(session.handle, attributes, len(template))
        failures.check(code, "C_FindObjectsInit", token.where)
        handles = _all_found(token, session)
        code = token.calls.C_FindObjectsFinal(session.handle)
        failures.check(code, "C_FindObjectsFinal", token.where)
    if not handles:
        token.require_sight()  # a token that went away is not a token that lost its objects
    return handles


def as_template(template: Mapping[Attribute, bytes]) -> tuple[Any, list[Any]]:
    """The attributes as the module wants them, and what must live as long as they do."""
    values = [ffi.from_buffer(value) for value in template.values()]
    attributes = ffi.new("CK_ATTRIBUTE[]", len(values))
    for entry, kind, value in zip(attributes, template, values, strict=True):
        entry.type, entry.pValue, entry.ulValueLen = kind, ffi.cast("void *", value), len(value)
    return attributes, values


def create(token: Token, template: Mapping[Attribute, bytes], name: str) -> Handle:
    """The handle of a new object with these attributes. Step: `<name>.create`.

    Raises:
        BackendError: the token does not make it.
    """
    attributes, _values = as_template(template)
    handle = ffi.new(ULONG)
    with token.changing(), token.session() as session, step(f"{name}.create"):
        code = token.calls.C_CreateObject(session.handle, attributes, len(template), handle)
        failures.check(code, "C_CreateObject", token.where)
        return Handle(handle[0], session.incarnation)


def _all_found(token: Token, session: Session) -> tuple[Handle, ...]:
    handles: list[Handle] = []
    batch = ffi.new("CK_ULONG[]", _BATCH)
    count = session.length
    while True:
        code = token.calls.C_FindObjects(session.handle, batch, _BATCH, count)
        failures.check(code, "C_FindObjects", token.where)
        if count[0] == 0:
            return tuple(handles)
        if count[0] > _BATCH or len(handles) >= _MOST_OBJECTS:
            raise BackendError(f"{token.where}: C_FindObjects finds no end", retryable=False)
        handles.extend(Handle(found, session.incarnation) for found in batch[0 : count[0]])


def read_attribute(token: Token, session: Session, handle: int, kind: Attribute) -> bytes | None:
    """A public attribute of an object; None if the module does not know it or does not tell.

    Nor is told what is longer than 4096 bytes: no attribute of ours is.

    Raises:
        StaleHandle: the object is gone.
        BackendError: the token does not answer as it should.
    """
    room = ULONG_BYTES if kind in _NUMBERS else _LARGEST_VALUE
    value = ffi.new("CK_BYTE[]", room)
    entry = ffi.new("CK_ATTRIBUTE *", {"type": kind, "ulValueLen": room})
    entry.pValue = ffi.cast("void *", value)
    number = session.number_of(handle)
    with step("object.read"):
        code = token.calls.C_GetAttributeValue(session.handle, number, entry, 1)
    if code in _NOT_TOLD or (code == failures.OK and entry.ulValueLen == UNAVAILABLE):
        return None
    failures.check(code, "C_GetAttributeValue", token.where)
    if entry.ulValueLen > room:  # more than there is room for would be our own memory
        raise BackendError(f"{token.where}: a CKA_{kind.name} of a wrong length", retryable=False)
    return bytes(ffi.buffer(value, entry.ulValueLen))


def as_number(value: bytes | None) -> int | None:
    """The CK_ULONG in an attribute's value, if it is one."""
    if value is None or len(value) != ULONG_BYTES:
        return None
    pointer: Any = ffi.from_buffer("CK_ULONG[]", value)
    return int(pointer[0])


def destroy(token: Token, handle: int, name: str = "key") -> None:
    """Destroy one object. The caller proves that it is gone. Step: `<name>.destroy`.

    Raises:
        StaleHandle: it was gone before.
        BackendError: the token does not answer, or refuses.
    """
    with token.changing(), token.session() as session, step(f"{name}.destroy"):
        code = token.calls.C_DestroyObject(session.handle, session.number_of(handle))
        failures.check(code, "C_DestroyObject", token.where)
