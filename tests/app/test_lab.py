"""The lab's verbs where something is wrong; that they work, tests/lab shows with real processes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hsm_mpc.app import lab as lab_app
from hsm_mpc.app import lab_running
from hsm_mpc.errors import BackendError, BadInput, NotReady, Tampered
from hsm_mpc.lab import making
from hsm_mpc.lab.control import Kept
from hsm_mpc.lab.folder import COORDINATOR, LabFolder, LabState
from hsm_mpc.lab.processes import RunningProcess

STATE = LabState(("h1", "h2"), made=True, sockets="")
RUNS = Kept(4242, True, 1, None)


def silently(_: str) -> None:
    """Nothing needs to be said."""


@pytest.fixture
def lab(tmp_path: Path) -> LabFolder:
    """A lab that is down, with nothing in its holders' stores."""
    made = LabFolder(tmp_path / "lab")
    for name in STATE.holders:
        (made.holder(name) / "store").mkdir(parents=True)
    (made.path / "log").mkdir()
    made.save(STATE)
    return made


@pytest.fixture
def up(lab: LabFolder, monkeypatch: pytest.MonkeyPatch) -> LabFolder:
    """The same, with this process for its supervisor."""
    RunningProcess.this().remember(lab.supervisor)
    return lab


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_running, "_ENDING_SECONDS", 0.2)
    monkeypatch.setattr(lab_running, "_READY_SECONDS", 0.2)
    monkeypatch.setattr(lab_running, "_GLIMPSE", 0.01)


def kept(monkeypatch: pytest.MonkeyPatch, **programs: Kept) -> None:
    """What the supervisor says to every order."""
    monkeypatch.setattr(lab_running, "order", lambda *_: programs)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(BadInput, match="has other things in it"):
        lab_app.up(tmp_path, None, silently)
    for verb in (lab_app.status, lab_app.down, lab_app.destroy):
        with pytest.raises(BadInput, match="not a lab's folder"):
            verb(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="File exists"):
        lab_app.up(tmp_path / "file", None, silently)


def test_a_lab_keeps_its_number_of_holders(lab: LabFolder) -> None:
    with pytest.raises(BadInput, match="a lab of 2 holders, not 3"):
        lab_app.up(lab.path, 3, silently)


def test_a_holder_without_its_store_is_tampered_with(lab: LabFolder) -> None:
    shutil.rmtree(lab.holder("h2") / "store")
    with pytest.raises(Tampered, match="lab replace-holder h2"):
        lab_app.up(lab.path, None, silently)


def test_a_lab_whose_making_was_interrupted_is_made_anew(
    lab: LabFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As there is no roster yet, there is no wallet that could be lost."""
    lab.save(replace(STATE, made=False))
    made: list[object] = []
    for name in ("make_keys", "make_holders", "make_roster"):
        monkeypatch.setattr(making, name, lambda *_, name=name: made.append(name))
    monkeypatch.setattr(lab_app, "start_all", _refuse)
    with pytest.raises(BackendError):
        lab_app.up(lab.path, None, silently)
    assert made == ["make_keys", "make_holders", "make_roster"]
    assert lab.load().made


def _refuse(*_: object, **__: object) -> None:
    raise BackendError("not today")


@pytest.mark.parametrize(
    "verb", [lab_app.stop_holder, lab_app.start_holder, lab_app.replace_holder]
)
def test_an_unknown_holder_is_bad_input(
    lab: LabFolder, verb: Callable[[Path, str], object]
) -> None:
    with pytest.raises(BadInput, match="no holder of this lab is called 'h3'"):
        verb(lab.path, "h3")


@pytest.mark.parametrize("verb", [lab_app.stop_holder, lab_app.start_holder])
def test_a_lab_that_is_down_has_nothing_to_stop_or_start(
    lab: LabFolder, verb: Callable[[Path, str], object]
) -> None:
    with pytest.raises(NotReady, match="the lab is down"):
        verb(lab.path, "h1")


def test_a_folder_that_cannot_be_deleted_is_said(
    lab: LabFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", fail)
    with pytest.raises(BackendError, match="Permission denied"):
        lab_app.destroy(lab.path)


# Starting and ending


def test_a_program_that_dies_again_and_again_is_told_with_its_last_words(
    lab: LabFolder, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    monkeypatch.setattr(lab_running, "_missing", lambda *_: ["h1"])
    kept(monkeypatch, h1=Kept(None, True, lab_running._DEATHS, 4), h2=RUNS)
    with pytest.raises(BackendError, match="h1 does not start: it said nothing"):
        lab_running.wait_until_ready(lab, STATE, ["h1"])
    lab.log("h1").write_text("first\nthe PIN is wrong\n")
    with pytest.raises(BackendError, match="h1 does not start: the PIN is wrong"):
        lab_running.wait_until_ready(lab, STATE, ["h1"])


def test_what_takes_too_long_is_named(
    lab: LabFolder, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    monkeypatch.setattr(lab_running, "_missing", lambda *_: ["h2", COORDINATOR])
    kept(monkeypatch, h2=RUNS, coordinator=RUNS)
    with pytest.raises(BackendError, match="not ready: h2, coordinator"):
        lab_running.wait_until_ready(lab, STATE, ["h2"])


def test_a_coordinator_that_does_not_listen_is_missing_and_all_with_it(
    lab: LabFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_running, "connected", _refuse)
    assert lab_running._missing(lab, ["h1", "h2"]) == [COORDINATOR, "h1", "h2"]


def test_a_supervisor_that_does_not_start_says_why(
    lab: LabFolder, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    monkeypatch.setattr(lab_running, "write_settings", silently_all)
    (lab.path / "supervisor.lock").mkdir()
    with pytest.raises(BackendError, match="the supervisor does not start"):
        lab_running.start_all(lab, STATE, silently)


def silently_all(*_: object) -> None:
    """Nothing needs to be written."""


def test_a_supervisor_that_does_not_answer_is_told(
    up: LabFolder, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    monkeypatch.setattr(lab_running, "order", _refuse)
    with pytest.raises(BackendError, match="not today"):
        lab_running.start_all(up, STATE, silently)


@pytest.fixture
def deaf() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not end when asked to."""
    code = "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_supervisor_that_does_not_end_is_named(
    lab: LabFolder, deaf: subprocess.Popen[bytes], impatient: None
) -> None:
    started = Path(f"/proc/{deaf.pid}/stat").read_text().rpartition(")")[2].split()[19]
    this = RunningProcess.this()
    replace(this, pid=deaf.pid, started=int(started)).remember(lab.supervisor)
    with pytest.raises(BackendError, match=rf"\(pid {deaf.pid}\) does not end"):
        lab_app.down(lab.path)
    deaf.send_signal(signal.SIGKILL)


def test_a_holder_that_does_not_end_is_named(
    up: LabFolder, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    kept(monkeypatch, h1=RUNS)
    with pytest.raises(BackendError, match="h1 does not end"):
        lab_running.stop(STATE, "h1")
