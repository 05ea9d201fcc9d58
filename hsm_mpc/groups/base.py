"""What the protocols ask of a group of prime order.

Points are `bytes` in the group's encoding, so that they compare, hash and concatenate as they stand
in messages; a group may return a subclass that carries its parsed form. The identity has no
encoding: it is None (steps 1.3.6, 1.4.4). Public scalars are `int`. Secret scalars live in `Secret`
slots of `scalar_length` bytes and are changed in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from hsm_mpc.secure.arena import Secret
from hsm_mpc.secure.entropy import Entropy


class Group(Protocol):
    """One curve. Unless a docstring says otherwise a method takes only validated points."""

    @property
    def order(self) -> int:
        """q, the prime number of elements."""

    @property
    def scalar_length(self) -> int:
        """Bytes of an encoded scalar."""

    @property
    def point_length(self) -> int:
        """Bytes of an encoded point."""

    # Encodings

    def scalar_bytes(self, scalar: int) -> bytes:
        """The encoding of a public `scalar`, 0 ≤ scalar < q, else `BadInput`."""

    def parse_scalar(self, encoded: bytes) -> int:
        """A public scalar, 0 included. Raises `BadEncoding`: wrong length, or not below q."""

    def parse_point(self, encoded: bytes) -> bytes:
        """`encoded` as a validated point. Raises `BadEncoding`: not the encoding of a point."""

    def parse_points(self, encoded: bytes) -> tuple[bytes, ...]:
        """Points side by side, each validated. Raises `BadEncoding` as `parse_point` does."""

    # Secrets, in place. Each raises `ProtocolAbort` where its result is 0 or an input is not a
    # scalar: the session ends, and nothing is tried again with the same values (step 1.8.4).

    def random_nonzero(self, into: Secret, entropy: Entropy) -> None:
        """Fresh scalars other than 0 from both sources, as many as `into` holds (step 1.8.6)."""

    def is_canonical_nonzero(self, scalar: Secret) -> bool:
        """Whether 0 < scalar < q; for shares that others sent (step 1.8.7)."""

    def negate(self, scalar: Secret) -> None:
        """scalar = −scalar mod q."""

    def add(self, scalar: Secret, other: Secret) -> None:
        """scalar = scalar + other mod q."""

    def multiply_public(self, scalar: Secret, factor: int) -> None:
        """scalar = scalar · factor mod q. Raises `BadInput`: the factor is 0 mod q."""

    def public_point(self, scalar: Secret) -> bytes:
        """scalar·B, which is public."""

    # The same by address, inside an open window: one window then serves a whole loop. An address
    # is that of `scalar_length` bytes unless a docstring says otherwise.

    def is_canonical_nonzero_at(self, scalar: int) -> bool:
        """Whether 0 < scalar < q (step 1.8.7)."""

    def negate_at(self, scalar: int) -> None:
        """scalar = −scalar mod q."""

    def add_at(self, scalar: int, other: int) -> None:
        """scalar = scalar + other mod q."""

    def multiply_public_at(self, scalar: int, factor: int) -> None:
        """scalar = scalar · factor mod q. Raises `BadInput`: the factor is 0 mod q."""

    def horner_at(self, coefficients: int, count: int, x: int, out: int) -> None:
        """out = Σ a_k·x^k of `count` scalars a_0 ‖ a_1 ‖ …, x public and not 0 (step 1.8.8)."""

    def public_point_at(self, scalar: int) -> bytes:
        """scalar·B, which is public."""

    def diffie_hellman_at(self, secret: int, point: bytes, out: int) -> None:
        """The encoding of secret·point, `point_length` secret bytes at `out` (step 2.3.3)."""

    # Public values, variable time

    def base_multiple(self, factor: int) -> bytes | None:
        """factor·B."""

    def multiply(self, point: bytes, factor: int) -> bytes | None:
        """factor·point."""

    def multiply_with_base(self, point: bytes, factor: int, base_factor: int) -> bytes | None:
        """factor·point + base_factor·B."""

    def combine(self, points: Iterable[bytes]) -> bytes | None:
        """The sum of all `points`; of none it is None."""

    def linear_combination(self, terms: Iterable[tuple[int, bytes]]) -> bytes | None:
        """Σ factor·point."""

    def negate_point(self, point: bytes) -> bytes:
        """−point."""

    def evaluate(self, commitments: Sequence[bytes], x: int) -> bytes | None:
        """Σ x^k·C_k for an index x, 1..255: a committed polynomial at x."""
