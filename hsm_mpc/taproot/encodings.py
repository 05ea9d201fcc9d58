"""Texts that people copy: base58check, bech32m addresses, and descriptors with their checksum.

Sources: BIP 350 (bech32m), BIP 380 (descriptor checksum); steps 5.1.5 and 5.1.7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import Enum
from typing import Final

from hsm_mpc.errors import BadInput

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M: Final = 0x2BC830A3
_TAPROOT_VERSION: Final = 1

_DESCRIPTOR_CHARACTERS: Final = (
    "0123456789()[],'/*abcdefgh@:$%{}"
    "IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~"
    'ijklmnopqrstuvwxyzABCDEFGH`#"\\ '
)
_DESCRIPTOR_GENERATORS: Final = (
    0xF5DEE51989,
    0xA9FDCA3312,
    0x1BAB10E32D,
    0x3706B1677A,
    0x644D626FFD,
)


class Network(Enum):
    """Where a coin lives: the human-readable part of its addresses (step 5.1.7)."""

    MAIN = "bc"
    TEST = "tb"
    REGTEST = "bcrt"


def base58check(payload: bytes) -> str:
    """`payload` with the first 4 bytes of its double SHA-256, in base 58 (step 5.1.5)."""
    checksum = hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    return base58(payload + checksum)


def base58(encoded: bytes) -> str:
    """Bytes as a number in base 58, and a digit 1 for each leading zero byte."""
    number = int.from_bytes(encoded, "big")
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_BASE58[digit])
    leading_zeros = len(encoded) - len(encoded.lstrip(b"\0"))
    return _BASE58[0] * leading_zeros + "".join(reversed(digits))


def _bech32_polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATORS):
            if top >> bit & 1:
                check ^= generator
    return check


def taproot_address(output_key: bytes, network: Network) -> str:
    """The bech32m address of an x-only output key of 32 bytes (step 5.1.7).

    Callers outside of this package get addresses from `SpendingKey.address` only (step 5.1.1).

    Raises:
        BadInput: not 32 bytes.
    """
    if len(output_key) != 32:
        raise BadInput("a taproot output key has 32 bytes")
    bits = int.from_bytes(output_key, "big") << 4  # 256 bits and 4 of padding: 52 groups
    groups = [bits >> 5 * (51 - position) & 31 for position in range(52)]
    symbols = [_TAPROOT_VERSION, *groups]
    prefix = network.value.encode("ascii")
    expanded = [*(c >> 5 for c in prefix), 0, *(c & 31 for c in prefix)]
    check = _bech32_polymod([*expanded, *symbols, 0, 0, 0, 0, 0, 0]) ^ _BECH32M
    symbols += [check >> 5 * (5 - position) & 31 for position in range(6)]
    return f"{network.value}1" + "".join(_BECH32[symbol] for symbol in symbols)


def _descriptor_polymod(symbols: Iterable[int]) -> int:
    check = 1
    for symbol in symbols:
        top = check >> 35
        check = (check & 0x7FFFFFFFF) << 5 ^ symbol
        for bit, generator in enumerate(_DESCRIPTOR_GENERATORS):
            if top >> bit & 1:
                check ^= generator
    return check


def with_checksum(descriptor: str) -> str:
    """`descriptor`, `#` and its checksum of 8 characters (BIP 380)."""
    symbols: list[int] = []
    groups: list[int] = []
    for character in descriptor:
        position = _DESCRIPTOR_CHARACTERS.index(character)
        symbols.append(position & 31)
        groups.append(position >> 5)
        if len(groups) == 3:
            symbols.append(groups[0] * 9 + groups[1] * 3 + groups[2])
            groups = []
    if groups:
        symbols.append(groups[0] if len(groups) == 1 else groups[0] * 3 + groups[1])
    check = _descriptor_polymod([*symbols, 0, 0, 0, 0, 0, 0, 0, 0]) ^ 1
    checksum = "".join(_BECH32[check >> 5 * (7 - position) & 31] for position in range(8))
    return f"{descriptor}#{checksum}"
