"""Who is inside a PKCS#11 module: many threads at once; or one that changes what objects there are,
where the module does not bear others meanwhile; or one alone that initialises it again.

Modules number sessions and objects anew after C_Initialize, so no call may be under way then, and
nobody may come back to a session from before.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from hsm_mpc.errors import BackendError

PATIENCE_SECONDS: Final = 10.0
CHANGE_SECONDS: Final = 30.0
"""A token may take long to make an RSA key."""


class Gate:
    """Counts who is inside, by thread. Whoever comes while it is closed is turned away at once:
    to wait inside of one session for another would never end.
    """

    __slots__ = ("_changed", "_closed", "_inside", "_lock", "_only", "_queue")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # taken for each use of a session: without the detour
        self._changed = threading.Condition(self._lock)
        self._inside: dict[int, int] = {}
        self._closed = False
        self._only: int | None = None
        """The thread that changes objects: nobody else comes in meanwhile."""
        self._queue: deque[int] = deque()
        """Threads that wait because of one that changes objects."""

    def enter(self) -> None:
        """To be followed by `leave` on the same thread. Who is inside already never waits.

        Raises:
            BackendError: somebody is alone inside, or changes objects for too long.
        """
        me = threading.get_ident()
        with self._lock:
            if (self._queue or self._only is not None) and me not in (self._only, *self._inside):
                self._wait_in_turn(me)
            self._require_open()
            self._inside[me] = self._inside.get(me, 0) + 1

    def leave(self) -> None:
        me = threading.get_ident()
        with self._lock:
            self._inside[me] -= 1
            if not self._inside[me]:
                del self._inside[me]
                self._changed.notify_all()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """`enter` and `leave`."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Others wait while the body changes objects; whoever waits longest comes next. To be
        entered before any session is taken: two threads inside would wait for each other.

        Raises:
            BackendError: somebody is alone inside, or others did not come out in time.
        """
        me = threading.get_ident()
        if self._only == me:
            yield
            return
        with self._changed:
            self._wait_in_turn(me)
            self._only = me
            try:
                self._wait_for(lambda: not self._inside.keys() - {me}, CHANGE_SECONDS)
            except BaseException:
                self._only = None
                self._changed.notify_all()
                raise
        try:
            yield
        finally:
            with self._changed:
                self._only = None
                self._changed.notify_all()

    @property
    def holds_others_up(self) -> bool:
        """Whether this thread is inside, or changes objects: then it must not wait for a thread
        that may be waiting here."""
        me = threading.get_ident()
        return self._only == me or me in self._inside

    def _wait_in_turn(self, me: int) -> None:
        self._queue.append(me)
        try:
            self._wait_for(
                lambda: self._closed or (self._queue[0] == me and self._only is None),
                CHANGE_SECONDS,
            )
        finally:
            self._queue.remove(me)
            self._changed.notify_all()
        self._require_open()

    def _require_open(self) -> None:
        if self._closed:
            raise BackendError("the PKCS#11 module is being initialised again")

    def _wait_for(self, condition: Callable[[], bool], patience: float) -> None:
        if not self._changed.wait_for(condition, patience):
            raise BackendError(f"a call of the PKCS#11 module takes over {patience:g} s")

    @contextmanager
    def alone(self, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
        """Nobody else is inside while the body runs.

        Raises:
            BackendError: this thread is inside itself, somebody else is alone, or a call did not
                come back for `patience` seconds.
        """
        with self._changed:
            if self._closed or threading.get_ident() in self._inside:
                raise BackendError("the PKCS#11 module is in use: it is not initialised again now")
            self._closed = True
            try:
                self._wait_for(lambda: not self._inside, patience)
            except BaseException:
                self._closed = False
                raise
        try:
            yield
        finally:
            with self._changed:
                self._closed = False
