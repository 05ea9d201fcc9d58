"""The worker threads: calls come in frames from one front after another."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hsm_mpc.agent.workers import LISTENING, Link, Workers
from hsm_mpc.encoding import u32be, u64be
from hsm_mpc.errors import BackendError
from hsm_mpc.secure.process import require_shielded
from hsm_mpc.wire.calls import MOST_BYTES
from hsm_mpc.wire.frames import FrameCaller, FrameSocket
from tests.agent.processes import until

SOON = 5.0


@dataclass
class Front:
    """The other end of a link."""

    link: Link
    connection: socket.socket
    caller: FrameCaller

    @classmethod
    def of(cls, workers: Workers) -> Front:
        ours, theirs = socket.socketpair()
        link = Link(ours)
        workers.serve(link)
        return cls(link, theirs, FrameCaller(theirs))

    def close(self) -> None:
        self.link.cut()
        self.caller.ended.wait(SOON)
        self.connection.close()


def shout(call: bytes) -> bytes:
    return call.upper()


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(shout, 2)
    yield made
    assert made.end(SOON)


@pytest.fixture
def front(workers: Workers) -> Iterator[Front]:
    made = Front.of(workers)
    yield made
    made.close()


def test_a_call_is_answered(front: Front) -> None:
    assert front.caller.call(b"call", SOON) == b"CALL"


def test_that_a_front_listens_is_no_call(front: Front) -> None:
    assert not front.link.listening.is_set()
    assert front.caller.call(LISTENING, SOON) == b""
    assert front.link.listening.is_set()


def test_two_calls_are_worked_on_at_once() -> None:
    both = threading.Barrier(2)

    def answer(call: bytes) -> bytes:
        both.wait(SOON)
        return call

    workers = Workers(answer, 2)
    front = Front.of(workers)
    threads = [threading.Thread(target=front.caller.call, args=(b"x", SOON)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert not both.broken
    front.close()
    assert workers.end(SOON)


def test_work_is_done_where_no_signal_comes() -> None:
    def answer(_: bytes) -> bytes:
        require_shielded()
        return b"%d" % len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    workers = Workers(answer, 1)
    front = Front.of(workers)
    assert int(front.caller.call(b"x", SOON)) > 50
    front.close()
    assert workers.end(SOON)


def test_a_lost_link_is_closed_and_the_next_front_is_served(workers: Workers) -> None:
    first = Front.of(workers)
    first.connection.shutdown(socket.SHUT_RDWR)
    assert first.link.lost.wait(SOON)
    second = Front.of(workers)
    assert second.caller.call(b"next", SOON) == b"NEXT"
    until(lambda: first.link._connection.fileno() == -1, "the descriptor's end")
    first.close()
    second.close()


@pytest.mark.parametrize("garbage", [u32be(MOST_BYTES + 1) + u64be(1) + b"x", b"\xff" * 12])
def test_a_front_that_sends_no_frame_is_lost(front: Front, garbage: bytes) -> None:
    front.connection.sendall(garbage)
    assert front.link.lost.wait(SOON)
    with pytest.raises(BackendError):
        front.caller.call(b"call", SOON)


def test_a_call_under_way_is_waited_for_and_no_longer() -> None:
    may_end = threading.Event()

    def answer(call: bytes) -> bytes:
        may_end.wait(2 * SOON)
        return call

    workers = Workers(answer, 1)
    slow = Front.of(workers)
    FrameSocket(slow.connection).send(1, b"call")
    until(lambda: slow.link._users == 1, "the call")
    assert not workers.end(0.05)
    may_end.set()
    assert workers.end(SOON)
    slow.close()


def test_cutting_twice_changes_nothing(front: Front) -> None:
    front.link.cut()
    front.link.cut()
    assert front.link.lost.is_set()


def test_a_link_that_nobody_serves_is_closed_at_once() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        Link(ours).cut()
    assert ours.fileno() == -1
