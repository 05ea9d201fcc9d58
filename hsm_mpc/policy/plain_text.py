"""Which Ed25519 messages are no more than they seem.

An Ed25519 key signs no digests: the bytes of a message may be a transaction, a login or a
certificate themselves. Formats to recognise are many, and new ones come; so the rule is the other
way round. Text that a person could read is a message, everything else is raw.

No Solana transaction is text: it holds its payer's key, 32 random bytes. No SSH blob is: its
lengths are four bytes each. An SSH exchange hash is nothing but random, and short enough to be
ground until it is text, so its lengths are raw as well.
"""

from __future__ import annotations

import re
from typing import Final

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""All but tab, line feed and carriage return."""
_EXCHANGE_HASHES: Final = frozenset({20, 32, 48, 64})
"""Bytes of what a server's host key signs as it is."""


def is_plain_text(content: bytes) -> bool:
    """Whether it is UTF-8 without control characters, and no exchange hash by its length."""
    if len(content) in _EXCHANGE_HASHES:
        return False
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return _CONTROL.search(text) is None
