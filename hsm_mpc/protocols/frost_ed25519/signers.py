"""Who signs: indices with the public shares of one epoch (steps 1.6.6 and 4.4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.ed25519 import ED25519, ORDER
from hsm_mpc.groups.sharing import evaluate_public, lagrange, require_ascending, require_index

# The same few sets sign again and again.


@lru_cache(maxsize=512)
def identifier(index: int) -> bytes:
    """The name of holder `index` in RFC 9591, a scalar (step 1.2.4): the only conversion."""
    return ED25519.scalar_bytes(index)


@lru_cache(maxsize=4096)
def _factor(index: int, indices: tuple[int, ...]) -> int:
    return lagrange(index, indices, ORDER)


@dataclass(frozen=True, slots=True)
class SignerSet:
    """The signers of one session: parallel tuples, ascending, points parsed."""

    indices: tuple[int, ...]
    public_shares: tuple[bytes, ...]
    threshold_key: bytes

    def factor(self, index: int) -> int:
        """λ_index over this set at 0 (step 1.2.5)."""
        return _factor(index, self.indices)

    def position(self, index: int) -> int:
        """Where `index` stands, from 0.

        Raises:
            BadInput: it is not among the signers.
        """
        if index not in self.indices:
            raise BadInput(f"holder {index} is not among the signers {list(self.indices)}")
        return self.indices.index(index)


@dataclass(frozen=True, slots=True)
class EpochKey:
    """The key of one epoch, computed from its certified commitments, every point parsed once.

    `public_shares[i − 1]` is A(i); `threshold_key` is A_0 = Y, which signatures verify under (step
    4.7). Nothing of it ever comes from the wire.
    """

    epoch_hash: bytes
    t: int
    threshold_key: bytes
    public_shares: tuple[bytes, ...]

    @classmethod
    def of(cls, epoch_hash: bytes, n: int, commitments: Sequence[bytes]) -> EpochKey:
        """From h_e, the number of holders and A_0 … A_{t−1} of the epoch body (step 1.6.6).

        Raises:
            BadInput: a commitment is no point.
            ProtocolAbort: a public share is the identity, which no certified epoch allows.
        """
        try:
            points = [ED25519.parse_point(commitment) for commitment in commitments]
        except BadEncoding as error:
            raise BadInput(f"a commitment: {error}") from error
        shares = (evaluate_public(ED25519, points, index) for index in range(1, n + 1))
        return cls(epoch_hash, len(points), points[0], tuple(shares))

    @property
    def n(self) -> int:
        """How many holders there are."""
        return len(self.public_shares)

    def public_share(self, index: int) -> bytes:
        """A(index)."""
        return self.public_shares[require_index(index, self.n) - 1]

    def signers(self, indices: Sequence[int]) -> SignerSet:
        """The holders `indices` as signers (step 4.4.2).

        Raises:
            BadInput: not strictly ascending in 1..n, or not t to n of them.
        """
        require_ascending(indices, self.n)
        if len(indices) < self.t:
            raise BadInput(f"{len(indices)} signers where {self.t} to {self.n} are wanted")
        shares = tuple(self.public_shares[index - 1] for index in indices)
        return SignerSet(tuple(indices), shares, self.threshold_key)
