"""The key of one epoch as its certified commitments give it, whatever the curve (step 1.6.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.sharing import evaluate_public, require_ascending, require_index


@dataclass(frozen=True, slots=True)
class EpochPoints:
    """Every point parsed once. A scheme's `EpochKey` adds its set of signers.

    `public_shares[i − 1]` is A(i); `threshold_key` is A_0. Nothing of it ever comes from the wire.
    """

    group: ClassVar[Group]

    epoch_hash: bytes
    t: int
    threshold_key: bytes
    public_shares: tuple[bytes, ...]

    @classmethod
    def of(cls, epoch_hash: bytes, n: int, commitments: Sequence[bytes]) -> Self:
        """From h_e, the number of holders and A_0 … A_{t−1} of the epoch body.

        Raises:
            BadInput: a commitment is no point.
            ProtocolAbort: a public share is the identity, which no certified epoch allows.
        """
        try:
            points = [cls.group.parse_point(commitment) for commitment in commitments]
        except BadEncoding as error:
            raise BadInput(f"a commitment: {error}") from error
        shares = (evaluate_public(cls.group, points, index) for index in range(1, n + 1))
        return cls(epoch_hash, len(points), points[0], tuple(shares))

    @property
    def n(self) -> int:
        """How many holders there are."""
        return len(self.public_shares)

    def public_share(self, index: int) -> bytes:
        """A(index)."""
        return self.public_shares[require_index(index, self.n) - 1]

    def shares_of(self, indices: Sequence[int]) -> tuple[bytes, ...]:
        """The public shares of signers (steps 3.4.8 and 4.4.2).

        Raises:
            BadInput: not strictly ascending in 1..n, or not t to n of them.
        """
        require_ascending(indices, self.n)
        if len(indices) < self.t:
            raise BadInput(f"{len(indices)} signers where {self.t} to {self.n} are wanted")
        return tuple(self.public_shares[index - 1] for index in indices)
