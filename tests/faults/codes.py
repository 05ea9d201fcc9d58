"""What a module may answer instead of doing what it was asked."""

from __future__ import annotations

from typing import Final

DEVICE_ERROR: Final = 0x30
DEVICE_REMOVED: Final = 0x32
GENERAL_ERROR: Final = 0x5
HOST_MEMORY: Final = 0x2
KEY_HANDLE_INVALID: Final = 0x60
SESSION_HANDLE_INVALID: Final = 0xB3
TOKEN_NOT_PRESENT: Final = 0xE0
USER_NOT_LOGGED_IN: Final = 0x101
VENDOR: Final = 0x80000001

ALL: Final = {
    "device-error": DEVICE_ERROR,
    "device-removed": DEVICE_REMOVED,
    "token-not-present": TOKEN_NOT_PRESENT,
    "session-handle-invalid": SESSION_HANDLE_INVALID,
    "session-closed": 0xB0,
    "user-not-logged-in": USER_NOT_LOGGED_IN,
    "key-handle-invalid": KEY_HANDLE_INVALID,
    "general-error": GENERAL_ERROR,
    "function-failed": 0x6,
    "host-memory": HOST_MEMORY,
    "vendor": VENDOR,
}
