"""Modules that answer what a test wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hsm_mpc.hsm import keys
from hsm_mpc.hsm.cryptoki import UNAVAILABLE, Attribute, ffi
from hsm_mpc.hsm.token import Token

WALLET_LABEL = keys.wrapping_label(bytes(16))

Answer = Callable[[str, int | Callable[..., int]], None]
"""`answer("C_Sign", 0x30)`: see the fixture `answer`."""


def lie(answer: Answer, token: Token, kind: Attribute, value: bytes | None) -> None:
    """The module gives `value` for an attribute; None: it does not know it."""
    honest = token.calls.C_GetAttributeValue

    def lying(session: int, handle: int, entry: Any, count: int) -> int:
        if entry.type != kind:
            code: int = honest(session, handle, entry, count)
            return code
        if value is None:
            entry.ulValueLen = UNAVAILABLE
            return 0x12
        ffi.memmove(entry.pValue, value, len(value))
        entry.ulValueLen = len(value)
        return 0

    answer("C_GetAttributeValue", lying)
