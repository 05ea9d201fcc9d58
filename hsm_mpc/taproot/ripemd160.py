"""RIPEMD-160, which key fingerprints of BIP 32 need and some builds of OpenSSL lack.

Dobbertin, Bosselaers, Preneel: RIPEMD-160, a strengthened version of RIPEMD (1996), with the
permutations ρ and π and the table of shifts as given there. Only for public values.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

_MASK: Final = 0xFFFFFFFF
_START: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_LEFT_CONSTANTS: Final = (0x00000000, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E)
_RIGHT_CONSTANTS: Final = (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0x00000000)
_RHO: Final = (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8)
_SHIFTS: Final = (
    (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
    (12, 13, 11, 15, 6, 9, 9, 7, 12, 15, 11, 13, 7, 8, 7, 7),
    (13, 15, 14, 11, 7, 7, 6, 8, 13, 14, 13, 12, 5, 5, 6, 9),
    (14, 11, 12, 14, 8, 6, 5, 5, 15, 12, 15, 14, 9, 9, 8, 6),
    (15, 12, 13, 13, 9, 5, 8, 6, 14, 11, 12, 11, 8, 6, 5, 5),
)

_Mix = Callable[[int, int, int], int]
_MIXES: Final[tuple[_Mix, ...]] = (
    lambda x, y, z: x ^ y ^ z,
    lambda x, y, z: (x & y) | (~x & z),
    lambda x, y, z: (x | ~y) ^ z,
    lambda x, y, z: (x & z) | (y & ~z),
    lambda x, y, z: x ^ (y | ~z),
)


def _word_orders(first: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The order in which each of the five rounds takes the words: ρ applied again and again."""
    orders = [tuple(first)]
    for _ in range(4):
        orders.append(tuple(_RHO[word] for word in orders[-1]))
    return tuple(orders)


_LEFT_WORDS: Final = _word_orders(range(16))
_RIGHT_WORDS: Final = _word_orders([(9 * i + 5) % 16 for i in range(16)])


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & _MASK


def _line(
    state: Sequence[int],
    block: Sequence[int],
    orders: Sequence[Sequence[int]],
    mixes: Sequence[_Mix],
    constants: Sequence[int],
) -> tuple[int, int, int, int, int]:
    """The 80 steps of one of the two parallel lines."""
    a, b, c, d, e = state
    for order, mix, constant, shifts in zip(orders, mixes, constants, _SHIFTS, strict=True):
        for word in order:
            total = (a + (mix(b, c, d) & _MASK) + block[word] + constant) & _MASK
            a, b, c, d, e = e, (_rotated(total, shifts[word]) + e) & _MASK, b, _rotated(c, 10), d
    return a, b, c, d, e


def ripemd160(message: bytes) -> bytes:
    """The digest, 20 bytes."""
    padding = b"\x80" + bytes((55 - len(message)) % 64) + struct.pack("<Q", 8 * len(message))
    padded = message + padding
    state: Sequence[int] = _START
    for block in struct.iter_unpack("<16L", padded):
        left = _line(state, block, _LEFT_WORDS, _MIXES, _LEFT_CONSTANTS)
        right = _line(state, block, _RIGHT_WORDS, _MIXES[::-1], _RIGHT_CONSTANTS)
        state = [
            (state[(i + 1) % 5] + left[(i + 2) % 5] + right[(i + 3) % 5]) & _MASK for i in range(5)
        ]
    return struct.pack("<5L", *state)
