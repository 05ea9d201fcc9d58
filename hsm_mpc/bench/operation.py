"""One C operation that floors are added up from, called with everything prepared.

What is timed is the library's function through its foreign function interface, in ordinary memory,
with random numbers that are nobody's secret: no check of an answer, no object of ours. The product
cannot do with less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hsm_mpc.bench.measure import Batch


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; two of one name are the same."""

    name: str
    function: str
    """What does it, as its library calls it."""
    prepared: Callable[[], Batch] = field(compare=False, repr=False)


Call = tuple[Callable[..., object], *tuple[Any, ...]]
"""A function with its arguments."""


def calls(*wanted: Call) -> Batch:
    """The batch of these calls, one after another."""
    split = [(call[0], call[1:]) for call in wanted]
    if len(split) == 1:
        return _one_call(*split[0])

    def batch(repeats: int) -> None:
        for _ in range(repeats):
            for function, arguments in split:
                function(*arguments)

    return batch


def _one_call(function: Callable[..., object], arguments: tuple[Any, ...]) -> Batch:
    def batch(repeats: int) -> None:
        for _ in range(repeats):
            function(*arguments)

    return batch
