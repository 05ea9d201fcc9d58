"""Ed25519 as a `Group` (section 1.4): scalars 32 bytes little-endian, points 32 bytes (RFC 8032).

Shares are scalars modulo L, not the seeds of RFC 8032: nothing is clamped (step 1.4.5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import count
from typing import Final

from hsm_mpc.encoding import u32be
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature
from hsm_mpc.secure import sodium
from hsm_mpc.secure import sodium_ed25519 as library
from hsm_mpc.secure.arena import Secret, move_bytes, move_public
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.tags import Tag

ORDER: Final = library.ORDER
SCALAR_BYTES: Final = library.SCALAR_BYTES
POINT_BYTES: Final = library.POINT_BYTES

_RANDOM_BYTES: Final = 64
_DRAWN_BYTES: Final = len(Tag.RNG.ascii) + 2 * _RANDOM_BYTES + 4
_MAX_INDEX: Final = 255
_CHEAP_ADDITIONS: Final = 6
"""Up to so many additions cost less than a multiplication (measured)."""


class Point(bytes):
    """32 bytes that are known to encode a point (step 1.4.3)."""

    __slots__ = ()


def _parsed(encoded: bytes) -> Point:
    if not library.is_point(encoded):
        raise BadEncoding("not a point of prime order on Ed25519")
    return Point(encoded)


def _valid(point: bytes) -> Point:
    return point if type(point) is Point else _parsed(point)


def _point_or_identity(encoded: bytes) -> Point | None:
    return None if encoded == library.IDENTITY else Point(encoded)  # step 1.4.4


class Ed25519:
    """The only instance is `ED25519`; it has no state of its own."""

    __slots__ = ()

    order: Final = ORDER
    scalar_length: Final = SCALAR_BYTES
    point_length: Final = POINT_BYTES

    # Encodings

    def scalar_bytes(self, scalar: int) -> bytes:
        """32 bytes little-endian. Raises `BadInput`: not 0 ≤ scalar < L."""
        if not 0 <= scalar < ORDER:
            raise BadInput("a scalar is at least 0 and below the order of Ed25519")
        return scalar.to_bytes(SCALAR_BYTES, "little")

    def parse_scalar(self, encoded: bytes) -> int:
        """A public scalar, 0 included (step 1.4.2).

        Raises:
            BadEncoding: not 32 bytes, or not below L.
        """
        if len(encoded) != SCALAR_BYTES:
            raise BadEncoding(f"a scalar of Ed25519 is 32 bytes, not {len(encoded)}")
        scalar = int.from_bytes(encoded, "little")
        if scalar >= ORDER:
            raise BadEncoding("a scalar of Ed25519 is below the order")
        return scalar

    def parse_points(self, encoded: bytes) -> tuple[Point, ...]:
        """Points side by side, each validated. Raises `BadEncoding` as `parse_point` does."""
        starts = range(0, len(encoded), POINT_BYTES)
        return tuple(_parsed(encoded[at : at + POINT_BYTES]) for at in starts)

    def parse_point(self, encoded: bytes) -> Point:
        """`encoded` as a validated point (step 1.4.3).

        Raises:
            BadEncoding: not 32 bytes, y not canonical, not on the curve, or not of order L.
        """
        return _valid(encoded)

    # Secrets, in place

    def random_nonzero(self, into: Secret, entropy: Entropy) -> None:
        """Fresh scalars other than 0, as many as `into` holds, from both sources (step 1.8.6)."""
        wanted, left_over = divmod(into.size, SCALAR_BYTES)
        if left_over:
            raise BadInput(f"a secret of {into.size} bytes where whole scalars are needed")
        room = into.arena.room(_DRAWN_BYTES + library.WIDE_BYTES + wanted * _RANDOM_BYTES)
        with room as message, into.open() as first:
            hsm = message + _DRAWN_BYTES + library.WIDE_BYTES
            entropy.hsm_fill(hsm, wanted * _RANDOM_BYTES)  # one call: a device may be slow
            for position in range(wanted):
                out = first + position * SCALAR_BYTES
                _draw(out, message, hsm + position * _RANDOM_BYTES, entropy)

    def is_canonical_nonzero(self, scalar: Secret) -> bool:
        """Whether 0 < scalar < L (step 1.8.7)."""
        with _scalar(scalar) as address:
            return library.is_scalar(address)

    def negate(self, scalar: Secret) -> None:
        """scalar = −scalar mod L. Raises `ProtocolAbort`: it is no scalar, or 0 (step 1.8.4)."""
        with _scalar(scalar) as address:
            library.negate(address)

    def add(self, scalar: Secret, other: Secret) -> None:
        """scalar = scalar + other mod L.

        Raises:
            ProtocolAbort: the sum is 0, or an input is no scalar (step 1.8.4).
        """
        with _scalar(scalar) as address, _scalar(other) as addend:
            library.add(address, addend)

    def multiply_public(self, scalar: Secret, factor: int) -> None:
        """scalar = scalar · factor mod L.

        Raises:
            BadInput: the factor is 0 mod L (step 1.8.4).
            ProtocolAbort: `scalar` is no scalar, or 0.
        """
        with _scalar(scalar) as address:
            library.multiply(address, _nonzero_factor(factor))

    def public_point(self, scalar: Secret) -> Point:
        """scalar·B, which is public. Raises `ProtocolAbort`: `scalar` is no scalar, or 0."""
        with _scalar(scalar) as address:
            return self.public_point_at(address)

    # The same by address, inside an open window

    def is_canonical_nonzero_at(self, scalar: int) -> bool:
        """Whether 0 < scalar < L (step 1.8.7)."""
        return library.is_scalar(scalar)

    def negate_at(self, scalar: int) -> None:
        """scalar = −scalar mod L."""
        library.negate(scalar)

    def add_at(self, scalar: int, other: int) -> None:
        """scalar = scalar + other mod L."""
        library.add(scalar, other)

    def multiply_public_at(self, scalar: int, factor: int) -> None:
        """scalar = scalar · factor mod L."""
        library.multiply(scalar, _nonzero_factor(factor))

    def horner_at(self, coefficients: int, count: int, x: int, out: int) -> None:
        """out = Σ a_k·x^k of `count` scalars a_0 ‖ a_1 ‖ … (step 1.8.8)."""
        library.horner(out, coefficients, count, _nonzero_factor(x))

    def public_point_at(self, scalar: int) -> Point:
        """scalar·B, which is public."""
        return Point(library.point_of(scalar))

    def diffie_hellman_at(self, secret: int, point: bytes, out: int) -> None:
        """The encoding of secret·point, 32 secret bytes at `out` (step 2.3.3)."""
        library.diffie_hellman(out, _valid(point), secret)

    # Public values, variable time

    def base_multiple(self, factor: int) -> Point | None:
        """factor·B."""
        if factor % ORDER == 0:
            return None
        return Point(library.base_multiplied(_nonzero_factor(factor)))

    def multiply(self, point: bytes, factor: int) -> Point | None:
        """factor·point."""
        return self.linear_combination([(factor, point)])

    def multiply_with_base(self, point: bytes, factor: int, base_factor: int) -> Point | None:
        """factor·point + base_factor·B."""
        base = self.base_multiple(base_factor)
        terms = [(factor, point)] if base is None else [(factor, point), (1, base)]
        return self.linear_combination(terms)

    def combine(self, points: Iterable[bytes]) -> Point | None:
        """The sum of all `points`; of none it is None."""
        return _point_or_identity(library.added(_valid(point) for point in points))

    def linear_combination(self, terms: Iterable[tuple[int, bytes]]) -> Point | None:
        """Σ factor·point."""
        addends = []
        for factor, point in terms:
            valid, reduced = _valid(point), factor % ORDER
            if reduced == 1:
                addends.append(valid)
            elif reduced == ORDER - 1:
                addends.append(self.negate_point(valid))
            elif reduced:
                scalar = reduced.to_bytes(SCALAR_BYTES, "little")
                addends.append(Point(library.multiplied(valid, scalar)))
        return _point_or_identity(library.added(addends))

    def negate_point(self, point: bytes) -> Point:
        """−point: the other sign of x, which no point of the group has as 0."""
        valid = _valid(point)
        return Point(valid[:-1] + bytes((valid[-1] ^ 0x80,)))

    def evaluate(self, commitments: Sequence[bytes], x: int) -> Point | None:
        """Σ x^k·C_k for an index x ≥ 1, by Horner.

        Raises:
            BadInput: there are no commitments, or x is no index.
        """
        if not commitments or not 1 <= x <= _MAX_INDEX:
            raise BadInput(f"{len(commitments)} commitments evaluated at {x}")
        total = library.IDENTITY
        for point in reversed(commitments):
            total = library.added([*_multiple(total, x), _valid(point)])
        return _point_or_identity(total)


def hash_to_scalar(message: bytes) -> int:
    """`h2s_ed`: int_le(SHA-512(m)) mod L of a public message (section 1.5)."""
    return int.from_bytes(hashlib.sha512(message).digest(), "little") % ORDER


def hash_to_scalar_into(message: int, length: int, out: int) -> None:
    """`h2s_ed` of `length` secret bytes at `message`, at least 64, into `out`; it may be 0.

    The hash overwrites the first 64 bytes of the message.
    """
    sodium.sha512(message, message, length)
    library.reduce(out, message)


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> None:
    """`signature` (64 bytes) of `message` (any length) under `public_key` (32 bytes).

    Strict, without cofactor (step 4.3.7).

    Raises:
        InvalidSignature: it does not verify, or one of the lengths is wrong.
    """
    if not sodium.ed25519_verifies(public_key, message, signature):
        raise InvalidSignature("the Ed25519 signature does not verify")


def _multiple(point: bytes, x: int) -> Sequence[bytes]:
    """Addends of x·point for a small x ≥ 1, by doubling where that is cheaper."""
    if point == library.IDENTITY:
        return ()
    if x.bit_length() + x.bit_count() - 2 > _CHEAP_ADDITIONS:
        return (library.multiplied(point, x.to_bytes(SCALAR_BYTES, "little")),)
    addends, doubled = [], point
    for bit in range(x.bit_length()):
        if bit:
            doubled = library.added([doubled, doubled])
        if x >> bit & 1:
            addends.append(doubled)
    return addends


def _draw(out: int, message: int, hsm: int, entropy: Entropy) -> None:
    """A random scalar at `out`; tag ‖ os ‖ hsm ‖ counter is hashed at `message` (step 1.8.6)."""
    os, wide = message + len(Tag.RNG.ascii), message + _DRAWN_BYTES
    move_public(message, Tag.RNG.ascii)
    move_bytes(os + _RANDOM_BYTES, hsm, _RANDOM_BYTES)
    for counter in count():
        entropy.os_fill(os, _RANDOM_BYTES)
        move_public(os + 2 * _RANDOM_BYTES, u32be(counter))
        sodium.sha512(wide, message, _DRAWN_BYTES)
        library.reduce(out, wide)
        if library.is_scalar(out):
            return


def _nonzero_factor(factor: int) -> bytes:
    reduced = factor % ORDER
    if reduced == 0:
        raise BadInput("a factor is not 0 modulo the order of Ed25519")  # step 1.8.4
    return reduced.to_bytes(SCALAR_BYTES, "little")


def _scalar(secret: Secret) -> AbstractContextManager[int]:
    if secret.size != SCALAR_BYTES:
        raise BadInput(f"a secret of {secret.size} bytes where a scalar is needed")
    return secret.open()


ED25519: Final = Ed25519()
