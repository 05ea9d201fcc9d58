from __future__ import annotations

import pytest

from hsm_mpc.errors import InvalidSignature
from hsm_mpc.groups.proofs import (
    COCKTAIL_SECP256K1,
    ContextLabel,
    context_of,
    signature_length,
    verify,
)
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1
from hsm_mpc.tags import Tag, tagged_hash

SECRET, NONCE, MESSAGE = 12345, 67890, b"a message"


def point(scalar: int) -> bytes:
    encoded = SECP256K1.base_multiple(scalar)
    assert encoded is not None
    return encoded


PUBLIC, COMMITMENT = point(SECRET), point(NONCE)
CHALLENGE = int.from_bytes(tagged_hash(Tag.COCKTAIL_H7, COMMITMENT + PUBLIC + MESSAGE), "big")
ANSWER = (NONCE + CHALLENGE * SECRET) % ORDER
SIGNATURE = COMMITMENT + ANSWER.to_bytes(32, "big")


def test_a_signature_written_out_from_the_specification_verifies() -> None:
    """Steps 2.2.2 to 2.2.4."""
    assert len(SIGNATURE) == signature_length(COCKTAIL_SECP256K1) == 65
    verify(COCKTAIL_SECP256K1, SIGNATURE, PUBLIC, MESSAGE)


@pytest.mark.parametrize(
    "signature",
    [
        COMMITMENT + ((ANSWER + 1) % ORDER).to_bytes(32, "big"),
        COMMITMENT + (ANSWER + ORDER).to_bytes(33, "big")[-32:],
        COMMITMENT + ORDER.to_bytes(32, "big"),
        COMMITMENT + bytes(32),
        point(NONCE + 1) + SIGNATURE[33:],
        bytes([COMMITMENT[0] ^ 1]) + SIGNATURE[1:],
        bytes(33) + SIGNATURE[33:],
        b"\x04" + SIGNATURE[1:],
        SIGNATURE + b"\0",
        SIGNATURE[:-1],
        b"",
    ],
)
def test_pop_with_any_other_bytes_is_refused(signature: bytes) -> None:
    """Step 2.2.4: R, z, their encodings and the length."""
    with pytest.raises(InvalidSignature):
        verify(COCKTAIL_SECP256K1, signature, PUBLIC, MESSAGE)


def test_pop_under_other_context_or_key_is_refused() -> None:
    """A replay."""
    for public, message in ((PUBLIC, b"another"), (point(SECRET + 1), MESSAGE)):
        with pytest.raises(InvalidSignature):
            verify(COCKTAIL_SECP256K1, SIGNATURE, public, message)


def test_no_two_kinds_of_session_share_a_context() -> None:
    """Steps 2.4.2, 6.4.1 and 6.7.2."""
    keys, session = [PUBLIC, COMMITMENT], b"sid".ljust(32, b".")
    contexts = {context_of(COCKTAIL_SECP256K1, session, keys, label) for label in ContextLabel}
    assert len(contexts) == len(ContextLabel)
    assert all(
        label.value.isascii() and label.value.endswith(b"-CONTEXT") for label in ContextLabel
    )
