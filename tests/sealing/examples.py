"""Blobs as values, without any key: what encoder and decoder are tried on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.errors import BadEncoding
from hsm_mpc.sealing.cms import Blob, decode
from hsm_mpc.wrapping.recipients import (
    KeyRecipient,
    Mechanism,
    OaepHash,
    RecipientFields,
    RsaRecipient,
)
from tests.sealing.blobs import CONTEXT, NOW, PAIR_CONTEXT


def key_recipient(number: int = 1, wrapped: bytes = bytes(48)) -> KeyRecipient:
    fields = RecipientFields(Mechanism.AES_GCM, f"pkcs11:id=%{number:02d}", "", b"iv of device")
    return KeyRecipient(fields, wrapped)


RSA = RsaRecipient(bytes(range(20)), OaepHash.SHA256, bytes(256))
SHARE = Blob(CONTEXT, NOW, (key_recipient(),), b"nonce, 12 b.", bytes(64), b"tag of 16 bytes.")
PAIR_STATE = replace(SHARE, context=PAIR_CONTEXT, ciphertext=bytes(1000))
MIXED = replace(SHARE, recipients=(RSA, key_recipient()))


def refuse(encoded: bytes, reason: str) -> None:
    with pytest.raises(BadEncoding, match=reason):
        decode(encoded)
