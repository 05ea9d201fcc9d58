"""Frames between two processes of one holder: whole, in any order, and never too large."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hsm_mpc.encoding import u32be, u64be
from hsm_mpc.errors import BackendError
from hsm_mpc.wire.calls import MOST_BYTES
from hsm_mpc.wire.frames import FrameCaller, FrameSocket

SOON = 5.0
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_frame_is_its_length_its_number_and_its_body(pair: Pair) -> None:
    FrameSocket(pair[0]).send(7, b"body")
    assert pair[1].recv(100) == u32be(4) + u64be(7) + b"body"


@pytest.mark.parametrize("body", [b"", b"x", bytes(MOST_BYTES)])
def test_a_body_of_any_size_up_to_the_cap_arrives(pair: Pair, body: bytes) -> None:
    with ThreadPoolExecutor(1) as sender:
        sender.submit(FrameSocket(pair[0]).send, 2**64 - 1, body)
        assert FrameSocket(pair[1]).receive() == (2**64 - 1, body)


def test_a_longer_one_is_refused_by_its_length_alone(pair: Pair) -> None:
    pair[0].sendall(u32be(MOST_BYTES + 1) + u64be(1))
    with pytest.raises(BackendError, match="at most"):
        FrameSocket(pair[1]).receive()


@pytest.mark.parametrize("sent", [b"", u32be(4), u32be(4) + u64be(1) + b"bod"])
def test_a_frame_that_breaks_off_is_an_end(pair: Pair, sent: bytes) -> None:
    pair[0].sendall(sent)
    pair[0].shutdown(socket.SHUT_WR)
    with pytest.raises(BackendError, match="gone"):
        FrameSocket(pair[1]).receive()


def test_an_error_of_the_socket_is_an_end_too(pair: Pair) -> None:
    pair[1].close()
    frames = FrameSocket(pair[0])
    for _ in range(2):  # the first may still go into the buffer
        try:
            frames.send(1, b"x")
        except BackendError as gone:
            assert "gone" in str(gone)
    pair[0].close()
    with pytest.raises(BackendError, match="gone"):
        frames.receive()
    with pytest.raises(BackendError, match="gone"):
        frames.send(1, b"x")


def test_frames_of_many_threads_do_not_mix(pair: Pair) -> None:
    sender, receiver = FrameSocket(pair[0]), FrameSocket(pair[1])
    bodies = {number: bytes([number]) * 100_000 for number in range(16)}
    with ThreadPoolExecutor(2 * len(bodies)) as threads:
        asked = [threads.submit(receiver.receive) for _ in bodies]
        for number, body in bodies.items():
            threads.submit(sender.send, number, body)
        received = dict(future.result() for future in asked)
    assert received == bodies


class Answering:
    """The other process: answers when the test says so."""

    def __init__(self, connection: socket.socket) -> None:
        self.frames = FrameSocket(connection)
        self.connection = connection

    def calls(self, count: int) -> dict[bytes, int]:
        """The numbers of the next calls, by their bodies."""
        received = [self.frames.receive() for _ in range(count)]
        return {body: number for number, body in received}


def test_answers_find_their_calls_in_any_order(pair: Pair) -> None:
    caller, other = FrameCaller(pair[0]), Answering(pair[1])
    bodies = [b"%d" % number for number in range(8)]
    with ThreadPoolExecutor(len(bodies)) as threads:
        asked = {body: threads.submit(caller.call, body, SOON) for body in bodies}
        for body, number in reversed(other.calls(len(bodies)).items()):
            other.frames.send(number, body * 2)
        assert {body: future.result() for body, future in asked.items()} == {
            body: body * 2 for body in bodies
        }


def test_a_call_waits_no_longer_than_it_wants(pair: Pair) -> None:
    caller, other = FrameCaller(pair[0]), Answering(pair[1])
    with pytest.raises(BackendError, match="no answer within"):
        caller.call(b"late", 0.01)
    assert not caller._waiting
    ((_, number),) = other.calls(1).items()
    other.frames.send(number, b"too late")
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(caller.call, b"next", SOON)
        ((_, following),) = other.calls(1).items()
        assert following != number
        other.frames.send(following, b"in time")
        assert asked.result() == b"in time"


def test_calls_under_way_fail_when_the_other_process_ends(pair: Pair) -> None:
    caller, other = FrameCaller(pair[0]), Answering(pair[1])
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(caller.call, b"x", SOON)
        other.calls(1)
        other.connection.shutdown(socket.SHUT_RDWR)
        with pytest.raises(BackendError, match="gone"):
            asked.result()
    assert caller.ended.wait(SOON)


def test_a_call_after_the_end_fails_at_once(pair: Pair) -> None:
    caller = FrameCaller(pair[0])
    pair[1].shutdown(socket.SHUT_WR)
    assert caller.ended.wait(SOON)
    with pytest.raises(BackendError, match="gone"):
        caller.call(b"x", SOON)
