"""A program is started again when it dies, later each time, and ended when it is not wanted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsm_mpc.lab import child as child_module
from hsm_mpc.lab.child import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE, STEADY_AFTER, Child

SLEEPS = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(60)"
)


@contextmanager
def child(folder: Path, code: str, now: list[float]) -> Iterator[Child]:
    """A program on a clock of its own; ended at last."""
    made = Child("it", [sys.executable, "-c", code], folder / "log", lambda: now[0])
    yield made
    made.dismiss()
    while not made.ended:
        now[0] += PATIENCE
        made.look_after()
        time.sleep(0.01)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def died(it: Child) -> bool:
    it.look_after()
    return it.ended


def test_a_program_runs_when_it_is_wanted(tmp_path: Path) -> None:
    with child(tmp_path, "print('hello', flush=True); " + SLEEPS, [0.0]) as it:
        it.look_after()
        assert it.ended
        it.want()
        it.look_after()
        assert it.kept.pid is not None
        assert (it.kept.wanted, it.kept.starts, it.kept.last_exit) == (True, 1, None)
        until(lambda: (tmp_path / "log").read_text() == "hello\n")


def test_one_that_died_is_started_again_after_a_pause_that_doubles(tmp_path: Path) -> None:
    now = [0.0]
    with child(tmp_path, "raise SystemExit(3)", now) as it:
        it.want()
        pauses = []
        for _ in range(8):
            it.look_after()
            until(lambda: died(it))
            pauses.append(it.look_after())
            now[0] += pauses[-1]
        assert pauses[:3] == pytest.approx([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])
        assert max(pauses) == LONGEST_PAUSE
        assert (it.kept.starts, it.kept.last_exit) == (8, 3)


def test_one_that_ran_for_a_while_is_started_again_at_once(tmp_path: Path) -> None:
    now = [0.0]
    with child(tmp_path, SLEEPS, now) as it:
        it.want()
        for _ in range(3):
            it.look_after()
            now[0] += STEADY_AFTER
            pid = it.kept.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            until(lambda: died(it))
            assert it.look_after() == pytest.approx(FIRST_PAUSE)
            now[0] += FIRST_PAUSE


def test_one_that_is_dismissed_ends_and_stays_away(tmp_path: Path) -> None:
    with child(tmp_path, SLEEPS, [0.0]) as it:
        it.want()
        it.look_after()
        it.dismiss()
        it.dismiss()
        until(lambda: died(it))
        assert it.look_after() == LONGEST_PAUSE
        assert it.ended
        assert it.kept.last_exit == -signal.SIGTERM


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    now = [0.0]
    with child(tmp_path, STUBBORN, now) as it:
        it.want()
        it.look_after()
        until(lambda: (tmp_path / "log").read_text() == "deaf\n")
        it.dismiss()
        assert it.look_after() == PATIENCE
        assert not it.ended
        now[0] += PATIENCE
        until(lambda: died(it))
        assert it.kept.last_exit == -signal.SIGKILL


def test_one_that_is_wanted_again_starts_anew(tmp_path: Path) -> None:
    with child(tmp_path, "raise SystemExit(1)", [0.0]) as it:
        it.want()
        it.look_after()
        until(lambda: died(it))
        it.dismiss()
        it.want()
        it.look_after()
        assert (it.kept.starts, it.kept.last_exit) == (1, None)


def test_a_program_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    it = Child("it", [str(tmp_path / "nothing")], tmp_path / "log", lambda: 0.0)
    it.want()
    assert it.look_after() == pytest.approx(FIRST_PAUSE)
    assert it.kept.starts == 1
    assert it.ended


def test_a_program_gets_no_more_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    code = "import os; print(sorted(os.environ), os.getcwd(), os.getsid(0) == os.getpid())"
    with child(tmp_path, code, [0.0]) as it:
        it.want()
        it.look_after()
        until(lambda: died(it))
    names, rest = (tmp_path / "log").read_text().rsplit("] ", 1)
    assert "SECRET" not in names
    assert "PYTHONPATH" in names
    assert rest == "/ True\n"


def test_a_program_ends_with_who_started_it(tmp_path: Path) -> None:
    """Also if that was killed: the kernel tells it."""
    code = (
        "import sys, time; from pathlib import Path; from hsm_mpc.lab.child import Child; "
        f"it = Child('it', [sys.executable, '-c', {SLEEPS!r}], Path({str(tmp_path / 'log')!r}), "
        "time.monotonic); it.want(); it.look_after(); print(it.kept.pid, flush=True); "
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: _gone(pid))


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_program_whose_parent_is_gone_already_ends_at_once() -> None:
    code = "import hsm_mpc.lab.child as c; c._end_with(1); print('still here')"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (said.returncode, said.stdout) == (1, b"")
    assert child_module.FIRST_PAUSE < child_module.LONGEST_PAUSE
