"""Points of secp256k1 and what is computed with the library's parsed forms of them.

All of it public, in variable time. A parsed form is never the identity: that is None (step 1.3.6).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups import libsecp256k1 as library
from hsm_mpc.groups.libsecp256k1 import SCALAR_BYTES, Raw

ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


class Point(bytes):
    """33 bytes that are known to encode a point, with the library's parsed form beside them."""

    raw: Raw


def point_of(raw: Raw) -> Point:
    """The encoding of a parsed form."""
    point = Point(library.serialized(raw))
    point.raw = raw
    return point


def point_or_identity(raw: Raw | None) -> Point | None:
    """The same of a sum."""
    return None if raw is None else point_of(raw)


def parsed(encoded: bytes) -> Point:
    """`encoded` as a point, once it was validated (step 1.3.3).

    Raises:
        BadEncoding: not 33 bytes of the compressed form of a point on the curve.
    """
    raw = library.parsed(encoded)
    if raw is None:
        raise BadEncoding("not a compressed point of secp256k1")
    point = Point(encoded)
    point.raw = raw
    return point


def raw_of(point: bytes) -> Raw:
    """The parsed form of a point. Raises `BadEncoding`: it is none."""
    return point.raw if type(point) is Point else parsed(point).raw


def nonzero_factor(factor: int) -> bytes:
    """The encoding of a factor modulo the order. Raises `BadInput`: it is 0 (step 1.8.4)."""
    reduced = factor % ORDER
    if reduced == 0:
        raise BadInput("a factor is not 0 modulo the order of secp256k1")
    return reduced.to_bytes(SCALAR_BYTES, "big")


def linear_combination(terms: Iterable[tuple[int, bytes]]) -> Raw | None:
    """Σ factor·point."""
    raws = []
    for factor, point in terms:
        raw = raw_of(point)
        reduced = factor % ORDER
        if reduced == 1:
            raws.append(raw)
        elif reduced == ORDER - 1:
            raws.append(library.negated(raw))
        elif reduced:
            raws.append(library.multiplied(raw, reduced.to_bytes(SCALAR_BYTES, "big")))
    return library.combined(raws) if raws else None


def multiplied_with_base(point: bytes, factor: int, base_factor: int) -> Raw | None:
    """factor·point + base_factor·G, as one key recovery where that is possible and cheaper.

    With r the abscissa of the point, recovery gives r⁻¹·(s·point − m·G): s = factor·r and
    m = −base_factor·r.
    """
    x = point[1:]
    r = int.from_bytes(x, "big")
    if factor % ORDER > 1:
        s, m = factor * r % ORDER, -base_factor * r % ORDER
        raw = library.recovered(x, point[0] & 1, s.to_bytes(32, "big"), m.to_bytes(32, "big"))
        if raw is not None:
            return raw
    terms = [(factor, point)]
    if base_factor % ORDER:
        terms.append((1, point_of(library.base_multiplied(nonzero_factor(base_factor)))))
    return linear_combination(terms)
