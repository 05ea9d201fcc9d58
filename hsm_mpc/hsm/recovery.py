"""From a token that answered something unexpected back to one that works: a ladder.

    in doubt ──1── new sessions; token, login and canary are looked at ──────────► sound
                │ it says that device, session or login is gone
                2── finalise and initialise the module, find the token, log in ──► sound
                │ no PIN can be had, or nothing helped for a minute
                3── given up: the signer ends, for its supervisor to start it anew

Whoever needs a session climbs first, one thread at a time. After a failure nobody climbs for a
while, a while that doubles up to `LONGEST_PAUSE`; calls fail meanwhile, and may be tried again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hsm_mpc.errors import BackendError, HsmMpcError, PinRefused, Tampered
from hsm_mpc.hsm.failures import DeviceGone

if TYPE_CHECKING:
    from hsm_mpc.hsm.token import Token

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 0.8
"""Seconds. A token that has come back is in use again within a second."""
PATIENCE: Final = 60.0
"""Seconds without success after which a new process may help."""
HESITATION: Final = 5.0
"""Seconds that a login which cannot be had again is worth: it may have outlived the fault."""
_WAIT: Final = 2.0
"""Seconds that one thread waits for another that climbs."""

Ticks = Callable[[], float]
"""Seconds of a clock that only runs forward."""


class Recovery:
    """The ladder of one token."""

    def __init__(
        self, token: Token, ticks: Ticks = time.monotonic, patience: float = PATIENCE
    ) -> None:
        self._token = token
        self._ticks = ticks
        self._patience = patience
        self.log_in_again: Callable[[], None] | None = None
        """Has the PIN read once more, and tried under the rules of refused PINs; None: there is no
        second rung. Raises: PinRefused: there is no PIN to be had, now or later."""
        self.hesitation = 0.0
        """Seconds for which only the first rung is tried: finalising ends a login for good."""
        self.given_up: BackendError | None = None
        """Why this process cannot help itself; after a refused PIN nothing is tried any more."""
        self._lock = threading.Lock()
        self._climber: int | None = None
        self._pause = FIRST_PAUSE
        self._not_before = 0.0
        self._failing_since: float | None = None
        self._stands_outside = False
        """The module was initialised again, and this token not entered since."""

    def settle(self) -> None:
        """Return if the token works, or works again. Whoever is inside of the module while another
        thread climbs is not told: he only takes no session of before.

        Raises:
            PinRefused: it would, and there is no PIN to log in with.
            BackendError: it does not, or another thread is just finding out.
        """
        if self._climber == threading.get_ident():
            return  # this call is a part of the climb
        inside = self._token.module.gate.holds_others_up
        if not self._lock.acquire(timeout=0 if inside else _WAIT):
            if inside:  # who climbs may be waiting for this thread, which waits for nobody
                return self._token.pool.close_all()
            raise BackendError(f"{self._token.where}: it is being looked for")
        try:
            self._climber = threading.get_ident()
            if self._token.pool.in_doubt:
                doubts = self._token.pool.doubts
                self._settle()
                self._token.pool.believe(doubts)
        finally:
            self._climber = None
            self._lock.release()

    def _settle(self) -> None:
        if isinstance(self.given_up, PinRefused):
            raise PinRefused(str(self.given_up))
        now = self._ticks()
        if now < self._not_before:
            raise BackendError(f"{self._token.where}: it is away, and will be looked for again")
        if now - self._not_before > self._patience:  # nobody asked meanwhile: who knows how it was
            self._pause, self._failing_since = FIRST_PAUSE, None
        try:
            self._climb()
        except HsmMpcError as failure:
            raise self._fallen(failure) from failure
        self._pause, self._failing_since, self.given_up = FIRST_PAUSE, None, None

    def _climb(self) -> None:
        if not self._token.is_outside:
            try:
                return self._look()
            except DeviceGone:
                if self.log_in_again is None or self._failing_for() < self.hesitation:
                    raise
                self._stands_outside = True
        if self._stands_outside:
            self._token.module.begin_anew()
        self._stands_outside = True
        self._token.enter(self.log_in_again)
        self._require_same_token()
        self._stands_outside = False

    def _look(self) -> None:
        """The first rung.

        Raises:
            DeviceGone: the token is gone, has logged us out, or does not decrypt its canary.
            BackendError: it answers otherwise than it should.
        """
        token = self._token
        token.pool.close_all()
        token.require_sight()
        if token.canary is not None and not token.canary.is_decrypted_by(token):
            self._require_same_token()

    def _require_same_token(self) -> None:
        """It is the one that we had, and not another of its label and serial number.

        Raises:
            DeviceGone: it does not open what it encrypted when this process began.
            BackendError: it does not answer.
        """
        token = self._token
        if token.canary is None:
            return
        try:
            token.canary = token.canary.found_again(token)
        except Tampered as missing:
            raise DeviceGone(f"{missing}, and was there before") from missing
        if not token.canary.is_decrypted_by(token):
            raise DeviceGone(f"{token.where}: it does not decrypt the canary that it encrypted")

    def _fallen(self, failure: HsmMpcError) -> BackendError:
        """The failure of a climb, as whoever needed the token is told."""
        now = self._ticks()
        self._not_before = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if self._failing_since is None:
            self._failing_since = now
        if isinstance(failure, PinRefused):
            self.given_up = PinRefused(str(failure))
            return PinRefused(str(failure))
        told = BackendError(f"{self._token.where}: it is away: {failure}")
        if self._failing_for() >= self._patience:
            self.given_up = BackendError(str(failure))  # never raised by a thread with secrets
        return told

    def _failing_for(self) -> float:
        """Seconds since the first failure after the last success."""
        return 0.0 if self._failing_since is None else self._ticks() - self._failing_since
