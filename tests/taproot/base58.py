"""Reads the extended keys of the published vectors; the product only writes them."""

from __future__ import annotations

import hashlib

from hsm_mpc.taproot.derivation import ExtendedKey

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def decoded(text: str) -> bytes:
    number = 0
    for character in text:
        number = number * 58 + ALPHABET.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    raw = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    assert hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]
    return raw[:-4]


def extended_key(xpub: str) -> ExtendedKey:
    raw = decoded(xpub)
    assert len(raw) == 78
    return ExtendedKey(
        key=raw[45:],
        chain_code=raw[13:45],
        depth=raw[4],
        parent_fingerprint=raw[5:9],
        child_number=int.from_bytes(raw[9:13], "big"),
    )
