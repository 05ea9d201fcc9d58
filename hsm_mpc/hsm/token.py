"""One token: its login, which lasts as long as the process, and the work done through it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from hsm_mpc.errors import BackendError, PinRefused
from hsm_mpc.hsm import cryptoki, failures
from hsm_mpc.hsm.cryptoki import BYTES, TokenFlag, User, ffi
from hsm_mpc.hsm.profiles import Profile
from hsm_mpc.hsm.recovery import Recovery
from hsm_mpc.hsm.sessions import MOST_SESSIONS, Handle, Session, SessionPool, open_session
from hsm_mpc.secure.arena import Secret
from hsm_mpc.steps import step

if TYPE_CHECKING:
    from hsm_mpc.hsm.canary import Canary
    from hsm_mpc.hsm.module import Module

_BESIDE_WORKERS: Final = 2
"""Sessions of ours that are no worker's: the one that logged in, and one that makes keys."""


_MOST_UNCLEAR_LOGINS: Final = 2
"""The PIN may be wrong each time, and many a token locks at the third."""
_ASKED_AGAIN: Final = (0.0, 0.02, 0.1)
"""Seconds after which a token that failed to tell of itself is asked again."""


class PinState(Enum):
    """What the token says of its user PIN."""

    READY = "ready"
    FEW_TRIES_LEFT = "a wrong PIN was tried since the last login"
    LAST_TRY = "one more wrong PIN locks it"
    LOCKED = "locked: only the security officer can set a new PIN"
    NOT_SET = "no user PIN was ever set"


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What a token says of itself, without login."""

    slot: int
    """The slot's number now; SoftHSM gives a token a new one when it initialises it."""
    label: str
    serial: bytes
    """16 bytes, with their blanks (step 2.6.2)."""
    manufacturer: str
    model: str
    flags: TokenFlag
    most_sessions: int | None
    """Read-write sessions that a process may have at once; None where the module tells no bound."""
    pin_lengths: range
    """Lengths that the token accepts, in bytes."""
    free_private_bytes: int | None
    """Room left for keys; None where the module does not tell."""

    @property
    def serial_text(self) -> str:
        """The serial as people write it, without the blanks."""
        return padded_text(self.serial)

    @property
    def initialised(self) -> bool:
        return bool(self.flags & TokenFlag.TOKEN_INITIALIZED)

    @property
    def pin_state(self) -> PinState:
        if self.flags & TokenFlag.USER_PIN_LOCKED:
            return PinState.LOCKED
        if not self.flags & TokenFlag.USER_PIN_INITIALIZED:
            return PinState.NOT_SET
        if self.flags & TokenFlag.USER_PIN_FINAL_TRY:
            return PinState.LAST_TRY
        if self.flags & TokenFlag.USER_PIN_COUNT_LOW:
            return PinState.FEW_TRIES_LEFT
        return PinState.READY


def read_token_info(calls: SimpleNamespace, slot: int, where: str) -> TokenInfo:
    """What the token in `slot` says now.

    Raises:
        BackendError: there is none, or it does not answer.
    """
    raw = ffi.new("CK_TOKEN_INFO *")
    with step("token.info"):
        failures.check(calls.C_GetTokenInfo(slot, raw), "C_GetTokenInfo", where)
    free, most = raw.ulFreePrivateMemory, raw.ulMaxRwSessionCount
    return TokenInfo(
        slot=slot,
        label=padded_text(bytes(raw.label)),
        serial=bytes(raw.serialNumber),
        manufacturer=padded_text(bytes(raw.manufacturerID)),
        model=padded_text(bytes(raw.model)),
        flags=TokenFlag(raw.flags),
        most_sessions=None if most in (0, cryptoki.UNAVAILABLE) else most,
        pin_lengths=range(raw.ulMinPinLen, raw.ulMaxPinLen + 1),
        free_private_bytes=None if free == cryptoki.UNAVAILABLE else free,
    )


