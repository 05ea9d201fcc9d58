"""The daemon of a token runs as long as the command that needs it: started anew, and never left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from hsm_mpc.lab.kind import ROOT
from hsm_mpc.lab.kinds import KINDS
from hsm_mpc.lab.processes import descendants
from tests.agent.processes import is_alive, until
from tests.conftest import skip_where_left_out
from tests.modules.daemons import DAEMONS, kill_daemon

LIBRARY = ROOT / "scripts" / "lib"


@dataclass
class Command:
    """A command that sleeps inside of a wrapper."""

    kind: str
    process: subprocess.Popen[bytes]
    state: Path

    def daemon(self) -> int | None:
        """The pid of its daemon, if there is one now that listens."""
        found = [
            pid
            for pid, name in descendants(self.process.pid).items()
            if name == DAEMONS[self.kind] and self._listens(pid)
        ]
        for_clients = {child for pid in found for child in descendants(pid)}  # one for each caller
        daemons = [pid for pid in found if pid not in for_clients and is_alive(pid)]
        assert len(daemons) <= 1
        return daemons[0] if daemons else None

    def _listens(self, pid: int) -> bool:
        if self.kind == "opencryptoki":  # whoever calls it and hangs up kills it, by SIGPIPE
            return (Path("/proc") / str(pid) / "root" / "run" / "pkcsslotd.socket").is_socket()
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self.state / "socket")) == 0


@pytest.fixture(params=DAEMONS)
def kind(request: pytest.FixtureRequest, folder_of_the_run: Path) -> str:
    skip_where_left_out(request.param)
    return str(request.param)


@contextmanager
def sleeping(kind: str, state: Path) -> Iterator[Command]:
    process = subprocess.Popen(
        [str(ROOT / str(KINDS[kind].wrapper)), str(state), "sleep", "60"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    command = Command(kind, process, state)
    try:
        until(lambda: command.daemon() is not None, "a daemon that listens")
        yield command
    finally:
        process.kill()
        process.wait()


def is_another(command: Command, known: set[int | None]) -> bool:
    return command.daemon() not in {None, *known}


def test_a_daemon_that_is_killed_is_started_anew_and_none_is_left(
    kind: str, folder_of_the_run: Path
) -> None:
    with sleeping(kind, folder_of_the_run / f"kept-{kind}") as command:
        known = {command.daemon()}
        for _ in range(2):
            assert known & set(kill_daemon(command.process.pid, kind))
            until(partial(is_another, command, known), "another daemon that listens")
            known = {command.daemon()}
        everybody = list(descendants(command.process.pid))
        assert len(everybody) >= 2
        command.process.kill()
        until(lambda: not any(is_alive(pid) for pid in everybody), "the end of all processes")


def test_one_command_at_a_time_runs_on_a_token(kind: str, folder_of_the_run: Path) -> None:
    """Another daemon would take the place of the first one, or know nothing of its locks."""
    state = folder_of_the_run / f"claimed-{kind}"
    wrapped = [str(ROOT / str(KINDS[kind].wrapper)), str(state), "true"]
    with sleeping(kind, state) as command:
        before = command.daemon()
        second = subprocess.run(wrapped, capture_output=True, text=True, check=False)
        assert second.returncode == 4
        assert second.stderr.endswith(f"{kind}: another command runs on {state}\n")
        assert command.daemon() == before
    assert subprocess.run(wrapped, capture_output=True, check=False).returncode == 0


SLOTS = """
from hsm_mpc.hsm.module import Module
from hsm_mpc.lab.kinds import KINDS
print(len(Module.load(KINDS["p11kit"].module()).slots()))
"""


def inside_p11kit(state: Path, *command: str) -> subprocess.CompletedProcess[str]:
    skip_where_left_out("p11kit")
    wrapped = [str(ROOT / str(KINDS["p11kit"].wrapper)), str(state), *command]
    return subprocess.run(wrapped, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_server_is_found_in_a_folder_whose_name_has_a_percent_sign(
    folder_of_the_run: Path,
) -> None:
    """In an address of p11-kit's it begins the number of a byte."""
    told = inside_p11kit(folder_of_the_run / "100%25 h1", sys.executable, "-c", SLOTS)
    assert (told.returncode, told.stdout) == (0, "1\n"), told.stderr


def test_a_path_that_is_too_long_for_the_server_is_told(folder_of_the_run: Path) -> None:
    """Each é is two bytes."""
    room = 106 - len(os.fsencode(folder_of_the_run / "socket")) - 1
    name = "é" * (room // 2) + "e" * (room % 2)
    assert inside_p11kit(folder_of_the_run / name, "true").returncode == 0
    told = inside_p11kit(folder_of_the_run / f"{name}e", "true")
    assert told.returncode == 4
    assert told.stderr.endswith("/socket: longer than 106 bytes\n")


def test_a_daemon_that_does_not_start_is_told_at_once(tmp_path: Path) -> None:
    script = f"ROOT={ROOT} NAME=kind; . {LIBRARY}/keeping.sh; claim .; keep_daemon socket false"
    told = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=4,
        check=False,
    )
    assert told.returncode == 4
    assert told.stderr.endswith("kind: its daemon does not start: false\n")


SHORT_LIVED = """
import os, socket, sys, time
with socket.socket(socket.AF_UNIX) as listener, open(sys.argv[2], "a") as starts:
    listener.bind(sys.argv[1])
    starts.write("one ")
    time.sleep(0.2)
os.unlink(sys.argv[1])
"""


def test_a_daemon_that_ends_in_good_order_is_started_anew(tmp_path: Path) -> None:
    """So does pkcsslotd, when one of its callers hangs up too early; and it removes its socket."""
    starts, where = tmp_path / "starts", tmp_path / "socket"
    keeping = [LIBRARY / "bound", os.getpid(), LIBRARY / "keep-running", where]
    with (tmp_path / "lock").open("w") as lock:
        daemon = [lock.fileno(), sys.executable, "-c", SHORT_LIVED, where, starts]
        keeper = subprocess.Popen(
            [str(each) for each in (*keeping, *daemon)],
            pass_fds=(lock.fileno(),),
            stderr=subprocess.PIPE,
        )
    until(lambda: starts.exists() and len(starts.read_text().split()) >= 3, "its third start")
    keeper.kill()
    _, said = keeper.communicate()
    assert said.count(b": ended (0), and is started anew\n") >= 2


def test_whoever_is_bound_to_a_caller_that_has_ended_does_not_start(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    bound = [str(LIBRARY / "bound"), str(ended.pid), "touch", str(tmp_path / "x")]
    assert subprocess.run(bound, check=False).returncode == 1
    assert not (tmp_path / "x").exists()
    bound[1] = str(os.getpid())
    assert subprocess.run(bound, check=False).returncode == 0
    assert (tmp_path / "x").exists()


def test_a_list_of_objects_that_was_cut_short_is_whole_again(folder_of_the_run: Path) -> None:
    """Whoever is killed while openCryptoki destroys an object leaves it so."""
    skip_where_left_out("opencryptoki")
    state = folder_of_the_run / "listed"
    objects = state / "swtok" / "TOK_OBJ"
    objects.mkdir(parents=True)
    for name, content in {"20000000": "a", "A0000000": "b", "B0000000": "", "OBJ.IDX": ""}.items():
        (objects / name).write_text(content)
    subprocess.run([str(ROOT / str(KINDS["opencryptoki"].wrapper)), str(state), "true"], check=True)
    assert (objects / "OBJ.IDX").read_text() == "20000000\nA0000000\n"
