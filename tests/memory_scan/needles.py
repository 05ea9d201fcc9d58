"""What a secret looks like in memory: every layout in which software is likely to keep it.

Each layout is cut into pieces of 8 bytes or 16 characters, and each piece is looked for by itself:
so half a copy is found too.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.memory_scan.aes import round_keys

LayOut = Callable[[bytes], bytes]

_MOST_ZEROS: Final = 3
"""In a piece; with more it would be found where nothing is."""


@dataclass(frozen=True, slots=True)
class Needle:
    """One piece of one layout of one secret."""

    secret: str
    layout: str
    piece: bytes


@dataclass(frozen=True, slots=True)
class Layout:
    lay_out: LayOut
    piece_bytes: int = 8


def _swapped(secret: bytes) -> bytes:
    return b"".join(secret[at : at + 4][::-1] for at in range(0, len(secret), 4))


def _limbs(bits: int, width: int) -> LayOut:
    def lay_out(secret: bytes) -> bytes:
        value, count = int.from_bytes(secret, "big"), -(-8 * len(secret) // bits)
        limbs = (value >> bits * at & (1 << bits) - 1 for at in range(count))
        return b"".join(limb.to_bytes(width, "little") for limb in limbs)

    return lay_out


def _schedule(key: bytes) -> bytes:
    return b"".join(round_keys(key)[2:])


LAYOUTS: Final = {
    "forward": Layout(lambda secret: secret),
    "reversed": Layout(lambda secret: secret[::-1]),  # also limbs of 32 and 64 bits, low ones first
    "words swapped": Layout(_swapped),
    "52-bit limbs": Layout(_limbs(52, 8)),  # field elements of libsecp256k1
    "62-bit limbs": Layout(_limbs(62, 8)),  # its inversions
    "30-bit digits": Layout(_limbs(30, 4)),  # a Python int
    "hex": Layout(lambda secret: secret.hex().encode(), 16),
    "HEX": Layout(lambda secret: secret.hex().upper().encode(), 16),
    "base64": Layout(base64.b64encode, 16),
    "decimal": Layout(lambda secret: str(int.from_bytes(secret, "big")).encode(), 16),
}
KEY_LAYOUTS: Final = {
    **LAYOUTS,
    "AES round keys": Layout(_schedule, 16),
    "AES round keys, words swapped": Layout(lambda key: _swapped(_schedule(key)), 16),
}
PIN_LAYOUTS: Final = {"forward": LAYOUTS["forward"]}

LONGEST_PIECE: Final = max(layout.piece_bytes for layout in KEY_LAYOUTS.values())


def needles(name: str, secret: bytes, layouts: dict[str, Layout]) -> Iterator[Needle]:
    """All pieces of all layouts of a secret."""
    for layout_name, layout in layouts.items():
        laid_out, size = layout.lay_out(secret), layout.piece_bytes
        for at in range(0, len(laid_out) - size + 1, size):
            piece = laid_out[at : at + size]
            if piece.count(0) <= _MOST_ZEROS:
                yield Needle(name, layout_name, piece)
