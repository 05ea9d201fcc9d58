"""Who signs: indices with their public shares, consistent with the threshold key (step 3.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from hsm_mpc.encoding import u32be
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1
from hsm_mpc.groups.sharing import lagrange, require_index
from hsm_mpc.protocols.epoch_key import EpochPoints


def bip445_id(index: int) -> int:
    """The name of holder `index` on the interface of BIP 445 (step 1.2.4): the only conversion."""
    return index - 1


# The same few sets sign again and again.


@lru_cache(maxsize=4096)
def _factor(index: int, indices: tuple[int, ...]) -> int:
    return lagrange(index, indices, ORDER)


@lru_cache(maxsize=4096)
def _encoded_ids(indices: tuple[int, ...]) -> bytes:
    return b"".join(u32be(bip445_id(index)) for index in sorted(indices))


@dataclass(frozen=True, slots=True)
class SignerSet:
    """The signers of one session: parallel tuples in the caller's order, points parsed.

    Made by `validated` from anybody's lists, or by `EpochKey.signers` from an epoch's own numbers.
    """

    indices: tuple[int, ...]
    public_shares: tuple[bytes, ...]
    threshold_key: bytes

    @classmethod
    def validated(
        cls,
        t: int,
        n: int,
        indices: Sequence[int],
        public_shares: Sequence[bytes],
        threshold_key: bytes,
    ) -> SignerSet:
        """The set, if its lists are sound and interpolate to the threshold key (step 3.1.1).

        Raises:
            BadInput: what 3.1.1 refuses, in the order of 3.1.10.
        """
        if not 1 <= t <= n:
            raise BadInput(f"a threshold of {t} with {n} holders")
        if not t <= len(indices) <= n:
            raise BadInput(f"{len(indices)} signers where {t} to {n} are wanted")
        if len(public_shares) != len(indices):
            raise BadInput(f"{len(public_shares)} public shares for {len(indices)} signers")
        points = []
        for index, share in zip(indices, public_shares, strict=True):
            require_index(index, n)
            points.append(_parsed(share, f"the public share of holder {index}"))
        if len(set(indices)) != len(indices):
            raise BadInput(f"signers {list(indices)}: one of them twice")
        signers = cls(tuple(indices), tuple(points), _parsed(threshold_key, "the threshold key"))
        total = SECP256K1.linear_combination(
            (signers.factor(index), point) for index, point in zip(indices, points, strict=True)
        )
        if total != signers.threshold_key:
            raise BadInput("the public shares of the signers do not make up the threshold key")
        return signers

    @property
    def encoded_ids(self) -> bytes:
        """Σ u32be(id), ascending (step 3.1.5)."""
        return _encoded_ids(self.indices)

    def factor(self, index: int) -> int:
        """λ_index over this set at 0 (step 1.2.5)."""
        return _factor(index, self.indices)

    def public_share(self, index: int) -> bytes:
        """The public share that stands at the position of `index`.

        Raises:
            BadInput: `index` is not among the signers.
        """
        if index not in self.indices:
            raise BadInput(f"holder {index} is not among the signers {list(self.indices)}")
        return self.public_shares[self.indices.index(index)]


@dataclass(frozen=True, slots=True)
class EpochKey(EpochPoints):
    """The key of one epoch of a taproot wallet."""

    group: ClassVar[Group] = SECP256K1

    def signers(self, indices: Sequence[int]) -> SignerSet:
        """The holders `indices` as signers (step 3.4.8).

        The sum of step 3.1.1 is not computed again: values of one polynomial interpolate to its
        constant term.

        Raises:
            BadInput: as `shares_of`.
        """
        return SignerSet(tuple(indices), self.shares_of(indices), self.threshold_key)


def _parsed(encoded: bytes, what: str) -> bytes:
    try:
        return SECP256K1.parse_point(encoded)
    except BadEncoding as error:
        raise BadInput(f"{what}: {error}") from error
