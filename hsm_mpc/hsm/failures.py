"""Return codes of PKCS#11 (CKR_…) as errors of this package.

A module's answer never holds a secret, so function and code stand in the text.
"""

from __future__ import annotations

from typing import Final

from hsm_mpc.errors import BackendError, PinRefused

OK: Final = 0x0
GENERAL_ERROR: Final = 0x5
FUNCTION_FAILED: Final = 0x6
ATTRIBUTE_SENSITIVE: Final = 0x11
ATTRIBUTE_TYPE_INVALID: Final = 0x12
DATA_INVALID: Final = 0x20
DATA_LEN_RANGE: Final = 0x21
AEAD_DECRYPT_FAILED: Final = 0x35
ENCRYPTED_DATA_INVALID: Final = 0x40
ENCRYPTED_DATA_LEN_RANGE: Final = 0x41
KEY_HANDLE_INVALID: Final = 0x60
OBJECT_HANDLE_INVALID: Final = 0x82
USER_ALREADY_LOGGED_IN: Final = 0x100
BUFFER_TOO_SMALL: Final = 0x150
CRYPTOKI_NOT_INITIALIZED: Final = 0x190
CRYPTOKI_ALREADY_INITIALIZED: Final = 0x191

_NAMES: Final = {
    0x1: "CANCEL",
    0x2: "HOST_MEMORY",
    0x3: "SLOT_ID_INVALID",
    GENERAL_ERROR: "GENERAL_ERROR",
    FUNCTION_FAILED: "FUNCTION_FAILED",
    0x7: "ARGUMENTS_BAD",
    0x9: "NEED_TO_CREATE_THREADS",
    0xA: "CANT_LOCK",
    0x10: "ATTRIBUTE_READ_ONLY",
    ATTRIBUTE_SENSITIVE: "ATTRIBUTE_SENSITIVE",
    ATTRIBUTE_TYPE_INVALID: "ATTRIBUTE_TYPE_INVALID",
    0x13: "ATTRIBUTE_VALUE_INVALID",
    0x1B: "ACTION_PROHIBITED",
    DATA_INVALID: "DATA_INVALID",
    DATA_LEN_RANGE: "DATA_LEN_RANGE",
    0x30: "DEVICE_ERROR",
    0x31: "DEVICE_MEMORY",
    0x32: "DEVICE_REMOVED",
    AEAD_DECRYPT_FAILED: "AEAD_DECRYPT_FAILED",
    ENCRYPTED_DATA_INVALID: "ENCRYPTED_DATA_INVALID",
    ENCRYPTED_DATA_LEN_RANGE: "ENCRYPTED_DATA_LEN_RANGE",
    0x50: "FUNCTION_CANCELED",
    0x54: "FUNCTION_NOT_SUPPORTED",
    KEY_HANDLE_INVALID: "KEY_HANDLE_INVALID",
    0x62: "KEY_SIZE_RANGE",
    0x63: "KEY_TYPE_INCONSISTENT",
    0x68: "KEY_FUNCTION_NOT_PERMITTED",
    0x70: "MECHANISM_INVALID",
    0x71: "MECHANISM_PARAM_INVALID",
    OBJECT_HANDLE_INVALID: "OBJECT_HANDLE_INVALID",
    0x90: "OPERATION_ACTIVE",
    0x91: "OPERATION_NOT_INITIALIZED",
    0xA0: "PIN_INCORRECT",
    0xA1: "PIN_INVALID",
    0xA2: "PIN_LEN_RANGE",
    0xA3: "PIN_EXPIRED",
    0xA4: "PIN_LOCKED",
    0xB0: "SESSION_CLOSED",
    0xB1: "SESSION_COUNT",
    0xB3: "SESSION_HANDLE_INVALID",
    0xB5: "SESSION_READ_ONLY",
    0xB6: "SESSION_EXISTS",
    0xB8: "SESSION_READ_WRITE_SO_EXISTS",
    0xD0: "TEMPLATE_INCOMPLETE",
    0xD1: "TEMPLATE_INCONSISTENT",
    0xE0: "TOKEN_NOT_PRESENT",
    0xE1: "TOKEN_NOT_RECOGNIZED",
    0xE2: "TOKEN_WRITE_PROTECTED",
    USER_ALREADY_LOGGED_IN: "USER_ALREADY_LOGGED_IN",
    0x101: "USER_NOT_LOGGED_IN",
    0x102: "USER_PIN_NOT_INITIALIZED",
    0x103: "USER_TYPE_INVALID",
    0x104: "USER_ANOTHER_ALREADY_LOGGED_IN",
    0x105: "USER_TOO_MANY_TYPES",
    0x121: "RANDOM_NO_RNG",
    0x130: "DOMAIN_PARAMS_INVALID",
    0x140: "CURVE_NOT_SUPPORTED",
    BUFFER_TOO_SMALL: "BUFFER_TOO_SMALL",
    CRYPTOKI_NOT_INITIALIZED: "CRYPTOKI_NOT_INITIALIZED",
    CRYPTOKI_ALREADY_INITIALIZED: "CRYPTOKI_ALREADY_INITIALIZED",
    0x1B8: "PIN_TOO_WEAK",
}

