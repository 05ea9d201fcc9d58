"""Other recipients over the same content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.ids import HolderIndex
from hsm_mpc.sealing.cms import decode, encode
from hsm_mpc.secure.arena import Arena
from tests.sealing.blobs import (
    CONTEXT,
    SHARE,
    opened_by,
    rewrapped_by,
    sealed_by,
)
from tests.wrapping.software import RsaSoftwareKey, SoftwareKey


def test_rewrapping_changes_the_recipients_and_nothing_else(arena: Arena) -> None:
    old, new, more = SoftwareKey("old"), SoftwareKey("new"), RsaSoftwareKey()
    encoded = sealed_by(arena, old)
    rewrapped = rewrapped_by(arena, encoded, old, new, more)
    before, after = decode(encoded), decode(rewrapped)
    assert replace(after, recipients=before.recipients) == before
    assert rewrapped != encoded
    for key in (new, more):
        assert opened_by(arena, key, rewrapped) == SHARE
    with pytest.raises(Tampered, match="software:old is not among"):
        opened_by(arena, old, rewrapped)


def test_a_blob_is_not_rewrapped_for_nobody(arena: Arena) -> None:
    key = SoftwareKey()
    with pytest.raises(BadInput, match="1 to 8"):
        rewrapped_by(arena, sealed_by(arena, key), key)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"context": replace(CONTEXT, holder=HolderIndex(2))}, "holder"),
        ({"digest": bytes(32)}, "epoch record"),
    ],
)
def test_what_would_not_be_opened_is_not_rewrapped(
    arena: Arena, changes: dict[str, Any], reason: str
) -> None:
    key = SoftwareKey()
    with pytest.raises(Tampered, match=reason):
        rewrapped_by(arena, sealed_by(arena, key), key, SoftwareKey("new"), **changes)


def test_noise_is_not_rewrapped(arena: Arena) -> None:
    key = SoftwareKey()
    noise = encode(replace(decode(sealed_by(arena, key)), ciphertext=bytes(64)))
    with pytest.raises(Tampered, match="content is not authentic"):
        rewrapped_by(arena, noise, key, SoftwareKey("new"))
