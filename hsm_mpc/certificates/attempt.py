"""α: which try of a succession a message belongs to (section 6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hsm_mpc.encoding import Reader, u16be, u64be


@dataclass(frozen=True, slots=True, order=True)
class Attempt:
    """10 bytes, compared as 80-bit integers; epoch 0 has none: `Attempt.NONE` is all zeros."""

    counter: int
    initiator: int

    NONE: ClassVar[Attempt]

    def to_bytes(self) -> bytes:
        """`u64be(counter) ‖ u16be(initiator)`."""
        return u64be(self.counter) + u16be(self.initiator)

    @classmethod
    def read(cls, reader: Reader) -> Attempt:
        """Inverse of `to_bytes`."""
        return cls(reader.u64be(), reader.u16be())


Attempt.NONE = Attempt(0, 0)
