"""The keeper of the front: it starts it, starts it again, and ends it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hsm_mpc.agent import keeper
from hsm_mpc.agent.keeper import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    LONGEST_START,
    STEADY_AFTER,
    FrontKeeper,
    FrontPlace,
    FrontUser,
    environment,
)
from hsm_mpc.agent.workers import Workers
from hsm_mpc.errors import BackendError
from tests.agent.processes import is_alive, until
from tests.secure.children import NOBODY


class Kept:
    """A keeper on a clock that the test moves on."""

    def __init__(self, socket: Path, workers: Workers) -> None:
        self.now = 1000.0
        self.log: list[str] = []
        place = FrontPlace(socket)
        self.front = FrontKeeper(place, workers, lambda: self.now, self.log.append)

    def started(self) -> int:
        """The pid of a front that listens."""
        self.front.start()
        until(lambda: self.front.listens, "a front that listens")
        return self.pid

    @property
    def pid(self) -> int:
        assert self.front.pid is not None
        return self.front.pid

    def killed(self) -> None:
        """The front dies, and is found dead."""
        os.kill(self.pid, signal.SIGKILL)

        def is_found() -> bool:
            self.front.look_after()
            return self.front.pid is None

        until(is_found, "its death")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Kept]]:
    """`kept("dies")`: the keeper of a front of this manner."""
    monkeypatch.setattr(keeper, "FRONT_MODULE", "tests.agent.little_front")
    with ExitStack() as stack:

        def make(manner: str) -> Kept:
            workers = Workers(lambda call: call, 1)
            stack.callback(lambda: workers.end(5.0))
            made = Kept(tmp_path / manner, workers)
            stack.callback(made.front.end)
            return made

        yield make


Keep = Callable[[str], Kept]


def test_a_front_is_started_and_ended(kept: Keep) -> None:
    obedient = kept("obeys")
    pid = obedient.started()
    obedient.front.require_running()
    obedient.front.end()
    assert not is_alive(pid)
    assert (obedient.front.pid, obedient.front.listens) == (None, False)
    obedient.front.end()


def test_a_front_that_does_not_end_is_killed_and_its_socket_removed(
    kept: Keep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(keeper, "_PATIENCE", 0.1)
    deaf = kept("is deaf")
    pid = deaf.started()
    assert (tmp_path / "is deaf").exists()
    deaf.front.end()
    assert not is_alive(pid)
    assert not (tmp_path / "is deaf").exists()


def test_a_dead_front_is_started_again_after_a_pause(kept: Keep) -> None:
    obedient = kept("obeys")
    first = obedient.started()
    obedient.killed()
    assert obedient.front.pid is None
    assert obedient.log == [f"front {first} ended (-9); the next one in {FIRST_PAUSE} s"]
    assert obedient.front.look_after() == pytest.approx(FIRST_PAUSE)
    assert obedient.front.pid is None
    obedient.now += FIRST_PAUSE
    obedient.front.look_after()
    assert obedient.pid != first
    until(lambda: obedient.front.listens, "the next front")


def test_pauses_grow_up_to_a_limit_and_shrink_after_a_steady_front(kept: Keep) -> None:
    obedient = kept("obeys")
    obedient.front.start()
    pauses = []
    for _ in range(9):
        obedient.killed()
        pauses.append(float(obedient.log[-1].split()[-2]))
        obedient.now += LONGEST_PAUSE
        obedient.front.look_after()
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-2:] == [LONGEST_PAUSE, LONGEST_PAUSE]
    obedient.now += STEADY_AFTER
    obedient.killed()
    assert obedient.log[-1].endswith(f"in {FIRST_PAUSE} s")


def test_a_front_that_sends_no_frames_is_killed(kept: Keep) -> None:
    babbling = kept("babbles")
    babbling.front.start()
    pid = babbling.pid

    def is_gone() -> bool:
        babbling.front.look_after()
        return not is_alive(pid)

    until(is_gone, "its end")


def test_a_front_that_never_listens_is_killed(kept: Keep) -> None:
    slow = kept("is slow")
    slow.front.start()
    pid = slow.pid
    slow.now += LONGEST_START
    slow.front.look_after()
    assert slow.pid == pid
    slow.now += 1.0

    def is_gone() -> bool:
        slow.front.look_after()
        return not is_alive(pid)

    until(is_gone, "its end")


def test_a_front_that_listens_may_be_silent_for_long(kept: Keep) -> None:
    obedient = kept("obeys")
    pid = obedient.started()
    obedient.now += 10 * LONGEST_START
    obedient.front.look_after()
    assert is_alive(pid)


def test_a_first_front_that_ends_is_no_front(kept: Keep) -> None:
    dying = kept("dies")
    dying.front.start()

    def has_ended() -> bool:
        try:
            dying.front.require_running()
        except BackendError as ended:
            return "exit code 7" in str(ended)
        return False

    until(has_ended, "its end")


def test_without_a_front_none_runs(kept: Keep) -> None:
    with pytest.raises(BackendError, match="exit code None"):
        kept("obeys").front.require_running()


def test_a_program_that_cannot_be_started_is_told_and_tried_again(
    kept: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    obedient = kept("obeys")
    obedient.started()
    obedient.killed()
    executable = sys.executable
    monkeypatch.setattr(sys, "executable", "/no/program")
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BackendError, match="cannot start the front"):
        obedient.front.start()
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    obedient.now += LONGEST_PAUSE
    obedient.front.look_after()
    assert "cannot start the front" in obedient.log[-1]
    monkeypatch.setattr(sys, "executable", executable)
    obedient.now += LONGEST_PAUSE
    obedient.front.look_after()
    until(lambda: obedient.front.listens, "the next front")


def test_a_front_gets_to_know_only_where_to_import_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "1")
    monkeypatch.setattr(sys, "path", ["", "relative", "/one", "/two"])
    assert environment() == {"PYTHONPATH": "/one:/two", "LANG": "C.UTF-8"}


def test_a_front_of_its_own_user_has_that_users_groups_only(
    kept: Keep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    for path in (program, *program.parents[:-2]):
        path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    foreign = kept("any")
    foreign.front._place = FrontPlace(tmp_path / "s", group=4711, user=FrontUser(NOBODY, NOBODY))
    if os.geteuid() != 0:
        with pytest.raises(BackendError, match="not permitted"):
            foreign.front.start()
        return
    foreign.front.start()
    lines = Path(f"/proc/{foreign.pid}/status").read_text("ascii").splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert set(status["Uid"]) == set(status["Gid"]) == {str(NOBODY)}
    assert status["Groups"] == ["4711"]
