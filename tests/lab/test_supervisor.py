"""The supervisor and what the lab's verbs say to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.lab import control, sockets, supervisor
from hsm_mpc.lab.control import Kept, Order
from hsm_mpc.lab.folder import LabFolder, LabState
from hsm_mpc.lab.processes import RunningProcess, environment

COMMAND = [sys.executable, "-P", "-m", "hsm_mpc.lab.supervisor"]


def until(condition: object) -> None:
    end = time.monotonic() + 15
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


class Supervised:
    """A supervisor of a lab whose programs do not start: there is no configuration."""

    def __init__(self, folder: Path) -> None:
        self.lab = LabFolder(folder / "lab")
        self.lab.path.mkdir()
        (self.lab.path / "log").mkdir()
        place = folder / "s"
        place.mkdir()
        self.lab.save(LabState(("h1", "h2"), made=True, sockets=str(place)))
        self.socket = sockets.supervisor(place)
        assert self.started() == 0
        process = RunningProcess.remembered(self.lab.supervisor)
        assert process is not None
        self.process = process

    def started(self) -> int:
        """The exit code of the command that starts it."""
        with (self.lab.path / "log" / "said").open("wb") as log:
            return subprocess.run(
                [*COMMAND, str(self.lab.path)],
                env=environment(os.environ),
                stderr=log,
                check=False,
            ).returncode


@pytest.fixture
def supervised() -> Iterator[Supervised]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        made = Supervised(Path(folder))
        yield made
        assert made.process.end(signal.SIGKILL, 15)


def test_nothing_runs_that_nobody_asked_for(supervised: Supervised) -> None:
    kept = control.ask(supervised.socket, Order.STATUS)
    assert set(kept) == {"coordinator", "h1", "h2"}
    assert set(kept.values()) == {Kept(None, False, 0, None)}


def test_what_dies_is_started_again_until_it_is_stopped(supervised: Supervised) -> None:
    kept = control.ask(supervised.socket, Order.START, ["h1"])
    assert kept["h1"].wanted
    assert not kept["h2"].wanted
    until(lambda: control.ask(supervised.socket, Order.STATUS)["h1"].starts > 1)
    assert control.ask(supervised.socket, Order.STATUS)["h1"].last_exit == 2
    assert not control.ask(supervised.socket, Order.STOP, ["h1"])["h1"].wanted
    until(lambda: control.ask(supervised.socket, Order.STATUS)["h1"].pid is None)


def test_it_ends_with_all_that_it_started(supervised: Supervised) -> None:
    control.ask(supervised.socket, Order.START, ["h1", "h2", "coordinator"])
    assert supervised.process.end(signal.SIGTERM, 15)
    assert not supervised.socket.exists()
    assert not supervised.lab.supervisor.exists()
    with pytest.raises(BackendError, match="does not answer"):
        control.ask(supervised.socket, Order.STATUS)


def test_there_is_one_supervisor_of_a_lab(supervised: Supervised) -> None:
    assert supervised.started() == 1
    assert b"has a supervisor already" in (supervised.lab.path / "log" / "said").read_bytes()
    assert control.ask(supervised.socket, Order.STATUS)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"garbage\n",
        b"[]\n",
        b'{"order": "destroy", "names": []}\n',
        b'{"order": "start", "names": ["h9"]}\n',
        b'{"order": "start"}\n',
    ],
)
def test_an_order_that_is_none_gets_no_answer_and_harms_nobody(
    supervised: Supervised, sent: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(supervised.socket))
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert control.ask(supervised.socket, Order.STATUS)


def test_an_answer_that_is_none_is_a_backend_error(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "s"
        for answer in (b"", b"garbage\n", b"x" * 100_000):
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                listener.listen()
                thread = threading.Thread(target=_answer, args=(listener, answer))
                thread.start()
                with pytest.raises(BackendError, match="does not answer"):
                    control.ask(path, Order.STATUS)
                thread.join()
            path.unlink()


def _answer(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        try:
            connection.recv(1000)
            connection.sendall(answer)
        except OSError:
            pass


def test_a_process_of_another_user_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is private; this holds where it is not."""
    one, other = socket.socketpair()
    with one, other:
        assert control.peer_uid(one) == os.geteuid()

        class Listener:
            def accept(self) -> tuple[socket.socket, None]:
                return one, None

        asked = supervisor.Supervisor([], Listener())  # type: ignore[arg-type]
        monkeypatch.setattr(control, "peer_uid", lambda _: 4242)
        other.sendall(json.dumps({"order": "status", "names": []}).encode() + b"\n")
        asked._serve()
        with pytest.raises(ConnectionResetError):  # closed with what it had not read
            other.recv(100)
