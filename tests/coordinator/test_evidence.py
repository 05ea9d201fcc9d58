"""Evidence is kept once, private, and a full disk does not stop signing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hsm_mpc.coordinator import evidence
from hsm_mpc.coordinator.evidence import Accusation, EvidenceFolder
from hsm_mpc.coordinator.quorum_actions import Exclude, Suspect
from hsm_mpc.encoding import lv32
from hsm_mpc.store.evidence import MOST_FILES
from tests.coordinator.test_links import ROSTER


def test_evidence_is_kept_verbatim_and_private(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = EvidenceFolder(tmp_path / "evidence", ROSTER)
    folder.keep(Exclude(2, "wrong partial", (b"list", b"partial")))
    (case,) = (tmp_path / "evidence").iterdir()
    assert case.read_bytes() == lv32(b"list") + lv32(b"partial")
    assert stat.S_IMODE(case.stat().st_mode) == 0o600
    said = capfd.readouterr().err
    assert f"holder h2 is excluded: wrong partial; evidence: {case}" in said


def test_a_case_that_is_there_is_not_told_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = EvidenceFolder(tmp_path / "evidence", ROSTER)
    case = Suspect((1, 3), (b"one", b"other"))
    folder.keep(case)
    assert "holders h1 and h3 offered one nonce" in capfd.readouterr().err
    folder.keep(case)
    assert capfd.readouterr().err == ""


def test_a_disk_that_fails_is_said_and_stops_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "evidence").write_bytes(b"")
    EvidenceFolder(tmp_path / "evidence", ROSTER).keep(Exclude(1, "bad", (b"x",)))
    said = capfd.readouterr().err
    assert "evidence is lost" in said
    assert "holder h1 is excluded: bad\n" in said


def test_a_full_folder_is_said_and_takes_no_more_until_cases_are_moved_away(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MOST_CASES", 2)
    monkeypatch.setattr(evidence, "LEFT_TO_PROOFS", 0)
    folder = EvidenceFolder(tmp_path / "evidence", ROSTER)
    cases = [Accusation(f"h{i} lied", (bytes([i]),)) for i in (1, 2, 3)]
    for case in cases[:2]:
        folder.keep(case)
    first, second = (tmp_path / "evidence").iterdir()
    assert "is lost" not in capfd.readouterr().err
    folder.keep(cases[2])
    said = capfd.readouterr().err
    assert "evidence is lost" in said
    assert "2 cases are there: move them away\n" in said
    assert said.endswith("h3 lied\n")
    assert {*(tmp_path / "evidence").iterdir()} == {first, second}
    folder.keep(cases[1])  # what is there is told of again
    assert "h2 lied; evidence: " in capfd.readouterr().err
    first.rename(tmp_path / first.name)
    folder.keep(cases[2])
    assert "h3 lied; evidence: " in capfd.readouterr().err


def test_what_proves_nothing_leaves_room_for_what_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MOST_CASES", 3)
    monkeypatch.setattr(evidence, "LEFT_TO_PROOFS", 2)
    folder = EvidenceFolder(tmp_path / "evidence", ROSTER)
    folder.keep(Accusation("h1 may have lied", (b"1",)))
    folder.keep(Suspect((1, 3), (b"one", b"other")))
    assert "1 cases are there: move them away" in capfd.readouterr().err
    folder.keep(Accusation("h2 is convicted", (b"2",), is_proven=True))
    folder.keep(Exclude(3, "wrong partial", (b"3",)))
    assert "is lost" not in capfd.readouterr().err
    assert len([*(tmp_path / "evidence").iterdir()]) == 3


def test_as_many_cases_are_kept_as_at_a_holder() -> None:
    assert evidence.MOST_CASES == MOST_FILES