_SESSION_GONE_CODES: Final = frozenset({0xB0, 0xB3, CRYPTOKI_NOT_INITIALIZED})
_GONE_CODES: Final = frozenset(
    {0x3, GENERAL_ERROR, FUNCTION_FAILED, 0x30, 0x32, 0x101} | _SESSION_GONE_CODES
)
"""Answers after which the same sessions, and perhaps the same initialisation, help no more."""
_FIRST_VENDOR_CODE: Final = 0x80000000

_PIN_CODES: Final = frozenset({0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x102, 0x1B8})
_WITH_PIN: Final = ("C_Login", "C_InitPIN", "C_SetPIN", "C_InitToken")
"""Functions that are given one. Whoever speaks of a PIN besides means that the login is no good."""
_STALE_CODES: Final = frozenset({KEY_HANDLE_INVALID, OBJECT_HANDLE_INVALID})
_ABSENT_CODES: Final = frozenset({0xE0, 0xE1})
_FOR_GOOD_CODES: Final = frozenset(
    {0x7, 0x9, 0xA, 0x10, 0x12, 0x13, 0x1B, 0x54, 0x62, 0x63, 0x68, 0x70, 0x71}
    | {0xD0, 0xD1, 0xE2, 0x121, 0x130, 0x140, BUFFER_TOO_SMALL}
)
"""Answers that the same call gets again: the module cannot do it, or may not."""


_LOGIN_NOT_JUDGED_CODES: Final = frozenset(
    {0x2, 0x30, 0x31, 0x32, 0x101} | _SESSION_GONE_CODES | _ABSENT_CODES
)


class StaleHandle(BackendError):
    """A key's handle is no longer known: find the key again by its CKA_ID, then judge."""


class DeviceGone(BackendError):
    """The device, its login or this session of it is gone, or the module does not say what is."""


class Lacking(BackendError):
    """The module says that it cannot do this, or may not, and will say so again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


class TokenAbsent(DeviceGone):
    """The slot is empty, or holds what the module does not recognise as a token."""


def name_of(code: int) -> str:
    """`CKR_…`, or the number of a code that the standard or the vendor added."""
    name = _NAMES.get(code)
    return f"CKR_{name}" if name else f"CKR {code:#x}"


def is_vendors(code: int) -> bool:
    """Whether the code is one that the standard leaves to vendors."""
    return code >= _FIRST_VENDOR_CODE


def is_session_gone(code: int) -> bool:
    """Whether there is no such session any more: nothing is left to be closed."""
    return code in _SESSION_GONE_CODES


def may_mean_a_wrong_pin(code: int) -> bool:
    """Whether C_Login could mean by it that the PIN is wrong: neither said nor ruled out."""
    return code not in _LOGIN_NOT_JUDGED_CODES and code != OK


def code_named(name: str) -> int | None:
    """The code whose name, compared without case and underscores, is `name`."""
    wanted = name.replace("_", "").lower()
    for code, known in _NAMES.items():
        if known.replace("_", "").lower() == wanted:
            return code
    return None


def failure(code: int, function: str, where: str) -> BackendError:
    """The error for a code other than CKR_OK; `where` names token or module."""
    text = f"{where}: {function} answered {name_of(code)}"
    if code in _PIN_CODES:
        return PinRefused(text) if function.startswith(_WITH_PIN) else DeviceGone(text)
    if code in _STALE_CODES:
        return StaleHandle(text)
    if code in _ABSENT_CODES:
        return TokenAbsent(text)
    if code in _GONE_CODES or is_vendors(code):
        return DeviceGone(text)
    return Lacking(text) if code in _FOR_GOOD_CODES else BackendError(text)


def check(code: int, function: str, where: str) -> None:
    """Go on only after CKR_OK.

    Raises:
        PinRefused: the code speaks of the PIN that the function was given.
        StaleHandle: the object is no longer there under this handle.
        TokenAbsent: the slot is empty.
        DeviceGone: the device or the session is gone, or nobody knows.
        Lacking: the module cannot do it.
        BackendError: any other code.
    """
    if code != OK:
        raise failure(code, function, where)
