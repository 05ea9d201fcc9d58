"""What may go wrong with one holder beside a call: it dies, its disk is full, its HSM is away."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from hypothesis import strategies as st

from hsm_mpc import steps
from hsm_mpc.errors import BackendError, HsmMpcError
from tests.crash.deaths import MOMENTS, Death, DeathError, Moment
from tests.crash.invariants import NonceBook
from tests.crash.phoenix import Phoenix
from tests.named_steps import HSM, nothing_happens

if TYPE_CHECKING:
    from tests.agent.simulate import World

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one holder in one rule, from its `number`th step there on."""

    kind: Literal["none", "death", "full disk", "HSM away"]
    moment: Moment = "before"
    number: int = 0

    def observer(self) -> steps.Observer:
        if self.kind == "none":
            return nothing_happens
        if self.kind == "death":
            return Death.at(self.moment, self.number, questions=True).observer
        count = 0

        def failing(when: str, name: str) -> None:
            nonlocal count
            count += when == "before"
            if when == "after" or count <= self.number:
                return
            if self.kind == "HSM away" and name in HSM:
                raise BackendError(f"no {name}")
            if self.kind == "full disk" and name not in HSM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return failing


def faults_at(numbers: st.SearchStrategy[int], *, nones: int = 3) -> st.SearchStrategy[Fault]:
    """At one of these steps; `nones` times as often as each kind of fault none at all."""
    return st.sampled_from((*["none"] * nones, "death", "full disk", "HSM away")).flatmap(
        lambda kind: st.builds(
            Fault,
            st.just(kind),
            st.sampled_from(MOMENTS) if kind == "death" else st.just("before"),
            st.just(0) if kind == "none" else numbers,
        )
    )


NO_FAULT = Fault("none")
FAULTS = faults_at(st.integers(0, 12) | st.integers(0, 60))
LOST = st.sampled_from((False, False, False, True))
"""Whether an answer never arrives."""


@dataclass
class Holders:
    """Holders of a world that have faults, and what is asked of them meanwhile."""

    world: World
    indices: Iterable[int]
    calls: Counter[str]
    """Questions by the fault beside them, and what came of it."""
    require_whole: Callable[[int], None]
    """After each start: nothing durable is lost."""
    refusals: tuple[type[HsmMpcError], ...]
    """What a holder may answer in place of what was asked for."""
    book: NonceBook = field(default_factory=NonceBook)
    phoenixes: dict[int, Phoenix] = field(init=False)

    def __post_init__(self) -> None:
        self.phoenixes = {index: Phoenix(self.world, index) for index in self.indices}

    def wrong(self, index: int, fault: Fault) -> None:
        """From now on, until `right`, this holder has a fault."""
        self.calls[fault.kind] += 1
        self.phoenixes[index].watch = fault.observer()

    def right(self) -> None:
        for phoenix in self.phoenixes.values():
            phoenix.watch = nothing_happens

    def ask(self, index: int, question: Callable[[], Answer]) -> Answer | None:
        """What a holder answers, if it does; if it dies it starts again."""
        try:
            return question()
        except DeathError:
            self.calls["died"] += 1
            self.rise(index)
        except BackendError:
            self.calls["failed calls"] += 1
        except self.refusals:
            self.calls["refused calls"] += 1
        return None

    def rise(self, index: int, watch: steps.Observer = nothing_happens) -> None:
        """A new start, and another one if a fault ended it; then nothing durable is lost."""
        phoenix = self.phoenixes[index]
        self.book.died(index)
        try:
            phoenix.restart(watch)
        except (DeathError, BackendError):
            self.calls["failed starts"] += 1
            phoenix.restart()
        phoenix.watch = nothing_happens
        self.require_whole(index)