def _most_workers(token: TokenInfo) -> int:
    if token.most_sessions is None:
        return MOST_SESSIONS
    return max(1, min(MOST_SESSIONS, token.most_sessions - _BESIDE_WORKERS))


def padded_text(padded: bytes) -> str:
    """What a module tells in a field of fixed length."""
    return padded.rstrip(b" \0").decode("utf-8", "replace")


class Token:
    """One initialised token of a loaded module. Used by several threads at once.

    There is one object for each token and process (`Module.token`): the module counts the login by
    process, and whoever closes the session that logged in would log everybody out.
    """

    def __init__(self, module: Module, found: TokenInfo) -> None:
        self.module: Final = module
        self.calls: Final = module.calls
        self.slot = found.slot
        self.label: Final = found.label
        self.serial: Final = found.serial
        self._found: Final = found
        self.where: Final = f"token {found.label!r}, serial {found.serial_text}"
        self.pool: Final = SessionPool(
            module.calls,
            found.slot,
            self.where,
            _most_workers(found),
            gate=module.gate,
            incarnation=module.incarnation,
        )
        self.recovery: Final = Recovery(self)
        self.canary: Canary | None = None
        """Tells a refused ciphertext from a broken device; set by `canary.arm`."""
        self.accepted_findings: frozenset[str] = frozenset()
        """What the configuration accepts of what this token gives away (`giveaways`)."""
        self._login_lock = threading.Lock()
        self._login_session: int | None = None
        self._login_was_lost = False
        self._unclear_logins = 0

    @property
    def profile(self) -> Profile:
        """How it departs from the standard."""
        return self.module.profile_of(self._found)

    @property
    def logged_in(self) -> bool:
        return self._login_session is not None

    def info(self) -> TokenInfo:
        """What the token says now.

        Raises:
            BackendError: the token is gone, or another one is in its place.
        """
        self.module.refuse_after_fork()
        try:
            with self.module.gate.inside():
                now = read_token_info(self.calls, self.slot, self.where)
            if (now.label, now.serial) != (self.label, self.serial):
                raise failures.DeviceGone(f"{self.where}: another token is in its place")
        except BackendError:
            self.pool.doubt()
            raise
        return now

    def login(self, pin: Secret, *, despite_warning: bool = False) -> None:
        """Log the process in, for as long as it runs. The PIN is tried once, never repeated here.

        A second call does nothing, and does not look at its PIN. After a refused PIN the caller
        records the refusal before anything else.

        Args:
            despite_warning: try although the token warns that few tries are left (a person typed
                the PIN anew: `holder login`). A right PIN clears the warning.

        Raises:
            PinRefused: the PIN is wrong, locked, expired or not set; or the token warns; or it
                answered for the second time what may mean any of these.
            BackendError: the token does not answer, or other code of this process has logged in.
        """
        # Inside all the while: the slot whose token is looked at is the one that gets the PIN.
        with self._login_lock, self.module.gate.inside():
            if self.logged_in:
                return
            self._refuse_a_risky_try(self.info().pin_state, despite_warning)
            session = open_session(self.calls, self.slot, self.where)
            try:
                with step("token.login"):
                    self._login(session, pin)
            except BaseException:
                self.pool.close(session)
                raise
            self._login_session, self._login_was_lost = session, False

    def forget(self) -> None:
        """The module was finalised: slot, sessions and login of before mean nothing any more."""
        self._login_was_lost = self._login_was_lost or self.logged_in
        self._login_session = None
        self.pool.forget()

    @property
    def is_outside(self) -> bool:
        """The module was initialised again, and the token is not in use again yet."""
        return self.pool.is_closed

    def enter(self, log_in: Callable[[], None] | None) -> None:
        """After `forget`: find the token, by label and serial, and log in if we were before.

        Raises:
            PinRefused: there is no PIN to log in with.
            BackendError, BadConfig: the token is not there, or does not answer.
        """
        self.slot = self.module.find(self.label, padded_text(self.serial)).slot
        if self._login_was_lost:
            if log_in is None:
                raise PinRefused(f"{self.where}: its login is lost, and nobody has its PIN")
            log_in()
        self.pool.reopen(self.slot, self.module.incarnation)

    def _refuse_a_risky_try(self, state: PinState, despite_warning: bool) -> None:
        if state in (PinState.LOCKED, PinState.NOT_SET):
            raise PinRefused(f"{self.where}: {state.value}")
        if state is not PinState.READY and not despite_warning:
            raise PinRefused(f"{self.where}: {state.value}; mend: hsm-mpc holder login")

    def _login(self, session: int, pin: Secret) -> None:
        with pin.open() as pointer:
            code = self.calls.C_Login(session, User.USER, ffi.cast(BYTES, pointer), pin.size)
        if code == failures.USER_ALREADY_LOGGED_IN:
            # Whoever did it can log everybody out again, and this PIN was not looked at.
            raise BackendError(
                f"{self.where}: other code of this process has logged in", retryable=False
            )
        if failures.may_mean_a_wrong_pin(code):
            self._unclear_logins += 1
            if self._unclear_logins >= _MOST_UNCLEAR_LOGINS:
                raise PinRefused(
                    f"{self.where}: C_Login answered {failures.name_of(code)}, and so before: the "
                    "PIN may be wrong; mend: hsm-mpc holder login"
                )
        failures.check(code, "C_Login", self.where)
        self._unclear_logins = 0

    def require_sight(self) -> None:
        """What was looked for and not found is not there: the token is, and shows us all it has.

        A token that was reset logs its users out, and from then on hides their objects silently.

        Raises:
            BackendError: the token is gone, or has logged this process out.
        """
        for pause in _ASKED_AGAIN:
            try:
                self.info()
                break
            except BackendError:  # SoftHSM fails to tell while another process logs in
                time.sleep(pause)
        else:
            self.info()
        if not self.logged_in:
            return
        found = ffi.new("CK_SESSION_INFO *")
        with self.session() as session, step("token.state"):
            code = self.calls.C_GetSessionInfo(session.handle, found)
            failures.check(code, "C_GetSessionInfo", self.where)
        if found.state != cryptoki.OF_USER:
            self.pool.doubt()
            raise failures.DeviceGone(f"{self.where}: it has logged this process out")

    def handle(self, number: int) -> Handle:
        """An object's number that the module has just given, for later: see `Handle`.

        The caller is inside of the module, so that it is not initialised again meanwhile.
        """
        return Handle(number, self.module.incarnation)

    def take_session(self) -> Session:
        """As `session`, without the block: to be followed by `pool.give_back` or `pool.drop`."""
        self._settle()
        return self.pool.take()

    def session(self) -> AbstractContextManager[Session]:
        """`with token.session() as session`: one that nobody else uses; dropped if the body raises.

        Raises:
            BackendError: all are busy, or the token opens no more, or has not come back yet.
        """
        self._settle()
        return self.pool.session()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """As `session` for a body that opens a session of its own: the module is not initialised
        again meanwhile, and what the body raises is a doubt.

        Raises:
            BackendError: as `session`.
        """
        self._settle()
        with self.module.gate.inside():
            self.pool.require_open()
            try:
                yield
            except BaseException:
                self.pool.doubt()
                raise

    def changing(self) -> AbstractContextManager[None]:
        """Around whatever makes or destroys objects, before it takes a session.

        Raises:
            BackendError: as `Gate.changing`.
        """
        return self.module.gate.changing() if self.profile.changes_alone else nullcontext()

    def _settle(self) -> None:
        self.module.refuse_after_fork()
        if self.pool.in_doubt:
            self.recovery.settle()

    def fill_random(self, pointer: int, length: int) -> None:
        """Write `length` bytes of the token's generator at `pointer` (step 1.8.6).

        Raises:
            BackendError: the token has no generator, or does not answer.
        """
        with self.session() as session, step("token.random"):
            code = self.calls.C_GenerateRandom(session.handle, ffi.cast(BYTES, pointer), length)
            failures.check(code, "C_GenerateRandom", self.where)
