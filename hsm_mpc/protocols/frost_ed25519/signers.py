"""Who signs: indices with the public shares of one epoch (steps 1.6.6 and 4.4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from hsm_mpc.errors import BadInput
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.ed25519 import ED25519, ORDER
from hsm_mpc.groups.sharing import lagrange
from hsm_mpc.protocols.epoch_key import EpochPoints

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
class EpochKey(EpochPoints):
    """The key of one epoch of an Ed25519 wallet: signatures verify under A_0 = Y (step 4.7)."""

    group: ClassVar[Group] = ED25519

    def signers(self, indices: Sequence[int]) -> SignerSet:
        """The holders `indices` as signers (step 4.4.2).

        Raises:
            BadInput: as `shares_of`.
        """
        return SignerSet(tuple(indices), self.shares_of(indices), self.threshold_key)
