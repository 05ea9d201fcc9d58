"""The curve of Ed25519 by the formulas of RFC 8032 5.1, in Python integers: a judge for tests."""

from __future__ import annotations

from typing import Final

FIELD: Final = 2**255 - 19
D: Final = -121665 * pow(121666, -1, FIELD) % FIELD

Affine = tuple[int, int]


def le(value: int) -> bytes:
    return value.to_bytes(32, "little")


def decoded(encoded: bytes) -> Affine | None:
    """(x, y) of 32 bytes; None: not on the curve, or y not canonical."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= FIELD:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    if x * x % FIELD != square or (x == 0 and sign):
        return None
    return (x if x & 1 == sign else FIELD - x), y


def encoded(point: Affine) -> bytes:
    return le(point[1] | (point[0] & 1) << 255)


def added(left: Affine, right: Affine) -> Affine:
    (a, b), (c, d) = left, right
    product = D * a * b * c * d % FIELD
    x = (a * d + b * c) * pow(1 + product, -1, FIELD) % FIELD
    y = (b * d + a * c) * pow(1 - product, -1, FIELD) % FIELD
    return x, y


def times(scalar: int, point: Affine) -> Affine:
    total = (0, 1)
    while scalar:
        if scalar & 1:
            total = added(total, point)
        point, scalar = added(point, point), scalar >> 1
    return total


def _base() -> Affine:
    point = decoded(le(4 * pow(5, -1, FIELD) % FIELD))
    assert point is not None
    return point


BASE: Final = _base()
