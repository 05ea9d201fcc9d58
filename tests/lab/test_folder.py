"""What is remembered of a lab is whole or not at all, and a lab's folder is known as one."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.lab.folder import LabFolder, LabState, write_private

STATE = LabState(("h1", "h2"), made=True, sockets="/tmp/x")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    lab = LabFolder(tmp_path)
    assert not lab.is_lab()
    lab.save(STATE)
    assert lab.is_lab()
    assert lab.load() == STATE


def test_another_folder_is_no_lab(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a lab's folder"):
        LabFolder(tmp_path).load()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        json.dumps({"version": 1, "holders": ["../x"], "made": 1, "sockets": ""}),
        json.dumps({"version": 1, "holders": [1], "made": True, "sockets": ""}),
        json.dumps({"version": 2, "holders": [], "made": True, "sockets": ""}),
    ],
)
def test_a_damaged_mark_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "lab.json").write_text(content)
    with pytest.raises(Tampered):
        LabFolder(tmp_path).load()


def test_verbs_come_one_after_another(tmp_path: Path) -> None:
    lab, came = LabFolder(tmp_path), threading.Event()

    def second() -> None:
        with lab.locked():
            came.set()

    with lab.locked():
        thread = threading.Thread(target=second)
        thread.start()
        assert not came.wait(0.1)
    thread.join()
    assert came.is_set()


def test_no_folder_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(BadInput), LabFolder(tmp_path / "nowhere").locked():
        pass


def test_a_file_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o644)
    write_private(path, "after")
    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
