"""Small public values that name things: never secret, compared by value."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NewType

from hsm_mpc.errors import BadInput

WalletId = NewType("WalletId", bytes)
"""16 bytes, derived from the wallet's name and a nonce (step 1.6.5)."""

EpochHash = NewType("EpochHash", bytes)
"""32 bytes: the name of an epoch in code. The epoch's number is for people (step 1.6.5)."""

HolderIndex = NewType("HolderIndex", int)
"""A holder's position in the roster, 1..n; also its Shamir x-coordinate (step 1.2.1)."""


class Scheme(IntEnum):
    """What a wallet signs with (step 1.6.4). Keys of different schemes are never related."""

    TAPROOT = 1
    ED25519 = 2
    ECDSA = 3


_NAME = re.compile(r"[a-z0-9._-]{1,64}")


def checked_name(name: str, what: str) -> str:
    """`name` if it is 1 to 64 of `[a-z0-9._-]` (step 1.6.3a), else `BadInput`."""
    if _NAME.fullmatch(name) is None:
        raise BadInput(f"{what} {name!r}: a name is 1 to 64 of a-z 0-9 . _ -")
    return name
