"""A remembered process is known again by its start: who got its pid later is never signalled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hsm_mpc.lab.processes import RunningProcess, command, descendants, environment
from tests.agent.processes import until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def of(process: subprocess.Popen[bytes], file: Path) -> RunningProcess:
    """The process, as it would have remembered itself."""
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    found = replace(RunningProcess.this(), pid=process.pid, started=int(started))
    found.remember(file)
    return found


def test_a_running_process_is_remembered(tmp_path: Path) -> None:
    RunningProcess.this().remember(tmp_path / "p")
    assert RunningProcess.remembered(tmp_path / "p") == RunningProcess.this()


def test_an_ended_process_is_forgotten(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    of(sleeper, tmp_path / "p")
    assert RunningProcess.remembered(tmp_path / "p") is not None
    sleeper.kill()
    sleeper.wait()
    assert RunningProcess.remembered(tmp_path / "p") is None


def test_one_that_ended_and_was_not_looked_at_has_ended(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    process = of(sleeper, tmp_path / "p")
    assert process.end(signal.SIGKILL, 10)
    assert not process.runs()


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}])
def test_a_pid_that_was_given_away_is_not_signalled(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], change: dict[str, object]
) -> None:
    other = replace(of(sleeper, tmp_path / "p"), **change)  # type: ignore[arg-type]
    other.remember(tmp_path / "p")
    assert RunningProcess.remembered(tmp_path / "p") is None
    assert other.end(signal.SIGKILL, 0)
    assert sleeper.poll() is None


def test_a_process_that_does_not_end_is_told(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    assert not of(sleeper, tmp_path / "p").end(signal.SIGCONT, 0.05)


def test_a_pid_that_nobody_has_has_ended(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    assert replace(RunningProcess.this(), pid=sleeper.pid).end(signal.SIGTERM, 0)


def test_descendants_are_children_and_theirs_that_have_not_ended() -> None:
    nested = subprocess.Popen(["sh", "-c", "sleep 60 & true & wait"])
    until(lambda: list(descendants(nested.pid).values()) == ["sleep"], "one child that sleeps")
    (sleep,) = descendants(nested.pid)
    assert {nested.pid: "sh", sleep: "sleep"}.items() <= descendants(os.getpid()).items()
    nested.kill()
    nested.wait()
    assert nested.pid not in descendants(os.getpid())
    assert descendants(nested.pid) == {}
    os.kill(sleep, signal.SIGKILL)


@pytest.mark.parametrize("content", ["", "{}", "[]", json.dumps({"pid": "x"})])
def test_a_file_that_names_no_process_names_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "p").write_text(content)
    assert RunningProcess.remembered(tmp_path / "p") is None
    assert RunningProcess.remembered(tmp_path / "nowhere") is None


def test_a_program_imports_from_where_this_one_does(tmp_path: Path) -> None:
    code = "import os, hsm_mpc; print(hsm_mpc.__file__, os.environ['LD_BIND_NOW'])"
    said = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=environment({}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    import hsm_mpc

    assert said.stdout.split() == [hsm_mpc.__file__, "1"]
    assert set(environment({"A": "b"})) == {"A", "PYTHONPATH", "LD_BIND_NOW", "LANG"}


def test_a_command_is_this_very_program() -> None:
    help_text = subprocess.run(
        command("--help"), env=environment(os.environ), capture_output=True, text=True, check=True
    )
    assert "  lab " in help_text.stdout
