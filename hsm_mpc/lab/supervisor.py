"""The one process of a lab that starts the others, starts them again when they die, and ends them.

    python -m hsm_mpc.lab.supervisor DIR

That command ends as soon as the supervisor listens (exit code 0), or has failed (1). The supervisor
has one thread. What it started ends with it, even if it is killed. It signals nobody else.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

from hsm_mpc.errors import BackendError, HsmMpcError
from hsm_mpc.lab import control, sockets
from hsm_mpc.lab.child import LONGEST_PAUSE, Child
from hsm_mpc.lab.control import Kept, Order
from hsm_mpc.lab.folder import COORDINATOR, LabFolder, LabState
from hsm_mpc.lab.processes import RunningProcess, command

_BACKLOG: Final = 16
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Keeps programs running until a signal ends it."""

    def __init__(self, children: list[Child], listener: socket.socket) -> None:
        self._children = {child.name: child for child in children}
        self._listener = listener
        self._ending = False

    def run(self) -> None:
        """Until a signal came and all programs have ended. Main thread."""
        woken, waker = socket.socketpair()
        with selectors.DefaultSelector() as selector, woken, waker:
            for each in (self._listener, woken, waker):
                each.setblocking(False)
            self._watch_signals(waker)
            selector.register(self._listener, selectors.EVENT_READ, self._serve)
            selector.register(woken, selectors.EVENT_READ, lambda: woken.recv(4096))
            while True:
                if self._ending:
                    for child in self._children.values():
                        child.dismiss()
                pauses = [child.look_after() for child in self._children.values()]
                if self._ending and all(child.ended for child in self._children.values()):
                    return
                for key, _ in selector.select(min([*pauses, LONGEST_PAUSE])):
                    key.data()

    def _watch_signals(self, waker: socket.socket) -> None:
        signal.set_wakeup_fd(waker.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _ENDING:
            signal.signal(number, lambda *_: self._end())

    def _end(self) -> None:
        """In a signal's handler: whatever was being done is finished first."""
        self._ending = True

    def _serve(self) -> None:
        """One order. A peer that may not give any, or goes away, gets no answer."""
        connection, _ = self._listener.accept()
        with connection:
            try:
                if control.peer_uid(connection) in (os.geteuid(), 0):
                    order, names = control.heard(connection)
                    control.answered(connection, self._obeyed(order, names))
            except (OSError, ValueError, KeyError, TypeError) as failure:
                sys.stderr.write(f"an order that is none: {failure}\n")

    def _obeyed(self, order: Order, names: tuple[str, ...]) -> dict[str, Kept]:
        for name in names:
            child = self._children[name]
            if order is Order.START and not self._ending:
                child.want()
            elif order is Order.STOP:
                child.dismiss()
            child.look_after()
        return {name: child.kept for name, child in self._children.items()}


def main() -> None:
    """Go into the background, once it is known that this will do."""
    lab = LabFolder(Path(sys.argv[1]))
    os.umask(0o077)
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os._exit(0 if os.read(told, 1) else 1)
    os.close(told)
    try:
        _keep(lab, ready=tell)
    except HsmMpcError as failure:
        sys.exit(f"supervisor: {failure}")


def _keep(lab: LabFolder, ready: int) -> None:
    state = lab.load()
    lock = os.open(lab.path / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as taken:
        raise BackendError("this lab has a supervisor already") from taken
    place = sockets.supervisor(Path(state.sockets))
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen(_BACKLOG)
        children = [_coordinator(lab), *(_holder(lab, state, name) for name in state.holders)]
        RunningProcess.this().remember(lab.supervisor)
        os.write(ready, b"1")
        os.close(ready)
        Supervisor(children, listener).run()
    lab.supervisor.unlink(missing_ok=True)
    place.unlink(missing_ok=True)


def _coordinator(lab: LabFolder) -> Child:
    run = command("--config", str(lab.coordinator_config), "coordinator", "run")
    return Child(COORDINATOR, run, lab.log(COORDINATOR), time.monotonic)


def _holder(lab: LabFolder, state: LabState, name: str) -> Child:
    config = str(lab.holder_config(name))
    run = command("--no-input", "--config", config, "agent", "run")
    before = state.kind(name).before(lab.holder(name))
    return Child(name, [*before, *run], lab.log(name), time.monotonic)


if __name__ == "__main__":
    main()
