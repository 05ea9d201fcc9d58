"""The signer's main thread: it watches signals and the front, and does nothing else.

Work is done by worker threads (agent/workers.py), so that no signal finds a secret in a register,
and no network code runs in this process: that is the front's (agent/front.py).
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final

from hsm_mpc.agent.keeper import LONGEST_START, FrontKeeper
from hsm_mpc.errors import BackendError

ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_WATCHED: Final = ENDING | {signal.SIGCHLD}

_GLANCE: Final = 0.05


def watch_signals() -> None:
    """From now on signals wait until `supervise` looks. Before the first thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)


def supervise(
    front: FrontKeeper,
    ticks: Callable[[], float],
    ready: Callable[[], None],
    given_up: Callable[[], BackendError | None],
) -> signal.Signals:
    """Keep a front until somebody ends this process; by which signal. Main thread.

    Args:
        ready: called once, when the first front listens.
        given_up: asked at every look: why this process is of no use any more, if so.

    Raises:
        BackendError: the first front did not come to listen; or what `given_up` says.
    """
    front.start()
    until = ticks() + LONGEST_START
    while not front.listens:
        if (ending := _ending_within(_GLANCE)) is not None:
            return ending
        front.require_running()
        if ticks() > until:
            raise BackendError(f"the front does not listen after {LONGEST_START:g} seconds")
    ready()
    while (ending := _ending_within(front.look_after())) is None:
        reason = given_up()
        if reason is not None:
            raise reason
    return ending


def _ending_within(seconds: float) -> signal.Signals | None:
    """The signal that ends this process, or None after a while or when a child died."""
    came = signal.sigtimedwait(_WATCHED, seconds)
    if came is None or came.si_signo not in ENDING:
        return None
    return signal.Signals(came.si_signo)
