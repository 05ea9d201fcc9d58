"""Calls over a stream socket between two processes of one holder.

    frame = u32be(length of body) ‖ u64be(call number) ‖ body

The caller chooses call numbers; answers come in any order and carry the number of their call.
"""

from __future__ import annotations

import socket
import threading
from typing import Final

from hsm_mpc.encoding import u32be, u64be
from hsm_mpc.errors import BackendError
from hsm_mpc.wire.calls import MOST_BYTES

_HEAD_BYTES: Final = 12


class FrameSocket:
    """One end of a connection that its owner shuts down.

    Several threads may send; several may receive, each a whole frame.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._receiving = threading.Lock()

    def send(self, number: int, body: bytes) -> None:
        """One frame.

        Raises:
            BackendError: the other process is gone.
        """
        frame = u32be(len(body)) + u64be(number) + body
        try:
            with self._sending:
                self._connection.sendall(frame)
        except OSError as gone:
            raise BackendError("the process at the other end is gone") from gone

    def receive(self) -> tuple[int, bytes]:
        """The next frame's call number and body.

        Raises:
            BackendError: the other process is gone, or sends what is no frame.
        """
        with self._receiving:
            head = self._exactly(_HEAD_BYTES)
            length = int.from_bytes(head[:4], "big")
            if length > MOST_BYTES:
                raise BackendError(f"a frame of {length} bytes; at most {MOST_BYTES}")
            return int.from_bytes(head[4:], "big"), self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            try:
                part = self._connection.recv(length - len(parts))
            except OSError as gone:
                raise BackendError("the process at the other end is gone") from gone
            if not part:
                raise BackendError("the process at the other end is gone")
            parts += part
        return bytes(parts)


class FrameCaller:
    """Calls from any thread; one thread of its own sorts the answers."""

    def __init__(self, connection: socket.socket) -> None:
        self._frames = FrameSocket(connection)
        self._lock = threading.Lock()
        self._waiting: dict[int, _Waiter] = {}
        self._last = 0
        self._gone = False
        self.ended = threading.Event()
        """Set when the other process has closed its end."""
        threading.Thread(target=self._sort, name="answers", daemon=True).start()

    def call(self, body: bytes, timeout: float) -> bytes:
        """The answer to `body`.

        Raises:
            BackendError: no answer within `timeout` seconds, or the other process is gone.
        """
        waiter = _Waiter()
        with self._lock:
            if self._gone:
                raise BackendError("the process at the other end is gone")
            self._last += 1
            number = self._last
            self._waiting[number] = waiter
        try:
            self._frames.send(number, body)
            return waiter.answer(timeout)
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def _sort(self) -> None:
        while True:
            try:
                number, body = self._frames.receive()
            except BackendError:
                break
            with self._lock:
                waiter = self._waiting.get(number)
            if waiter is not None:
                waiter.give(body)
        with self._lock:
            self._gone = True
            waiting = list(self._waiting.values())
        for waiter in waiting:
            waiter.give(None)
        self.ended.set()


class _Waiter:
    """One call that waits for its answer."""

    def __init__(self) -> None:
        self._given = threading.Event()
        self._body: bytes | None = None

    def give(self, body: bytes | None) -> None:
        self._body = body
        self._given.set()

    def answer(self, timeout: float) -> bytes:
        if not self._given.wait(timeout):
            raise BackendError(f"no answer within {timeout:g} seconds")
        if self._body is None:
            raise BackendError("the process at the other end is gone")
        return self._body
