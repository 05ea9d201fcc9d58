"""A failure at each step of some work in turn: the disk is full, or the token is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hsm_mpc.errors import BackendError
from tests.named_steps import observed


def steps_of(work: Callable[[], object]) -> list[str]:
    """The steps of `work`, in their order."""
    seen: list[str] = []
    with observed(lambda when, name: seen.append(name) if when == "before" else None):
        work()
    return seen


@contextmanager
def failing_at(number: int) -> Iterator[None]:
    """The step of this number fails before it has any effect, and those after it too."""
    seen = 0

    def observer(when: str, name: str) -> None:
        nonlocal seen
        if when == "before":
            seen += 1
            if seen > number:
                raise BackendError(f"no {name}")

    with observed(observer):
        yield
