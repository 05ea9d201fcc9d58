"""DESTROY and DESTROYED of a wallet: their bytes (section 6.10)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from hsm_mpc.certificates.destruction import (
    Destroy,
    DestroyedKey,
    WalletDestroyed,
)
from hsm_mpc.certificates.reason import LONGEST_REASON
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.ids import EpochHash, WalletId

DESTROY = Destroy(WalletId(b"w" * 16), EpochHash(b"h" * 32), "we move", 7, b"n" * 32)
DESTROYED = WalletDestroyed(
    DESTROY.digest, (DestroyedKey(b"k" * 32, 7), DestroyedKey(b"l" * 32, 8))
)


def test_what_is_asked_is_read_back() -> None:
    encoded = b"w" * 16 + b"h" * 32 + b"\0\7we move" + bytes(7) + b"\7" + b"n" * 32
    assert DESTROY.to_bytes() == encoded
    assert Destroy.from_bytes(encoded) == DESTROY
    assert DESTROY.digest == hashlib.sha256(encoded).digest()


def test_what_is_said_is_read_back() -> None:
    encoded = (
        DESTROY.digest + b"\0\2" + b"k" * 32 + bytes(7) + b"\7" + b"l" * 32 + bytes(7) + b"\10"
    )
    assert DESTROYED.to_bytes() == encoded
    assert WalletDestroyed.from_bytes(encoded) == DESTROYED
    nothing = replace(DESTROYED, keys=())
    assert WalletDestroyed.from_bytes(nothing.to_bytes()) == nothing


@pytest.mark.parametrize("kind", [DESTROY, DESTROYED])
def test_no_byte_more_or_less(kind: Destroy | WalletDestroyed) -> None:
    for encoded in (kind.to_bytes()[:-1], kind.to_bytes() + b"x", b""):
        with pytest.raises(BadEncoding):
            type(kind).from_bytes(encoded)


@pytest.mark.parametrize(
    "reason", ["", " ", "two\nlines", "\x1b[2Jred", "x" * (LONGEST_REASON + 1)]
)
def test_a_reason_is_a_line_of_text(reason: str) -> None:
    with pytest.raises(BadInput):
        replace(DESTROY, reason=reason)


def test_a_reason_that_is_no_text_does_not_parse() -> None:
    for broken in (b"\xff", b"\x1b"):
        source = DESTROY.to_bytes().replace(b"\0\7we move", b"\0\1" + broken)
        with pytest.raises(BadEncoding):
            Destroy.from_bytes(source)
