"""Holders that cannot be made say why, and leave nothing that another try would take for done."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError, Tampered
from hsm_mpc.lab import making
from hsm_mpc.lab.folder import LabFolder
from hsm_mpc.lab.softhsm import SOFTHSM


def test_a_module_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSM_MPC_SOFTHSM_MODULE", "/nowhere.so")
    with pytest.raises(BackendError, match=r"h1: .*/nowhere\.so") as failure:
        making.make_holders(LabFolder(tmp_path), {"h1": SOFTHSM})
    assert not failure.value.retryable


def test_what_an_earlier_try_left_is_not_in_the_way(
    softhsm_module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSM_MPC_SOFTHSM_MODULE", softhsm_module)
    lab = LabFolder(tmp_path)
    (lab.holder("h1") / "store").mkdir(parents=True)
    making.make_holders(lab, {"h1": SOFTHSM})
    making.make_roster(lab, ["h1"])
    assert lab.roster.read_bytes() == (lab.holder("h1") / "roster").read_bytes()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(7)", "h1: ended with 7"),
        ("print('{}'); raise SystemExit(1)", "h1: ended with 1"),
        ("import time; time.sleep(60)", "h1: not made within 0.2 seconds"),
    ],
)
def test_a_process_that_fails_without_a_word_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    monkeypatch.setattr(making, "_SECONDS", 0.2 if "sleep" in code else 20.0)
    monkeypatch.setattr(
        making,
        "_making",
        lambda *_: subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE),
    )
    with pytest.raises(BackendError, match=said):
        making.make_holders(LabFolder(tmp_path), {"h1": SOFTHSM})


def test_a_card_that_is_gone_or_none_is_said(tmp_path: Path) -> None:
    lab = LabFolder(tmp_path)
    with pytest.raises(Tampered, match="card"):
        making.make_roster(lab, ["h1"])
    (lab.holder("h1") / "store").mkdir(parents=True)
    (lab.holder("h1") / "store" / "card").write_bytes(b"no card")
    with pytest.raises(Tampered, match="card"):
        making.make_roster(lab, ["h1"])


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    lab = LabFolder(tmp_path)
    making.make_keys(lab)
    before = [path.read_bytes() for path in (lab.client_key, lab.coordinator_key)]
    making.make_keys(lab)
    assert [path.read_bytes() for path in (lab.client_key, lab.coordinator_key)] == before
    assert before[0] != before[1]
    assert stat.S_IMODE(lab.client_key.stat().st_mode) == 0o600
