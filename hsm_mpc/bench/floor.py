"""A floor: what the numbered steps of a protocol cost if nothing but their C operations ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from hsm_mpc.bench.measure import Cost, Measured, side_by_side
from hsm_mpc.bench.operation import Operation

_NONE: Final[Mapping[str, Measured]] = MappingProxyType({})
_SHORTEST_US: Final = 100.0
"""CPU time that an operation takes up in one round, so that the clock's own cost is lost in it."""


@dataclass(frozen=True, slots=True)
class Count:
    """How often a numbered step needs an operation; on average, so it may be a fraction."""

    step: str
    operation: Operation
    times: float


Needs = Sequence[tuple[Operation, float]]
"""Operations with how often each is needed."""


def counts(step: str, needs: Needs, often: float = 1) -> tuple[Count, ...]:
    """What a step needs that takes all of `needs` so often."""
    return tuple(Count(step, operation, often * each) for operation, each in needs)


def times(parties: int, counted: Iterable[Count]) -> tuple[Count, ...]:
    """The same, so many times."""
    return tuple(replace(count, times=parties * count.times) for count in counted)


@dataclass(frozen=True, slots=True)
class FloorLine:
    """One line of a floor that was added up."""

    step: str
    operation: str
    function: str
    count: float
    each_us: float
    us: float
    """count times each_us."""


@dataclass(frozen=True, slots=True)
class AboveFloor:
    """What was measured, the floor of the same run, and what else ran beside both."""

    whole: Cost
    lines: tuple[FloorLine, ...]
    others: Mapping[str, Cost]

    @property
    def floor_us(self) -> float:
        """The sum of all lines."""
        return sum(line.us for line in self.lines)

    @property
    def ratio(self) -> float:
        """CPU time measured, by the floor."""
        return self.whole.cpu_us / self.floor_us


def above_floor(
    whole: Measured, table: Sequence[Count], *, rounds: int, others: Mapping[str, Measured] = _NONE
) -> AboveFloor:
    """Measure `whole` side by side with every operation of `table`, and with `others`."""
    operations = list(dict.fromkeys(count.operation for count in table))
    alone = [_repeated_enough(operation) for operation in operations]
    first, *rest = side_by_side([whole, *alone, *others.values()], rounds=rounds)
    each = dict(zip(operations, rest[: len(alone)], strict=True))
    beside = dict(zip(others, rest[len(alone) :], strict=True))
    return AboveFloor(first, tuple(_line(count, each) for count in table), beside)


def _line(count: Count, each: Mapping[Operation, Cost]) -> FloorLine:
    one = each[count.operation].cpu_us
    operation, times = count.operation, count.times
    return FloorLine(count.step, operation.name, operation.function, times, one, times * one)


def _repeated_enough(operation: Operation) -> Measured:
    batch = operation.prepared()
    repeats = 10
    (once,) = side_by_side([Measured(batch, repeats)], rounds=3)
    return Measured(batch, max(repeats, round(_SHORTEST_US / once.cpu_us)))
