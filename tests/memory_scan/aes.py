"""The key schedule of AES-256 (FIPS 197, 5.2): two neighbouring round keys give the whole key."""

from __future__ import annotations

from typing import Final

_ROUND_KEYS: Final = 15
_WORDS_OF_KEY: Final = 8


def _product(one: int, other: int) -> int:
    """In GF(2^8) modulo x^8 + x^4 + x^3 + x + 1."""
    result = 0
    while other:
        result ^= one * (other & 1)
        one = one << 1 ^ (0x11B if one & 0x80 else 0)
        other >>= 1
    return result


def _substituted(byte: int) -> int:
    inverse = next((each for each in range(256) if _product(byte, each) == 1), 0)
    turned = (inverse << turn | inverse >> (8 - turn) for turn in range(5))
    result = 0x63
    for each in turned:
        result ^= each & 0xFF
    return result


_S_BOX: Final = bytes(_substituted(byte) for byte in range(256))


def round_keys(key: bytes) -> list[bytes]:
    """The 15 round keys of a key of 32 bytes, 16 bytes each; the first two are the key."""
    words = [key[at : at + 4] for at in range(0, len(key), 4)]
    constant = 1
    while len(words) < 4 * _ROUND_KEYS:
        word = words[-1]
        if len(words) % _WORDS_OF_KEY == 0:
            word = bytes([*word[1:], word[0]]).translate(_S_BOX)
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _product(constant, 2)
        elif len(words) % _WORDS_OF_KEY == 4:
            word = word.translate(_S_BOX)
        words.append(bytes(a ^ b for a, b in zip(words[-_WORDS_OF_KEY], word, strict=True)))
    return [b"".join(words[at : at + 4]) for at in range(0, len(words), 4)]
