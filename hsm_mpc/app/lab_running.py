"""Starting and ending the processes of a lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from hsm_mpc import seed_file
from hsm_mpc.agent.sockets import somebody_listens
from hsm_mpc.app.client import connected
from hsm_mpc.errors import BackendError
from hsm_mpc.lab import control, settings, sockets
from hsm_mpc.lab.control import Kept, Order
from hsm_mpc.lab.folder import COORDINATOR, LabFolder, LabState
from hsm_mpc.lab.processes import RunningProcess, environment
from hsm_mpc.secure.arena import Arena

_READY_SECONDS: Final = 90.0
_ENDING_SECONDS: Final = 20.0
_GLANCE: Final = 0.05
_GLIMPSE: Final = 1.0
"""Seconds to wait for a coordinator before looking whether it died."""
_DEATHS: Final = 4
"""Starts after which a program is taken for one that does not work."""


def write_settings(lab: LabFolder, state: LabState) -> None:
    """Write all configurations anew.

    Raises:
        BadConfig: a key file is gone or cannot be used.
    """
    arena = Arena(16 * 1024)
    keys = [seed_file.load(path, arena).key for path in (lab.coordinator_key, lab.client_key)]
    arena.close()
    settings.write_all(lab, state, *keys)


def start_all(lab: LabFolder, state: LabState, say: Callable[[str], None]) -> LabState:
    """Have a supervisor start everything; one that was killed just now gets a successor.

    Raises:
        BackendError: none starts, or answers.
    """
    until = time.monotonic() + _ENDING_SECONDS
    while True:
        if RunningProcess.remembered(lab.supervisor) is None:
            say("starting signers, fronts and the coordinator")
            state = _supervised(lab, state)
        try:
            order(state, Order.START, (COORDINATOR, *state.holders))
        except BackendError:
            if time.monotonic() > until:
                raise
            time.sleep(_GLANCE)
        else:
            return state


def _supervised(lab: LabFolder, state: LabState) -> LabState:
    """Start the supervisor, on sockets that are there.

    Raises:
        BackendError: it does not start.
    """
    state = replace(state, sockets=str(sockets.prepare(state.sockets)))
    lab.save(state)
    write_settings(lab, state)
    with lab.log("supervisor").open("ab") as log:
        started = subprocess.run(
            [sys.executable, "-P", "-m", "hsm_mpc.lab.supervisor", str(lab.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment(os.environ),
            start_new_session=True,
            check=False,
        )
    if started.returncode != 0:
        raise BackendError(f"the supervisor does not start: {_last_words(lab, 'supervisor')}")
    return state


def wait_until_ready(lab: LabFolder, state: LabState, names: Sequence[str]) -> None:
    """Until the coordinator reaches the front of each of these holders.

    Raises:
        BackendError: one dies again and again, or it takes too long.
    """
    until = time.monotonic() + _READY_SECONDS
    while missing := _missing(lab, names):
        for name, kept in order(state, Order.STATUS).items():
            if name in missing and kept.pid is None and kept.starts >= _DEATHS:
                raise BackendError(f"{name} does not start: {_last_words(lab, name)}")
        if time.monotonic() > until:
            raise BackendError(f"not ready: {', '.join(missing)}")
        time.sleep(_GLANCE)


def _missing(lab: LabFolder, names: Sequence[str]) -> list[str]:
    try:
        with connected(lab.client_config, patience=_GLIMPSE) as client:
            there = {client.roster.member(index).name for index in client.there()}
    except BackendError:
        return [COORDINATOR, *names]
    return [name for name in names if name not in there]


def end(lab: LabFolder, state: LabState) -> None:
    """End the supervisor and all that it started; the sockets go, too.

    Raises:
        BackendError: it does not end.
    """
    supervisor = RunningProcess.remembered(lab.supervisor)
    if supervisor is not None and not supervisor.end(signal.SIGTERM, _ENDING_SECONDS):
        raise BackendError(f"the supervisor (pid {supervisor.pid}) does not end")
    sockets.remove(state.sockets)


def stop(state: LabState, name: str) -> None:
    """End a holder's signer; until nobody listens at its front's socket any more.

    Raises:
        BackendError: it does not end, or no supervisor answers.
    """
    until = time.monotonic() + _ENDING_SECONDS
    front = sockets.front(Path(state.sockets), name)
    kept = order(state, Order.STOP, (name,))[name]
    while kept.pid is not None or somebody_listens(front):
        if time.monotonic() > until:
            raise BackendError(f"{name} does not end")
        time.sleep(_GLANCE)
        kept = order(state, Order.STATUS)[name]


def order(state: LabState, given: Order, names: Sequence[str] = ()) -> dict[str, Kept]:
    """Tell the supervisor; `BackendError` if none answers."""
    return control.ask(sockets.supervisor(Path(state.sockets)), given, names)


def _last_words(lab: LabFolder, name: str) -> str:
    try:
        lines = lab.log(name).read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it said nothing"
