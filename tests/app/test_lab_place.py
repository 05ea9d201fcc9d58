"""Commands for a lab's holder go where its token can be reached."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hsm_mpc.app import lab_place
from hsm_mpc.lab.folder import LabFolder, LabState
from hsm_mpc.lab.kind import ROOT
from hsm_mpc.store.lock import StoreLock

Executed = list[tuple[list[str], str]]


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Executed:
    """What would have been executed: the command, and its mark."""
    calls: Executed = []

    def execve(program: str, command: list[str], environment: dict[str, str]) -> None:
        assert program == command[0]
        calls.append((command, environment["HSM_MPC_INSIDE"]))

    monkeypatch.delenv("HSM_MPC_INSIDE", raising=False)
    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "hsm_mpc", "doctor"])
    return calls


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """h1 on SoftHSM2, h2 behind p11-kit."""
    kinds = ("softhsm", "p11kit")
    LabFolder(tmp_path).save(LabState(("h1", "h2"), made=True, sockets="", kinds=kinds))
    for name in ("h1", "h2"):
        (tmp_path / name / "store").mkdir(parents=True)
    return tmp_path


def test_the_token_of_such_a_holder_is_reached_through_its_wrapper(
    lab: Path, executed: Executed
) -> None:
    lab_place.enter(lab / "h2" / "holder.yaml")
    ((command, mark),) = executed
    assert command == [
        *(str(ROOT / "p11kit" / "inside"), str(lab / "h2" / "token")),
        *(sys.executable, "-m", "hsm_mpc", "doctor"),
    ]
    assert mark == str(lab / "h2")


def test_whoever_is_there_stays(
    lab: Path, executed: Executed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSM_MPC_INSIDE", str(lab / "h2"))
    lab_place.enter(lab / "h2" / "holder.yaml")
    assert executed == []


def test_nobody_goes_where_somebody_works(lab: Path, executed: Executed) -> None:
    lock = lab / "h2" / "store" / "lock"
    with StoreLock.take(lock):
        lab_place.enter(lab / "h2" / "holder.yaml")
    assert executed == []
    lab_place.enter(lab / "h2" / "holder.yaml")
    assert len(executed) == 1


def test_other_tokens_and_other_folders_are_reached_as_they_are(
    lab: Path, executed: Executed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lab_place.enter(lab / "h1" / "holder.yaml")
    lab_place.enter(lab / "h9" / "holder.yaml")
    lab_place.enter(tmp_path_factory.mktemp("real") / "holder.yaml")
    (lab / "lab.json").write_text("no lab")
    lab_place.enter(lab / "h2" / "holder.yaml")
    assert executed == []
