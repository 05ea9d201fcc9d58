"""Named durable steps: writes that must survive a crash, and HSM calls that change a token.

    with step("record.rename"):
        os.rename(...)

Outside of tests a step costs two comparisons. A test installs an observer that is called before
and after each step and may kill the process there: so every step of the product is killed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Observer = Callable[[Literal["before", "after"], str], None]


class _Watch:
    observer: Observer | None = None


def observe(observer: Observer | None) -> None:
    """Call `observer` around every step from now on; None ends it."""
    _Watch.observer = observer


@contextmanager
def step(name: str) -> Iterator[None]:
    """The body is one durable step, called `name` (`object.verb`, unique in the package)."""
    if _Watch.observer is not None:
        _Watch.observer("before", name)
    yield
    if _Watch.observer is not None:
        _Watch.observer("after", name)
