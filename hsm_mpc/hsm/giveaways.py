"""What a token gives away of keys that it says it keeps: found by trying, with keys of a session.

A module says CKA_EXTRACTABLE false and wraps the key all the same (measured). Who takes such a
token accepts each finding by its name, in the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute as Pkcs11Attribute
from pkcs11 import KeyType, MechanismFlag

from hsm_mpc.errors import Refused
from hsm_mpc.hsm import failures, generation, objects
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.attributes import KEY_NOT_LOCAL
from hsm_mpc.hsm.cryptoki import Attribute, Mechanism, ffi
from hsm_mpc.hsm.token import Token
from hsm_mpc.steps import step

RULE: Final = "hsm-gives-keys-away"

_NAME: Final = "hsm-mpc/giveaway"
_MOST_WRAPPED_BYTES: Final = 256
_BLOCK_BYTES: Final = 16
_WAYS_OUT: Final = {
    Mechanism.AES_KEY_WRAP: b"",
    Mechanism.AES_KEY_WRAP_PAD: b"",
    Mechanism.AES_ECB: b"",
    Mechanism.AES_CBC_PAD: bytes(_BLOCK_BYTES),
}
"""Mechanisms that modules wrap AES keys with, and their parameters."""


@dataclass(frozen=True, slots=True)
class Giveaway:
    """Something that does not hold of the token's keys."""

    name: str
    """As `hsm.accept_findings` has it."""
    meaning: str


NOT_LOCAL: Final = Giveaway(
    KEY_NOT_LOCAL,
    "of a key that it made it says that it came from elsewhere: that no copy was ever outside "
    "cannot be read back",
)
WRAPPED: Final = Giveaway(
    "non-extractable-is-wrapped",
    "it wraps keys that are not extractable: whoever is logged in gets every wrapping key out, "
    "and a destroyed one may live on",
)


TOLD: Final = Giveaway(
    "sensitive-is-told",
    "it tells the bytes of keys that are sensitive: whoever is logged in reads every wrapping key",
)


def giveaways(token: Token) -> tuple[Giveaway, ...]:
    """All that the token gives away. Leaves nothing in it.

    Raises:
        BackendError: the token does not answer, or makes no AES key.
    """
    with administration(token) as session:
        key = generation.aes_key(
            session,
            _NAME.encode(),
            _NAME,
            stored=False,
            leaves_out=token.profile.leaves_out,
        )
        found = []
        if not _is_local(token, key):
            found.append(NOT_LOCAL)
        if _is_wrapped(token, _wrapping_key(session), key):
            found.append(WRAPPED)
        if _is_told(token, key):
            found.append(TOLD)
    return tuple(found)


def require_accepted(token: Token) -> None:
    """Refuse a token that gives away what is not among its `accepted_findings`.

    Raises:
        Refused: with rule `hsm-gives-keys-away`, naming each finding and what it means.
        BackendError: as `giveaways`.
    """
    refused = [found for found in giveaways(token) if found.name not in token.accepted_findings]
    if refused:
        said = "; ".join(f"{found.name}: {found.meaning}" for found in refused)
        names = ", ".join(found.name for found in refused)
        mend = f"use another token, or accept it: hsm.accept_findings: [{names}]"
        raise Refused(RULE, f"{token.where}: {said}; mend: {mend}")


def _is_local(token: Token, key: int) -> bool:
    with token.session() as session:
        return objects.read_attribute(token, session, key, Attribute.LOCAL) == objects.TRUE


def _is_told(token: Token, key: int) -> bool:
    with token.session() as session:
        return bool(objects.read_attribute(token, session, key, Attribute.VALUE))


def _wrapping_key(session: pkcs11.Session) -> int | None:
    """A key that wraps; None where the token makes none, and so lets none out this way."""
    template = {Pkcs11Attribute.SENSITIVE: True, Pkcs11Attribute.EXTRACTABLE: False}
    try:
        with step("key.generate"):
            made: Any = session.generate_key(
                KeyType.AES,
                256,
                id=_NAME.encode(),
                label=_NAME,
                store=False,
                capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP,
                template=template,
            )
    except pkcs11.PKCS11Error:
        return None
    return int(made.handle)


def _is_wrapped(token: Token, wrapping: int | None, key: int) -> bool:
    return wrapping is not None and any(
        _wraps(token, mechanism, parameter, wrapping, key)
        for mechanism, parameter in _WAYS_OUT.items()
    )


def _wraps(token: Token, mechanism: Mechanism, parameter: bytes, wrapping: int, key: int) -> bool:
    """Whether anything comes out. What does is a key that nobody uses."""
    held = ffi.from_buffer(parameter)
    way = ffi.new("CK_MECHANISM *", {"mechanism": mechanism, "ulParameterLen": len(parameter)})
    way.pParameter = ffi.cast("void *", held) if parameter else ffi.NULL
    wrapped = ffi.new("CK_BYTE[]", _MOST_WRAPPED_BYTES)
    session = token.take_session()
    try:
        session.length[0] = len(wrapped)
        with step("key.wrap"):
            code = token.calls.C_WrapKey(
                session.handle, way, wrapping, key, wrapped, session.length
            )
        return bool(code == failures.OK)
    finally:
        token.pool.drop(session)  # a refusal may have left an operation behind
