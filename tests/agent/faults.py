"""A failure at each change of some work in turn: the disk is full, or the token is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hsm_mpc.errors import BackendError
from tests.named_steps import HSM_QUESTIONS, observed


def steps_of(work: Callable[[], object]) -> list[str]:
    """The steps of `work` that change disk or token, in their order."""
    seen: list[str] = []

    def note(when: str, name: str) -> None:
        if when == "before" and name not in HSM_QUESTIONS:
            seen.append(name)

    with observed(note):
        work()
    return seen


@contextmanager
def failing_at(number: int) -> Iterator[None]:
    """The change of this number fails before it has any effect, and every step after it too."""
    seen = 0

    def observer(when: str, name: str) -> None:
        nonlocal seen
        if when == "before":
            seen += name not in HSM_QUESTIONS
            if seen > number:
                raise BackendError(f"no {name}")

    with observed(observer):
        yield


@contextmanager
def failing_from(first: str) -> Iterator[None]:
    """The first step of this name fails before it has any effect, and every step after it too."""
    failed = False

    def observer(when: str, name: str) -> None:
        nonlocal failed
        failed = failed or name == first
        if when == "before" and failed:
            raise BackendError(f"no {name}")

    with observed(observer):
        yield
