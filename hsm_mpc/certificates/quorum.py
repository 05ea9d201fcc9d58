"""Threshold and the two quorum sizes of a succession (steps 1.2.3 and 6.1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import Reader, u16be
from hsm_mpc.errors import BadInput
from hsm_mpc.groups.sharing import MAX_HOLDERS
from hsm_mpc.ids import Scheme

_LARGEST_ROSTER: Final = {Scheme.TAPROOT: 32, Scheme.ED25519: 32, Scheme.ECDSA: 16}


@dataclass(frozen=True, slots=True)
class QuorumSizes:
    """Any `t` of `n` sign; `join` holders (J) open a succession, `adopt` (W) end an epoch.

    Any two join sets and sets of adopters share at least t holders, hence an honest one.

    Raises:
        BadInput: from the constructor, for sizes against 1.2.3 or 6.1.3.
    """

    n: int
    t: int
    join: int
    adopt: int

    def __post_init__(self) -> None:
        if not 2 <= self.t <= self.n <= MAX_HOLDERS:
            raise BadInput(
                f"{self.t}-of-{self.n}: the threshold is 2 to n, and n at most {MAX_HOLDERS}"
            )
        if not max(self.t, self.n - self.t + 1) <= self.join <= self.n:
            raise BadInput(f"join size {self.join} of {self.t}-of-{self.n} is against 6.1.3")
        if not self.t <= self.adopt <= self.n:
            raise BadInput(f"adoption size {self.adopt} of {self.t}-of-{self.n} is against 6.1.3")
        if self.join + self.adopt < self.n + self.t:
            raise BadInput(
                f"join size {self.join} and adoption size {self.adopt} of {self.t}-of-{self.n} "
                "add up to less than n + t"
            )

    @classmethod
    def default(cls, n: int, t: int) -> QuorumSizes:
        """`J = max(t, n − t + 1)`, `W = n + t − J`."""
        join = max(t, n - t + 1)
        return cls(n, t, join, n + t - join)

    def check_policy(self, scheme: Scheme) -> None:
        """Refuse a roster larger than a new wallet of this scheme may have (step 1.2.3).

        Raises:
            BadInput: n above 32, or above 16 for ECDSA.
        """
        if self.n > _LARGEST_ROSTER[scheme]:
            raise BadInput(f"{self.n} holders: at most {_LARGEST_ROSTER[scheme]} for this scheme")

    def to_bytes(self) -> bytes:
        """`u16be(n) ‖ u16be(t) ‖ u16be(J) ‖ u16be(W)`."""
        return u16be(self.n) + self.without_n()

    def without_n(self) -> bytes:
        """`u16be(t) ‖ u16be(J) ‖ u16be(W)`, where the roster beside it gives n."""
        return u16be(self.t) + u16be(self.join) + u16be(self.adopt)

    @classmethod
    def read(cls, reader: Reader) -> QuorumSizes:
        """Inverse of `to_bytes`."""
        return cls(reader.u16be(), reader.u16be(), reader.u16be(), reader.u16be())
