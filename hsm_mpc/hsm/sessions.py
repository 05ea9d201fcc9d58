"""Worker sessions of one token: opened when needed, reused last first, dropped when in doubt.

A session without PIN inherits the login of its token. It serves one thread at a time, so its
parameter blocks are made once and used again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Final

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import cryptoki, failures
from hsm_mpc.hsm.cryptoki import BYTES, ULONG, Mechanism, ffi
from hsm_mpc.steps import step

IV_BYTES: Final = 12
TAG_BYTES: Final = 16
"""Both fixed here and never read from a blob: some modules accept a tag of one byte."""

MOST_SESSIONS: Final = 16
PATIENCE_SECONDS: Final = 30.0


class Session:
    """One session, with prebuilt mechanisms that no other thread writes to."""

    __slots__ = ("_gcm", "_kept", "ecdsa", "gcm", "handle", "iv", "length")

    def __init__(self, handle: int) -> None:
        self.handle: Final = handle
        self.length: Final = ffi.new(ULONG)
        self.iv: Final = ffi.new(f"CK_BYTE[{IV_BYTES}]")
        self._gcm = ffi.new("CK_GCM_PARAMS *")
        self._gcm.pIv, self._gcm.ulIvLen, self._gcm.ulIvBits = self.iv, IV_BYTES, 8 * IV_BYTES
        self._gcm.ulTagBits = 8 * TAG_BYTES
        self.gcm: Final = ffi.new("CK_MECHANISM *")
        self.gcm.mechanism, self.gcm.pParameter = Mechanism.AES_GCM, self._gcm
        self.gcm.ulParameterLen = ffi.sizeof("CK_GCM_PARAMS")
        self.ecdsa: Final = ffi.new("CK_MECHANISM *", {"mechanism": Mechanism.ECDSA})

    def set_gcm(self, iv: bytes, associated: bytes) -> None:
        """Parameters of the next AES-GCM call. `iv` is 12 bytes."""
        ffi.memmove(self.iv, iv, IV_BYTES)
        self._kept = ffi.from_buffer(associated)
        self._gcm.pAAD = ffi.cast(BYTES, self._kept)
        self._gcm.ulAADLen = len(associated)


class SessionPool:
    """At most `most` sessions of one slot at once; the next caller waits."""

    def __init__(
        self, calls: SimpleNamespace, slot: int, where: str, most: int = MOST_SESSIONS
    ) -> None:
        self._calls = calls
        self._slot = slot
        self._where = where
        self._most = most
        self._idle: list[Session] = []
        self._open = 0
        self._waiting = 0
        self._returned = threading.Condition()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session for this block; one that saw an error is not used again."""
        session = self.take()
        try:
            yield session
        except BaseException:
            self.drop(session)
            raise
        self.give_back(session)

    def take(self, patience: float = PATIENCE_SECONDS) -> Session:
        """A session that nobody else has, until `give_back` or `drop`.

        Raises:
            BackendError: none was free for `patience` seconds, or the token opens no more.
        """
        try:
            return self._idle.pop()
        except IndexError:
            return self._open_or_wait(patience)

    def give_back(self, session: Session) -> None:
        """The session did all that it was asked."""
        self._idle.append(session)
        if self._waiting:  # whoever counts itself here looks at `_idle` again before it sleeps
            with self._returned:
                self._returned.notify()

    def drop(self, session: Session) -> None:
        """Close the session as far as the token lets us: an unexpected answer poisons it."""
        self._calls.C_CloseSession(session.handle)
        self._forget_one()

    def _forget_one(self) -> None:
        with self._returned:
            self._open -= 1
            self._returned.notify()

    def _open_or_wait(self, patience: float) -> Session:
        with self._returned:
            self._waiting += 1
            try:
                claimed = self._returned.wait_for(self._claim, patience)
            finally:
                self._waiting -= 1
        if isinstance(claimed, Session):
            return claimed
        if not claimed:
            raise BackendError(f"{self._where}: all {self._most} sessions are busy")
        try:
            return Session(open_session(self._calls, self._slot, self._where))
        except BaseException:
            self._forget_one()
            raise

    def _claim(self) -> Session | bool:
        """An idle session; or True, room for a new one, now taken; or False."""
        try:
            return self._idle.pop()
        except IndexError:
            if self._open >= self._most:
                return False
            self._open += 1
            return True


def open_session(calls: SimpleNamespace, slot: int, where: str) -> int:
    """The handle of a new read-write session.

    Raises:
        BackendError: the token does not open one.
    """
    handle = ffi.new(ULONG)
    with step("session.open"):
        code = calls.C_OpenSession(slot, cryptoki.SERIAL_READ_WRITE, ffi.NULL, ffi.NULL, handle)
        failures.check(code, "C_OpenSession", where)
    return int(handle[0])
