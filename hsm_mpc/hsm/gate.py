"""Who is inside a PKCS#11 module: many threads at once, or one alone that initialises it again.

Modules number sessions and objects anew after C_Initialize, so no call may be under way then, and
nobody may come back to a session from before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hsm_mpc.errors import BackendError

PATIENCE_SECONDS: Final = 10.0


class Gate:
    """Counts who is inside, by thread. Whoever comes while it is closed is turned away at once:
    to wait inside of one session for another would never end.
    """

    __slots__ = ("_changed", "_closed", "_inside", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # taken for each use of a session: without the detour
        self._changed = threading.Condition(self._lock)
        self._inside: dict[int, int] = {}
        self._closed = False

    def enter(self) -> None:
        """To be followed by `leave` on the same thread.

        Raises:
            BackendError: somebody is alone inside.
        """
        me = threading.get_ident()
        with self._lock:
            if self._closed:
                raise BackendError("the PKCS#11 module is being initialised again")
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
                if not self._changed.wait_for(lambda: not self._inside, patience):
                    raise BackendError(f"a call of the PKCS#11 module takes over {patience:g} s")
            except BaseException:
                self._closed = False
                raise
        try:
            yield
        finally:
            with self._changed:
                self._closed = False
