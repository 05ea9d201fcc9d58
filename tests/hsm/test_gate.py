from __future__ import annotations

import threading
import time

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm.gate import Gate


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
