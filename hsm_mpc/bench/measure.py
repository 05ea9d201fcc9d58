"""Medians of CPU and wall time, of several operations side by side in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

Batch = Callable[[int], None]
"""`batch(repeats)` runs one operation so many times."""

_NANOSECONDS: Final = 1000.0


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


def side_by_side(batches: Sequence[Batch], *, rounds: int, repeats: int) -> tuple[Cost, ...]:
    """The cost of each operation.

    Each round runs every operation `repeats` times before the next round begins, so that all of
    them see the same state of the machine; the median over rounds is taken. CPU time is that of
    this thread.
    """
    cpu: list[list[float]] = [[] for _ in batches]
    wall: list[list[float]] = [[] for _ in batches]
    for batch in batches:
        batch(1)
    for _ in range(rounds):
        for at, batch in enumerate(batches):
            wall_before, cpu_before = time.perf_counter_ns(), time.thread_time_ns()
            batch(repeats)
            cpu_after, wall_after = time.thread_time_ns(), time.perf_counter_ns()
            cpu[at].append((cpu_after - cpu_before) / repeats / _NANOSECONDS)
            wall[at].append((wall_after - wall_before) / repeats / _NANOSECONDS)
    return tuple(
        Cost(round(statistics.median(cpu[at]), 1), round(statistics.median(wall[at]), 1))
        for at in range(len(batches))
    )
