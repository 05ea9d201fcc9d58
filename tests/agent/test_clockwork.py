"""What is done by the clock goes on whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hsm_mpc.agent.clockwork import RETRY, Clockwork, Duty
from hsm_mpc.errors import BackendError
from hsm_mpc.secure.process import require_shielded
from tests.agent.processes import until

SOON = 5.0


class Time:
    """A clock that the test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.log: list[str] = []
        self.reported: list[Exception] = []
        self._running: list[Clockwork] = []

    def runs(self, *duties: Duty) -> Clockwork:
        clockwork = Clockwork(
            duties, lambda: self.now, self.log.append, self.reported.append, tick=0.001
        )
        self._running.append(clockwork)
        return clockwork

    def end(self) -> None:
        assert all(clockwork.end(SOON) for clockwork in self._running)


@pytest.fixture
def time() -> Iterator[Time]:
    made = Time()
    yield made
    made.end()


class Done:
    """Counts how often something was done; it may fail."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.times = 0
        self.failure = failure

    def __call__(self) -> None:
        require_shielded()
        self.times += 1
        if self.failure is not None:
            raise self.failure


def test_a_duty_comes_again_after_its_time(time: Time) -> None:
    often, rarely = Done(), Done()
    time.runs(Duty("often", 1.0, often), Duty("rarely", 3600.0, rarely))
    for times in (1, 2, 3):
        time.now += 1.0
        until(lambda times=times: often.times == times, "the duty")  # type: ignore[misc]
    assert rarely.times == 0
    time.now += 3600.0
    until(lambda: rarely.times == 1, "the rare duty")


def test_nothing_is_done_before_the_first_period_is_over(time: Time) -> None:
    done, other = Done(), Done()
    time.runs(Duty("done", 60.0, done), Duty("other", 0.0, other))
    until(lambda: other.times > 3, "some ticks")
    assert done.times == 0


def test_a_rare_duty_that_failed_is_logged_and_soon_tried_again(time: Time) -> None:
    checkpoint, other = Done(BackendError("disk full")), Done()
    time.runs(Duty("checkpoint", 3600.0, checkpoint), Duty("other", 1.0, other))
    time.now += 3600.0
    until(lambda: checkpoint.times == 1, "the duty")
    until(lambda: other.times == 1, "the other duty")
    assert time.log == ["checkpoint: disk full"]
    checkpoint.failure = None
    time.now += RETRY
    until(lambda: checkpoint.times == 2, "the next try")
    time.now += RETRY
    until(lambda: other.times == 3, "the other duty")
    assert checkpoint.times == 2


def test_an_unforeseen_error_is_reported_and_nothing_stops(time: Time) -> None:
    done = Done(KeyError("x"))
    time.runs(Duty("done", 1.0, done))
    for times in (1, 2):
        time.now += 1.0
        until(lambda times=times: done.times == times, "the duty")  # type: ignore[misc]
    assert [type(each) for each in time.reported] == [KeyError, KeyError]


def test_a_duty_under_way_is_waited_for_and_no_longer(time: Time) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(SOON)

    clockwork = time.runs(Duty("slow", 0.0, work))
    assert begun.wait(SOON)
    assert not clockwork.end(0.05)
    may_end.set()
