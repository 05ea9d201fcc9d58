"""secp256k1 as a `Group` (section 1.3): scalars 32 bytes big-endian, points 33 bytes compressed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import count
from typing import Final

from hsm_mpc.encoding import u32be
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature
from hsm_mpc.groups import libsecp256k1 as library
from hsm_mpc.groups.secp256k1_points import (
    ORDER,
    Point,
    linear_combination,
    multiplied_with_base,
    nonzero_factor,
    parsed,
    point_of,
    point_or_identity,
    raw_of,
)
from hsm_mpc.secure.arena import Secret, move_bytes, move_public
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.tags import Tag

__all__ = [
    "ORDER",
    "POINT_BYTES",
    "SCALAR_BYTES",
    "SECP256K1",
    "Point",
    "Secp256k1",
    "tagged_hash_into",
    "tagged_hash_public",
    "verify_bip340",
]

SCALAR_BYTES: Final = library.SCALAR_BYTES
POINT_BYTES: Final = library.POINT_BYTES

_RANDOM_BYTES: Final = 32
_DRAWN_BYTES: Final = 2 * _RANDOM_BYTES + 4
_MAX_INDEX: Final = 255


class Secp256k1:
    """The only instance is `SECP256K1`; it has no state of its own."""

    __slots__ = ()

    order: Final = ORDER
    scalar_length: Final = SCALAR_BYTES
    point_length: Final = POINT_BYTES

    # Encodings

    def scalar_bytes(self, scalar: int) -> bytes:
        """32 bytes big-endian. Raises `BadInput`: not 0 ≤ scalar < q."""
        if not 0 <= scalar < ORDER:
            raise BadInput("a scalar is at least 0 and below the order of secp256k1")
        return scalar.to_bytes(SCALAR_BYTES, "big")

    def parse_scalar(self, encoded: bytes) -> int:
        """A public scalar, 0 included (step 1.3.2).

        Raises:
            BadEncoding: not 32 bytes, or not below q.
        """
        if len(encoded) != SCALAR_BYTES:
            raise BadEncoding(f"a scalar of secp256k1 is 32 bytes, not {len(encoded)}")
        scalar = int.from_bytes(encoded, "big")
        if scalar >= ORDER:
            raise BadEncoding("a scalar of secp256k1 is below the order")
        return scalar

    def parse_points(self, encoded: bytes) -> tuple[Point, ...]:
        """Points side by side, each validated. Raises `BadEncoding` as `parse_point` does."""
        points = []
        for start in range(0, len(encoded), POINT_BYTES):
            points.append(parsed(encoded[start : start + POINT_BYTES]))
        return tuple(points)

    def parse_point(self, encoded: bytes) -> Point:
        """`encoded` as a validated point (step 1.3.3).

        Raises:
            BadEncoding: not 33 bytes of the compressed form of a point on the curve.
        """
        return encoded if type(encoded) is Point else parsed(encoded)

    # Secrets, in place

    def random_nonzero(self, into: Secret, entropy: Entropy) -> None:
        """Fresh scalars other than 0, as many as `into` holds, from both sources (step 1.8.6)."""
        wanted, left_over = divmod(into.size, SCALAR_BYTES)
        if left_over:
            raise BadInput(f"a secret of {into.size} bytes where whole scalars are needed")
        room = into.arena.room(_DRAWN_BYTES + wanted * _RANDOM_BYTES)
        with room as message, into.open() as first:
            hsm = message + _DRAWN_BYTES
            entropy.hsm_fill(hsm, wanted * _RANDOM_BYTES)  # one call: a device may be slow
            for offset in range(0, into.size, SCALAR_BYTES):
                _draw(first + offset, message, hsm + offset, entropy)

    def is_canonical_nonzero(self, scalar: Secret) -> bool:
        """Whether 0 < scalar < q (step 1.8.7)."""
        with _scalar(scalar) as address:
            return library.is_scalar(address)

    def negate(self, scalar: Secret) -> None:
        """scalar = −scalar mod q. Raises `ProtocolAbort`: it is no scalar, or 0 (step 1.8.4)."""
        with _scalar(scalar) as address:
            library.negate(address)

    def add(self, scalar: Secret, other: Secret) -> None:
        """scalar = scalar + other mod q.

        Raises:
            ProtocolAbort: the sum is 0, or an input is no scalar (step 1.8.4).
        """
        with _scalar(scalar) as address, _scalar(other) as addend:
            library.add(address, addend)

    def multiply_public(self, scalar: Secret, factor: int) -> None:
        """scalar = scalar · factor mod q.

        Raises:
            BadInput: the factor is 0 mod q (step 1.8.4).
            ProtocolAbort: `scalar` is no scalar, or 0.
        """
        with _scalar(scalar) as address:
            library.multiply(address, nonzero_factor(factor))

    def public_point(self, scalar: Secret) -> Point:
        """scalar·G, which is public. Raises `ProtocolAbort`: `scalar` is no scalar, or 0."""
        with _scalar(scalar) as address:
            return point_of(library.point_of(address))

    # The same by address, inside an open window

    def is_canonical_nonzero_at(self, scalar: int) -> bool:
        """Whether 0 < scalar < q (step 1.8.7)."""
        return library.is_scalar(scalar)

    def negate_at(self, scalar: int) -> None:
        """scalar = −scalar mod q."""
        library.negate(scalar)

    def add_at(self, scalar: int, other: int) -> None:
        """scalar = scalar + other mod q."""
        library.add(scalar, other)

    def multiply_public_at(self, scalar: int, factor: int) -> None:
        """scalar = scalar · factor mod q."""
        library.multiply(scalar, nonzero_factor(factor))

    def horner_at(self, coefficients: int, count: int, x: int, out: int) -> None:
        """out = Σ a_k·x^k of `count` scalars a_0 ‖ a_1 ‖ … (step 1.8.8)."""
        library.horner(out, coefficients, count, nonzero_factor(x))

    def public_point_at(self, scalar: int) -> Point:
        """scalar·G, which is public."""
        return point_of(library.point_of(scalar))

    def diffie_hellman_at(self, secret: int, point: bytes, out: int) -> None:
        """The encoding of secret·point, 33 secret bytes at `out` (step 2.3.3)."""
        library.diffie_hellman(out, raw_of(point), secret)

    # Public values, variable time

    def base_multiple(self, factor: int) -> Point | None:
        """factor·G."""
        if factor % ORDER == 0:
            return None
        return point_of(library.base_multiplied(nonzero_factor(factor)))

    def multiply(self, point: bytes, factor: int) -> Point | None:
        """factor·point."""
        raw = raw_of(point)
        if factor % ORDER == 0:
            return None
        return point_of(library.multiplied(raw, nonzero_factor(factor)))

    def multiply_with_base(self, point: bytes, factor: int, base_factor: int) -> Point | None:
        """factor·point + base_factor·G."""
        return point_or_identity(multiplied_with_base(point, factor, base_factor))

    def combine(self, points: Iterable[bytes]) -> Point | None:
        """The sum of all `points`; of none it is None."""
        raws = [raw_of(point) for point in points]
        return point_or_identity(library.combined(raws)) if raws else None

    def linear_combination(self, terms: Iterable[tuple[int, bytes]]) -> Point | None:
        """Σ factor·point."""
        return point_or_identity(linear_combination(terms))

    def add_multiple(self, point: bytes, other: bytes, factor: int) -> Point | None:
        """point + factor·other, the factor not 0."""
        product = library.multiplied(raw_of(other), nonzero_factor(factor))
        return point_or_identity(library.combined([raw_of(point), product]))

    def sums_to_identity(
        self, point: bytes, other: bytes, factor: int, key: bytes, key_factor: int, base_factor: int
    ) -> bool:
        """Whether point + factor·other + key_factor·key + base_factor·G = O, `factor` not 0."""
        addends = [raw_of(point), library.multiplied(raw_of(other), nonzero_factor(factor))]
        rest = multiplied_with_base(key, key_factor, base_factor)
        if rest is not None:
            addends.append(rest)
        return library.combined(addends) is None

    def negate_point(self, point: bytes) -> Point:
        """−point."""
        return point_of(library.negated(raw_of(point)))

    def evaluate(self, commitments: Sequence[bytes], x: int) -> Point | None:
        """Σ x^k·C_k for an index x ≥ 1.

        Raises:
            BadInput: there are no commitments, or x is no index.
        """
        if not commitments or not 1 <= x <= _MAX_INDEX:
            raise BadInput(f"{len(commitments)} commitments evaluated at {x}")
        return point_or_identity(library.evaluated([raw_of(point) for point in commitments], x))


def verify_bip340(public_key: bytes, message: bytes, signature: bytes) -> None:
    """`signature` (64 bytes) of `message` (any length) under the x-only `public_key` (32 bytes).

    Raises:
        InvalidSignature: it does not verify, or one of the lengths is wrong.
    """
    if not library.schnorr_verified(public_key, message, signature):
        raise InvalidSignature("the BIP 340 signature does not verify")


def tagged_hash_into(tag: Tag, message: int, length: int, out: int) -> None:
    """`TH(tag, message)` (step 1.1.4) of `length` secret bytes at `message`, 32 bytes at `out`."""
    library.tagged_sha256(out, tag.ascii, message, length)


def tagged_hash_public(tag: Tag, message: int, length: int) -> bytes:
    """`TH(tag, message)` of `length` secret bytes at `message`, where a step makes it public."""
    return library.tagged_sha256_public(tag.ascii, message, length)


def _draw(out: int, message: int, hsm: int, entropy: Entropy) -> None:
    """A random scalar at `out`; os ‖ hsm ‖ counter is hashed at `message` (step 1.8.6)."""
    move_bytes(message + _RANDOM_BYTES, hsm, _RANDOM_BYTES)
    for counter in count():
        entropy.os_fill(message, _RANDOM_BYTES)
        move_public(message + 2 * _RANDOM_BYTES, u32be(counter))
        tagged_hash_into(Tag.RNG, message, _DRAWN_BYTES, out)
        if library.is_scalar(out):
            return


def _scalar(secret: Secret) -> AbstractContextManager[int]:
    if secret.size != SCALAR_BYTES:
        raise BadInput(f"a secret of {secret.size} bytes where a scalar is needed")
    return secret.open()


SECP256K1: Final = Secp256k1()
