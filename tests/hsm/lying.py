"""Modules that answer what a test wants."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from hsm_mpc.hsm import keys
from hsm_mpc.hsm.cryptoki import UNAVAILABLE, Attribute, Mechanism, ffi
from hsm_mpc.hsm.token import Token

MECHANISM_INVALID = 0x70
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


def lacking(calls: SimpleNamespace, *mechanisms: Mechanism) -> SimpleNamespace:
    """The module's functions as of one that has none of these mechanisms."""
    lacks = SimpleNamespace(**vars(calls))

    def without(begin: Callable[..., int]) -> Callable[..., int]:
        def beginning(session: int, mechanism: Any, key: int) -> int:
            missing = mechanism.mechanism in mechanisms
            return MECHANISM_INVALID if missing else begin(session, mechanism, key)

        return beginning

    for function in ("C_EncryptInit", "C_DecryptInit", "C_SignInit"):
        setattr(lacks, function, without(getattr(calls, function)))
    return lacks


def rsa_only(token: Token) -> Token:
    """The token, from now on as openCryptoki's: neither AES-GCM nor elliptic curves."""
    lacks = lacking(token.module.calls, Mechanism.AES_GCM, Mechanism.ECDSA)
    vars(token)["calls"] = vars(token.pool)["_calls"] = lacks
    token.canary = None  # of what the module never did there is none
    return token
