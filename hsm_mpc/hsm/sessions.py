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
from hsm_mpc.hsm.gate import Gate
from hsm_mpc.steps import step

IV_BYTES: Final = 12
LONGEST_IV: Final = 16
"""What some HSMs make where they make the IV themselves."""
TAG_BYTES: Final = 16
"""Fixed here and never read from a blob: some modules accept a tag of one byte."""

MOST_SESSIONS: Final = 16
PATIENCE_SECONDS: Final = 30.0


class Handle(int):
    """A number of an object, and the initialisation of its module that gave it.

    Modules count from the start again: the same number is another object's later, perhaps that of
    another key.
    """

    incarnation: int

    def __new__(cls, number: int, incarnation: int) -> Handle:
        made = super().__new__(cls, number)
        made.incarnation = incarnation
        return made


class Session:
    """One session, with prebuilt mechanisms that no other thread writes to.

    The module is not initialised again as long as somebody has it.
    """

    __slots__ = ("_gcm", "_kept", "cohort", "ecdsa", "gcm", "handle", "incarnation", "iv", "length")

    def __init__(self, handle: int, incarnation: int = 0, cohort: int = 0) -> None:
        self.handle: Final = handle
        self.incarnation: Final = incarnation
        self.cohort: Final = cohort
        """How often all sessions of the pool had been closed before this one was opened."""
        self.length: Final = ffi.new(ULONG)
        self.iv: Final = ffi.new(f"CK_BYTE[{LONGEST_IV}]")
        self._gcm = ffi.new("CK_GCM_PARAMS *")
        self._gcm.pIv = self.iv  # never NULL: SoftHSM reads it unseen
        self._gcm.ulTagBits = 8 * TAG_BYTES
        self.gcm: Final = ffi.new("CK_MECHANISM *")
        self.gcm.mechanism, self.gcm.pParameter = Mechanism.AES_GCM, self._gcm
        self.gcm.ulParameterLen = ffi.sizeof("CK_GCM_PARAMS")
        self.ecdsa: Final = ffi.new("CK_MECHANISM *", {"mechanism": Mechanism.ECDSA})

    def number_of(self, handle: int) -> int:
        """The number that stands for an object in a call of this session.

        Raises:
            StaleHandle: it was given before the module was initialised again.
        """
        if isinstance(handle, Handle) and handle.incarnation != self.incarnation:
            raise failures.StaleHandle("a handle from before the module was initialised again")
        return handle

    def set_gcm(self, iv: bytes, associated: bytes) -> None:
        """Parameters of the next AES-GCM call.

        Args:
            iv: 12 or 16 bytes; none, where the HSM makes one and appends it.
        """
        length = len(iv)
        ffi.memmove(self.iv, iv, length)
        self._gcm.ulIvLen, self._gcm.ulIvBits = length, 8 * length
        self._kept = ffi.from_buffer(associated)
        self._gcm.pAAD = ffi.cast(BYTES, self._kept)
        self._gcm.ulAADLen = len(associated)


class SessionPool:
    """At most `most` sessions of one slot at once; the next caller waits.

    Args:
        gate: that of the module; who has a session is inside.
        incarnation: which initialisation of the module this is.
    """

    def __init__(
        self,
        calls: SimpleNamespace,
        slot: int,
        where: str,
        most: int = MOST_SESSIONS,
        *,
        gate: Gate | None = None,
        incarnation: int = 0,
    ) -> None:
        self._calls = calls
        self._slot = slot
        self._where = where
        self.most = most
        self._gate = gate or Gate()
        self._incarnation: int | None = incarnation
        self.in_doubt = False
        """An unexpected answer came: the token is to be looked at before it is used again."""
        self.doubts = 0
        """How many came so far."""
        self._cohort = 0
        self._unclosed: list[int] = []
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
        self._gate.enter()
        try:
            try:
                return self._idle.pop()
            except IndexError:
                return self._open_or_wait(patience)
        except BaseException:
            self._gate.leave()
            raise

    def give_back(self, session: Session) -> None:
        """The session did all that it was asked; it is closed if others were meanwhile."""
        if session.cohort != self._cohort:
            self._end(session)
            return
        self._idle.append(session)
        if self._waiting:  # whoever counts itself here looks at `_idle` again before it sleeps
            with self._returned:
                self._returned.notify()
        self._gate.leave()

    def drop(self, session: Session) -> None:
        """Close the session as far as the token lets us: an unexpected answer poisons it."""
        self.doubt()
        self._end(session)

    def doubt(self) -> None:
        """An unexpected answer came."""
        with self._returned:
            self.doubts += 1
            self.in_doubt = True

    def believe(self, doubts: int) -> None:
        """The token was looked at after so many unexpected answers, and it works."""
        with self._returned:
            self.in_doubt = self.doubts != doubts

    def close(self, handle: int) -> None:
        """Close any session of the slot; `close_all` tries again what could not be closed."""
        code = self._calls.C_CloseSession(handle)
        if code != failures.OK and not failures.is_session_gone(code):
            self._unclosed.append(handle)

    def close_all(self) -> None:
        """Close all sessions that nobody has now; those in use when they are given back."""
        with self._returned:
            self._cohort += 1
        with self._gate.inside():
            stubborn, self._unclosed = self._unclosed, []
            for handle in stubborn:
                self.close(handle)
            while self._idle:
                try:
                    session = self._idle.pop()
                except IndexError:  # another thread was faster
                    return
                self.close(session.handle)
                self._forget_one()

    def forget(self) -> None:
        """The module was finalised: no session is left, and none is opened until `reopen`."""
        self._idle, self._unclosed = [], []
        self._open = 0
        self._incarnation = None
        self.in_doubt = True

    def reopen(self, slot: int, incarnation: int) -> None:
        """The token is in this slot now, and logged in as it was before."""
        self._slot, self._incarnation = slot, incarnation

    @property
    def is_closed(self) -> bool:
        """Between `forget` and `reopen`."""
        return self._incarnation is None

    def require_open(self) -> int:
        """The initialisation of the module in which sessions are opened.

        Raises:
            BackendError: there is none now (`is_closed`).
        """
        if self._incarnation is None:
            raise BackendError(f"{self._where}: it is not logged in again yet")
        return self._incarnation

    def _end(self, session: Session) -> None:
        self.close(session.handle)
        self._forget_one()
        self._gate.leave()

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
            raise BackendError(f"{self._where}: all {self.most} sessions are busy")
        try:
            incarnation, cohort = self.require_open(), self._cohort
            handle = open_session(self._calls, self._slot, self._where)
            return Session(handle, incarnation, cohort)
        except BaseException:
            self.doubt()
            self._forget_one()
            raise

    def _claim(self) -> Session | bool:
        """An idle session; or True, room for a new one, now taken; or False."""
        try:
            return self._idle.pop()
        except IndexError:
            if self._open >= self.most:
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
