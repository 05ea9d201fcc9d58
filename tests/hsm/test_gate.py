from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm.gate import Gate
from tests.agent.processes import until


@pytest.fixture
def gate() -> Gate:
    return Gate()


def in_another_thread(work: object) -> None:
    assert callable(work)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_many_are_inside_at_once(gate: Gate) -> None:
    with gate.inside(), gate.inside():
        in_another_thread(gate.enter)


def test_while_one_is_alone_nobody_gets_in(gate: Gate) -> None:
    refused: list[BackendError] = []

    def come() -> None:
        with pytest.raises(BackendError, match="being initialised again") as caught:
            gate.enter()
        refused.append(caught.value)

    with gate.alone():
        in_another_thread(come)
    assert [error.retryable for error in refused] == [True]
    with gate.inside():
        pass


def test_who_wants_to_be_alone_waits_for_those_inside(gate: Gate) -> None:
    order: list[str] = []
    entered = threading.Event()

    def stay() -> None:
        with gate.inside():
            entered.set()
            time.sleep(0.05)
            order.append("left")

    thread = threading.Thread(target=stay)
    thread.start()
    entered.wait(5)
    with gate.alone():
        order.append("alone")
    thread.join(5)
    assert order == ["left", "alone"]


def test_a_call_that_does_not_come_back_is_not_waited_for_for_ever(gate: Gate) -> None:
    in_another_thread(gate.enter)
    with pytest.raises(BackendError, match="takes over"), gate.alone(patience=0.01):
        pytest.fail("somebody is inside")
    with gate.inside():
        pass  # and nobody else is kept out


def test_nobody_waits_for_himself(gate: Gate) -> None:
    started = time.monotonic()
    with gate.inside(), pytest.raises(BackendError, match="in use"), gate.alone():
        pytest.fail("this thread is inside")
    with gate.alone(), pytest.raises(BackendError), gate.alone():
        pytest.fail("somebody is alone")
    assert time.monotonic() - started < 1


# One that changes objects


class Other:
    """Another thread, and what it and this one did, in order."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.order: list[str] = []
        self._thread = threading.Thread(target=self._run, args=(work,))
        self._thread.start()

    def _run(self, work: Callable[[], object]) -> None:
        work()
        self.order.append("other")

    def join(self) -> None:
        self._thread.join(5)
        assert not self._thread.is_alive()


def waits(gate: Gate, count: int = 1) -> None:
    """Until so many threads wait in turn."""
    until(lambda: len(gate._queue) == count, "threads that wait")


def comes_and_goes(gate: Gate) -> None:
    with gate.inside():
        pass


def changes(gate: Gate) -> None:
    with gate.changing():
        pass


@pytest.mark.parametrize("comes", [Gate.enter, changes])
def test_while_one_changes_objects_others_wait(gate: Gate, comes: Callable[[Gate], object]) -> None:
    with gate.changing():
        other = Other(lambda: comes(gate))
        waits(gate)
        with gate.inside(), gate.changing():
            other.order.append("changed")
    other.join()
    assert other.order == ["changed", "other"]


def test_who_changes_objects_waits_for_those_inside(gate: Gate) -> None:
    with gate.inside():
        other = Other(lambda: changes(gate))
        until(lambda: gate._only is not None, "one that changes")
        with gate.inside():  # who is inside already is not made to wait for itself
            other.order.append("inside")
    other.join()
    assert other.order == ["inside", "other"]
    with gate.inside():
        pass


def test_whoever_waits_longest_comes_next(gate: Gate) -> None:
    """Though the one that changed something has something to change again at once."""
    with gate.changing():
        other = Other(lambda: comes_and_goes(gate))
        waits(gate)
    with gate.changing():
        other.order.append("changed again")
    other.join()
    assert other.order == ["other", "changed again"]


def test_a_change_that_others_do_not_make_room_for_is_given_up(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsm_mpc.hsm.gate.CHANGE_SECONDS", 0.05)

    def refused() -> None:
        with pytest.raises(BackendError, match="takes over") as caught:
            changes(gate)
        assert caught.value.retryable

    with gate.inside():
        Other(refused).join()
        Other(gate.enter).join()  # nobody waits for one that gave up
    gate._inside.clear()
    with gate.changing():
        Other(refused).join()
    changes(gate)


def test_whoever_waited_for_a_change_that_is_given_up_comes_in_at_once(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsm_mpc.hsm.gate.CHANGE_SECONDS", 1.0)

    def refused() -> None:
        with pytest.raises(BackendError, match="takes over"):
            changes(gate)

    with gate.inside():
        changing = Other(refused)
        until(lambda: gate._only is not None, "one that changes")
        monkeypatch.undo()
        other = Other(lambda: comes_and_goes(gate))
        waits(gate)
        for each in (changing, other):
            each.join()


def test_who_waits_to_change_objects_is_turned_away_by_one_that_is_alone(gate: Gate) -> None:
    def refused() -> None:
        with pytest.raises(BackendError, match="being initialised again"):
            changes(gate)

    with gate.alone():
        Other(refused).join()
    changes(gate)
