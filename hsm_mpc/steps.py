"""Named steps: every write that must survive a crash, and every call of the HSM.

    with step("record.rename"):
        os.rename(...)

Outside of tests a step costs two comparisons. A test installs an observer that is called before
and after each step and may kill the process there: so every step of the product is killed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Observer = Callable[[Literal["before", "after"], str], None]


class _Watch:
    observer: Observer | None = None


def observe(observer: Observer | None) -> None:
    """Call `observer` around every step from now on; None ends it."""
    _Watch.observer = observer


def step(name: str) -> Step:
    """The body is one step, called `name` (`object.verb`, unique in the package)."""
    return Step(name)


class Step:
    """What `step` gives. A body that raises was not done."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        if _Watch.observer is not None:
            _Watch.observer("before", self._name)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and _Watch.observer is not None:
            _Watch.observer("after", self._name)
