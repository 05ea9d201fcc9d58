"""The signer's main thread: it watches signals and the front."""

from __future__ import annotations

import os
import signal
import threading
from typing import cast

import pytest

from hsm_mpc.agent import signer
from hsm_mpc.agent.keeper import LONGEST_START, FrontKeeper
from hsm_mpc.agent.signer import supervise, watch_signals
from hsm_mpc.errors import BackendError
from tests.secure.children import fate_of


class Watched:
    """Stands in for a keeper whose front listens at the third look, or never."""

    def __init__(self, listens_after: int) -> None:
        self.looks = 0
        self.looked_after = 0
        self._listens_after = listens_after
        self._started = False

    def start(self) -> None:
        self._started = True

    def require_running(self) -> None:
        self.looks += 1

    @property
    def listens(self) -> bool:
        return self._started and self.looks >= self._listens_after

    def look_after(self) -> float:
        self.looked_after += 1
        if self.looked_after == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return 0.01


def supervised(
    watched: Watched, ticks: float = 0.0, given_up: BackendError | None = None
) -> tuple[signal.Signals, int]:
    """By which signal it ended, and how often it was ready before."""
    ready: list[int] = []
    now = [0.0]

    def tick() -> float:
        now[0] += ticks
        return now[0]

    keeper = cast(FrontKeeper, watched)
    ended_by = supervise(keeper, tick, lambda: ready.append(1), lambda: given_up)
    return ended_by, len(ready)


def in_child(watched: Watched, *kill: int) -> str:
    """What `supervised` gives in a process that watches its signals, and gets these."""

    def work() -> object:
        watch_signals()
        for number in kill:
            os.kill(os.getpid(), number)
        ended_by, ready = supervised(watched)
        return f"{ended_by.name} {ready} {watched.looked_after}"

    return fate_of(work)


def test_it_is_ready_once_the_front_listens_and_ends_by_a_signal() -> None:
    assert in_child(Watched(3)) == "SIGTERM 1 3"


@pytest.mark.parametrize("number", sorted(signer.ENDING))
def test_it_may_be_ended_before_it_is_ready(number: signal.Signals) -> None:
    assert in_child(Watched(1000), number) == f"{number.name} 0 0"


def test_the_death_of_a_child_only_makes_it_look() -> None:
    assert in_child(Watched(0), signal.SIGCHLD) == "SIGTERM 1 3"


def test_a_front_that_never_listens_is_no_front() -> None:
    with pytest.raises(BackendError, match="does not listen after"):
        supervised(Watched(1000), ticks=LONGEST_START / 2)


def test_threads_started_later_are_not_interrupted() -> None:
    def work() -> bool:
        watch_signals()
        blocked: list[set[int]] = []
        thread = threading.Thread(
            target=lambda: blocked.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        )
        thread.start()
        thread.join()
        return set(signer.ENDING) <= blocked[0]

    assert fate_of(work) == "True"


def test_a_signer_that_cannot_help_itself_ends_with_the_reason() -> None:
    reason = BackendError("the HSM stayed away")

    def work() -> object:
        watch_signals()
        with pytest.raises(BackendError) as caught:
            supervised(Watched(1), given_up=reason)
        return caught.value is reason

    assert fate_of(work) == "True"
