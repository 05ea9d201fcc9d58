"""Shamir sharing with Feldman's commitments (sections 1.2 and 1.8): f(x) = Σ a_k·x^k, C_k = a_k·B.

The x-coordinate of a holder is its index, 1..n; the secret stands at 0. Only a repair shares by
summands (section 6.7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.base import Group
from hsm_mpc.secure.arena import Secret, move_bytes

MAX_HOLDERS: Final = 255

DrawScalars = Callable[[Secret], None]
"""Fills a slot with fresh scalars other than 0 (step 1.8.6). Tests inject their scalars here."""


def require_index(index: int, holders: int) -> int:
    """`index` if it is one of 1..holders (step 1.2.2), else `BadInput`."""
    if not 1 <= index <= holders:
        raise BadInput(f"holder {index}: indices run from 1 to {holders}")
    return index


def require_ascending(indices: Sequence[int], holders: int) -> None:
    """Refuse a list that is not strictly ascending within 1..holders (step 1.2.2).

    Raises:
        BadInput: an index out of range, one twice, or one before a smaller one.
    """
    for index in indices:
        require_index(index, holders)
    if any(left >= right for left, right in pairwise(indices)):
        raise BadInput(f"holders {list(indices)}: not strictly ascending")


def lagrange(index: int, indices: Iterable[int], order: int, at: int = 0) -> int:
    """λ_index(indices; at) = Π (at − j)/(index − j) mod `order` (step 1.2.5), all of it public.

    Raises:
        BadInput: an index outside 1..255, one twice, `index` not among them, or `at` among them.
    """
    others = sorted(indices)
    require_ascending(others, MAX_HOLDERS)
    if at:
        require_index(at, MAX_HOLDERS)
    if index not in others or at in others:
        raise BadInput(f"no factor of holder {index} at {at} over the set {others}")
    others.remove(index)
    numerator = denominator = 1
    for other in others:
        numerator *= at - other
        denominator *= index - other
    return numerator * pow(denominator, -1, order) % order


def sum_of_commitments(
    group: Group, dealt: Iterable[Sequence[bytes]], lowest: int = 0
) -> tuple[bytes, ...]:
    """A_k = Σ_j C_{j,k}: commitments to the sum of the polynomials, all of one degree.

    The first of them belongs to the coefficient of x^lowest.

    Raises:
        ProtocolAbort: one of them is the identity; nobody is to blame.
    """
    sums = []
    for k, column in enumerate(zip(*dealt, strict=True), lowest):
        total = group.combine(column)
        if total is None:
            raise ProtocolAbort(f"the sum of the commitments to coefficient {k} is the identity")
        sums.append(total)
    return tuple(sums)


def evaluate_public(group: Group, commitments: Sequence[bytes], index: int) -> bytes:
    """A(index) = Σ index^k·C_k: the public share of a holder (step 1.6.6).

    Raises:
        BadInput: not an index.
        ProtocolAbort: it is the identity.
    """
    point = group.evaluate(commitments, require_index(index, MAX_HOLDERS))
    if point is None:
        raise ProtocolAbort(f"the public share of holder {index} is the identity")
    return point


def share_is_committed(group: Group, share: int, commitments: Sequence[bytes], index: int) -> bool:
    """Feldman's check: whether share·B = Σ index^k·C_k (step 2.5.8); `share` is an address."""
    return group.public_point_at(share) == group.evaluate(commitments, index)


class Sharing(Protocol):
    """How a dealer shares out. An `int` called a share is the address of one, secret."""

    def committed(self, threshold: int) -> int:
        """How many scalars a dealer commits to."""

    def share_at(self, group: Group, coefficients: int, count: int, index: int, out: int) -> None:
        """The share of a holder at `out`; `count` committed scalars stand at `coefficients`."""

    def is_committed(
        self, group: Group, share: int, commitments: Sequence[bytes], index: int, scratch: int
    ) -> bool:
        """Feldman's check; the room of one scalar at `scratch` is the caller's to wipe."""


class SecretSharing:
    """f(x) = Σ_{k=0}^{t−1} a_k·x^k: of the random secret a_0 (step 2.5.1)."""

    __slots__ = ()

    def committed(self, threshold: int) -> int:
        """t: a_0..a_{t−1}."""
        return threshold

    def share_at(self, group: Group, coefficients: int, count: int, index: int, out: int) -> None:
        """f(index) (steps 1.8.8 and 2.5.3)."""
        group.horner_at(coefficients, count, index, out)

    def is_committed(
        self, group: Group, share: int, commitments: Sequence[bytes], index: int, scratch: int
    ) -> bool:
        """Step 2.5.8; it needs no scratch."""
        return share_is_committed(group, share, commitments, index)


class ZeroSharing:
    """g(x) = Σ_{k=1}^{t−1} b_k·x^k = x·h(x): of 0 (step 6.4.2).

    h has the coefficients b_1, b_2, …, so that its commitments are those on the wire. The constant
    commitment O is nowhere: there is nothing to send, to check or to forget.
    """

    __slots__ = ()

    def committed(self, threshold: int) -> int:
        """t − 1: b_1..b_{t−1}."""
        return threshold - 1

    def share_at(self, group: Group, coefficients: int, count: int, index: int, out: int) -> None:
        """g(index): Horner without the last addition (step 1.8.8)."""
        group.horner_at(coefficients, count, index, out)
        group.multiply_public_at(out, index)

    def is_committed(
        self, group: Group, share: int, commitments: Sequence[bytes], index: int, scratch: int
    ) -> bool:
        """Whether g(index)·B = Σ_{k≥1} index^k·C_k, both divided by the index (step 6.4.3).

        So the last multiple of a point becomes one of a scalar.
        """
        move_bytes(scratch, share, group.scalar_length)
        group.multiply_public_at(scratch, pow(index, -1, group.order))
        return share_is_committed(group, scratch, commitments, index)


@dataclass(frozen=True, slots=True)
class AdditiveSharing:
    """ζ = Σ δ_k: the share of a helper in a repair is its summand (step 6.7.3)."""

    receivers: tuple[int, ...]
    """H, ascending, t of them."""

    def committed(self, threshold: int) -> int:
        """t: every summand, although the last follows from ζ and the others."""
        return threshold

    def share_at(self, group: Group, coefficients: int, count: int, index: int, out: int) -> None:
        """The summand in the place of `index`."""
        summand = coefficients + self.receivers.index(index) * group.scalar_length
        move_bytes(out, summand, group.scalar_length)

    def is_committed(
        self, group: Group, share: int, commitments: Sequence[bytes], index: int, scratch: int
    ) -> bool:
        """Whether δ·B = D (step 6.7.4); it needs no scratch."""
        return group.public_point_at(share) == commitments[self.receivers.index(index)]


SECRET_SHARING: Final = SecretSharing()
ZERO_SHARING: Final = ZeroSharing()
