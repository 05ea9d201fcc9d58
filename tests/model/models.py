"""What one exploration is of: a quorum, so many attempts, so much that may befall it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Quorum:
    """t of n holders; `join` is J, `adopt` is W (6.1.3)."""

    threshold: int
    holders: int
    join: int
    adopt: int

    def __str__(self) -> str:
        return f"{self.threshold}-of-{self.holders}, {self.join}, {self.adopt}"


TWO_OF_THREE: Final = Quorum(2, 3, 2, 3)
THREE_OF_THREE: Final = Quorum(3, 3, 3, 3)
TWO_OF_FOUR: Final = Quorum(2, 4, 3, 3)
THREE_OF_FOUR: Final = Quorum(3, 4, 3, 4)
TWO_OF_FIVE: Final = Quorum(2, 5, 4, 3)
THREE_OF_FIVE: Final = Quorum(3, 5, 3, 5)
FOUR_OF_FIVE: Final = Quorum(4, 5, 4, 5)


@dataclass(frozen=True)
class NewHolders:
    """To whom a resharing deals: t' of n', of whom so many honest ones have a share of e."""

    threshold: int
    holders: int
    staying: int
    traitors: int = 0

    def __str__(self) -> str:
        liars = f", Y {self.traitors}" if self.traitors else ""
        return f"{self.threshold}-of-{self.holders}, {self.staying} stay{liars}"


@dataclass(frozen=True)
class Model:
    """`attempts` of each succession; at most so much that may befall; words that main.c knows."""

    quorum: Quorum
    attempts: tuple[int, ...]
    traitors: int = 0
    losses: int = 0
    restores: int = 0
    repairs: int = 0
    words: str = ""
    anew: NewHolders | None = None

    def arguments(self) -> Iterator[str]:
        """For the program of main.c."""
        quorum = self.quorum
        yield from (f"n={quorum.holders}", f"t={quorum.threshold}")
        yield from (f"j={quorum.join}", f"w={quorum.adopt}")
        yield from (f"{name}={count}" for name, count in zip("abc", self.attempts, strict=False))
        yield from (f"x={self.traitors}", f"l={self.losses}")
        yield from (f"d={self.restores}", f"r={self.repairs}")
        if self.anew is not None:
            yield from (f"new={self.anew.holders}", f"of-new={self.anew.threshold}")
            yield from (f"stay={self.anew.staying}", f"y={self.anew.traitors}")
        yield from self.words.split()

    @property
    def holders(self) -> str:
        """Old ones, and new ones if there are any."""
        return str(self.quorum) if self.anew is None else f"{self.quorum} → {self.anew}"

    def __str__(self) -> str:
        attempts = "+".join(str(count) for count in self.attempts)
        befalls = {"X": self.traitors, "L": self.losses, "D": self.restores, "R": self.repairs}
        counts = [f"A {attempts}", *(f"{name} {n}" for name, n in befalls.items() if n)]
        return f"{self.holders}; {', '.join(counts)}{'; ' if self.words else ''}{self.words}"


AS_BUILT: Final = "deliveries announced waits"
"""The product, whose holders refuse old delivery keys besides; nobody names one here."""

MENDED: Final = "deliveries announced current stale"
"""Coordinators that do not wait and name old delivery keys, and holders that refuse those."""


@dataclass(frozen=True)
class Row:
    """Nothing is broken in it; it has `states`, of which `owed` owe progress (word `progress`)."""

    model: Model
    states: int
    owed: int = 0
    long: bool = False
    """Not in the gate."""


@dataclass(frozen=True)
class CounterExample:
    """Without one rule of 6.5 `broken` falls: after so many states, by so many steps."""

    name: str
    """The weaker rule, as state.h names it, or what else is weaker."""
    model: Model
    broken: str
    states: int
    steps: int
    mended: Row
    """The same with the rule."""
    what: str = ""
    """What is weaker, where state.h has no word for it."""
    long: bool = False
