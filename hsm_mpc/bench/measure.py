"""Medians of CPU and wall time, of several operations side by side in one run."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

Batch = Callable[[int], None]
"""`batch(repeats)` runs one operation so many times."""

_NANOSECONDS: Final = 1000.0


def _nothing(_: int) -> None:
    """For an operation that needs nothing laid out beforehand."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An operation and how often it runs in one round."""

    batch: Batch
    repeats: int
    before: Batch = _nothing
    """Lays out what so many repeats need; not timed."""
    parties: int = 1
    """Among whom the time is shared out."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Median times of one operation, in µs."""

    cpu_us: float
    wall_us: float


def repeated(operation: Callable[[], object]) -> Batch:
    """The batch that just repeats `operation`."""

    def batch(repeats: int) -> None:
        for _ in range(repeats):
            operation()

    return batch


def side_by_side(measured: Sequence[Measured], *, rounds: int) -> tuple[Cost, ...]:
    """The cost of each operation.

    Each round runs all of them, one after another, before the next round begins, so that all see
    the same state of the machine; the median over rounds is taken. CPU time is that of the whole
    process, user and kernel, so that no thread of a library hides. The garbage collector is off.
    """
    cpu: list[list[float]] = [[] for _ in measured]
    wall: list[list[float]] = [[] for _ in measured]
    with _garbage_left():
        for operation in measured:
            operation.before(1)
            operation.batch(1)
        for _ in range(rounds):
            for at, operation in enumerate(measured):
                operation.before(operation.repeats)
                once = _timed(operation)
                cpu[at].append(once.cpu_us)
                wall[at].append(once.wall_us)
    return tuple(
        Cost(statistics.median(cpu[at]), statistics.median(wall[at])) for at in range(len(measured))
    )


def _timed(operation: Measured) -> Cost:
    """One round's mean."""
    wall_before, cpu_before = time.perf_counter_ns(), time.process_time_ns()
    operation.batch(operation.repeats)
    cpu_after, wall_after = time.process_time_ns(), time.perf_counter_ns()
    whole = operation.repeats * operation.parties * _NANOSECONDS
    return Cost((cpu_after - cpu_before) / whole, (wall_after - wall_before) / whole)


@contextmanager
def _garbage_left() -> Iterator[None]:
    """What was there before is collected first; nothing is while the body runs."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
