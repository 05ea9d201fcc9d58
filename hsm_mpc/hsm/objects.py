"""Objects in a token: finding them, reading attributes, destroying them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hsm_mpc.hsm import failures
from hsm_mpc.hsm.cryptoki import ULONG, ULONG_BYTES, UNAVAILABLE, Attribute, ffi
from hsm_mpc.hsm.sessions import Session
from hsm_mpc.hsm.token import Token
from hsm_mpc.steps import step

_BATCH: Final = 256
_LARGEST_VALUE: Final = 4096
_NOT_TOLD: Final = frozenset({failures.ATTRIBUTE_TYPE_INVALID, failures.ATTRIBUTE_SENSITIVE})

TRUE: Final = b"\1"
FALSE: Final = b"\0"


def number(value: int) -> bytes:
    """A CK_ULONG as an attribute holds it."""
    return bytes(ffi.buffer(ffi.new(ULONG, value)))


def matching(token: Token, template: Mapping[Attribute, bytes]) -> tuple[int, ...]:
    """The handles of all objects with these attributes.

    Raises:
        BackendError: the token does not answer.
    """
    kept = [ffi.from_buffer(value) for value in template.values()]
    attributes = ffi.new("CK_ATTRIBUTE[]", len(kept))
    for entry, kind, value in zip(attributes, template, kept, strict=True):
        entry.type, entry.pValue, entry.ulValueLen = kind, ffi.cast("void *", value), len(value)
    with token.session() as session:
        code = token.calls.C_FindObjectsInit(session.handle, attributes, len(kept))
        failures.check(code, "C_FindObjectsInit", token.where)
        handles = _all_found(token, session)
        code = token.calls.C_FindObjectsFinal(session.handle)
        failures.check(code, "C_FindObjectsFinal", token.where)
    return handles


def _all_found(token: Token, session: Session) -> tuple[int, ...]:
    handles: list[int] = []
    batch = ffi.new("CK_ULONG[]", _BATCH)
    count = session.length
    while True:
        code = token.calls.C_FindObjects(session.handle, batch, _BATCH, count)
        failures.check(code, "C_FindObjects", token.where)
        if count[0] == 0:
            return tuple(handles)
        handles.extend(batch[0 : count[0]])


def read_attribute(token: Token, session: Session, handle: int, kind: Attribute) -> bytes | None:
    """A public attribute of an object; None if the module does not know it or does not tell.

    Raises:
        StaleHandle: the object is gone.
        BackendError: the token does not answer.
    """
    value = ffi.new("CK_BYTE[]", _LARGEST_VALUE)
    entry = ffi.new("CK_ATTRIBUTE *", {"type": kind, "ulValueLen": _LARGEST_VALUE})
    entry.pValue = ffi.cast("void *", value)
    code = token.calls.C_GetAttributeValue(session.handle, handle, entry, 1)
    if code in _NOT_TOLD or (code == failures.OK and entry.ulValueLen == UNAVAILABLE):
        return None
    failures.check(code, "C_GetAttributeValue", token.where)
    return bytes(ffi.buffer(value, entry.ulValueLen))


def as_number(value: bytes | None) -> int | None:
    """The CK_ULONG in an attribute's value, if it is one."""
    if value is None or len(value) != ULONG_BYTES:
        return None
    pointer: Any = ffi.from_buffer("CK_ULONG[]", value)
    return int(pointer[0])


def destroy(token: Token, handle: int) -> None:
    """Destroy one object. The caller proves that it is gone.

    Raises:
        StaleHandle: it was gone before.
        BackendError: the token does not answer, or refuses.
    """
    with token.session() as session, step("key.destroy"):
        code = token.calls.C_DestroyObject(session.handle, handle)
        failures.check(code, "C_DestroyObject", token.where)
