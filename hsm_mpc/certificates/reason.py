"""Why something is asked: one line for those who are asked, and for those who ask later."""

from __future__ import annotations

from typing import Final

from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadEncoding, BadInput

LONGEST_REASON: Final = 500
"""Bytes of UTF-8."""
MOST_CHARACTERS: Final = 200
"""Of one that an attempt carries."""


def check_reason(reason: str) -> None:
    """Raises: BadInput: it is empty, too long, or steers a terminal."""
    if not (reason.strip() and reason.isprintable()):
        raise BadInput(f"reason {reason!r}: one line of text is wanted")
    if len(reason.encode()) > LONGEST_REASON:
        raise BadInput(f"a reason has at most {LONGEST_REASON} bytes")


def read_reason(reader: Reader, what: str) -> str:
    """`LV16(reason)`; `BadEncoding` for what is no UTF-8."""
    try:
        return reader.lv16().decode()
    except UnicodeDecodeError as broken:
        raise BadEncoding(f"{what}: the reason is no UTF-8") from broken


def read_short_reason(reader: Reader, what: str) -> str:
    """That, where it goes with every attempt; `BadEncoding` if it is not short and printable."""
    reason = read_reason(reader, what)
    if len(reason) > MOST_CHARACTERS or not reason.isprintable():
        raise BadEncoding(f"{what}: a reason is up to {MOST_CHARACTERS} printable characters")
    return reason
