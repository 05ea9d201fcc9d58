"""The signer's worker threads: they take calls from the front and send the answers back."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from hsm_mpc.errors import BackendError
from hsm_mpc.secure.process import shield_this_thread
from hsm_mpc.wire.frames import FrameSocket
from hsm_mpc.wire.transport import Answer

LISTENING = b""
"""What a front sends once, as a call without a method: that it listens from now on."""


class Link:
    """The signer's end of the socket pair whose other end one front has."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames = FrameSocket(connection)
        self._lock = threading.Lock()
        self._users = 0
        self.listening = threading.Event()
        self.lost = threading.Event()
        """The front is gone, or sent what is no frame."""

    def serve(self, answer: Answer) -> None:
        """Answer calls until the link is lost. Several threads may be here."""
        with self._lock:
            self._users += 1
        while not self.lost.is_set():
            try:
                self._serve_one(answer)
            except BackendError:
                self.cut()
        with self._lock:
            self._users -= 1
        self._close_if_unused()

    def cut(self) -> None:
        """Lose the link; threads that wait for its calls go away from it."""
        self.lost.set()
        with self._lock:
            if self._connection.fileno() != -1:
                with suppress(OSError):  # the other end was faster
                    self._connection.shutdown(socket.SHUT_RDWR)
        self._close_if_unused()

    def _serve_one(self, answer: Answer) -> None:
        number, call = self._frames.receive()
        if call == LISTENING:
            self.listening.set()
            self._frames.send(number, LISTENING)
        else:
            self._frames.send(number, answer(call))

    def _close_if_unused(self) -> None:
        """The descriptor's number may be used anew only when no thread is in a call with it."""
        with self._lock:
            if self._users == 0:
                self._connection.close()


class Workers:
    """`count` threads with all signals blocked, that serve one front after another."""

    def __init__(self, answer: Answer, count: int) -> None:
        self._answer = answer
        self._changed = threading.Condition()
        self._link: Link | None = None
        self._ending = False
        self._threads = [
            threading.Thread(target=self._work, name=f"worker {number}", daemon=True)
            for number in range(1, count + 1)
        ]
        for thread in self._threads:
            thread.start()

    def serve(self, link: Link) -> None:
        """From now on the calls of this link; the one before must be lost."""
        with self._changed:
            self._link = link
            self._changed.notify_all()

    def end(self, patience: float) -> bool:
        """No more calls. Whether those under way ended within `patience` seconds."""
        with self._changed:
            self._ending = True
            link = self._link
            self._changed.notify_all()
        if link is not None:
            link.cut()
        until = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        shield_this_thread()
        while (link := self._next_link()) is not None:
            link.serve(self._answer)

    def _next_link(self) -> Link | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ending or self._has_link())
            return None if self._ending else self._link

    def _has_link(self) -> bool:
        return self._link is not None and not self._link.lost.is_set()
