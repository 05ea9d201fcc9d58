"""What `doctor` says of the front and of a signer that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm_mpc.agent import landlock
from hsm_mpc.app import doctor
from hsm_mpc.app.status import Status
from hsm_mpc.config import FrontConfig, HolderConfig


def finding(front: FrontConfig | None) -> doctor.Finding:
    return doctor._front(HolderConfig.model_construct(front=front))


SOCKET = Path("run/front")


def test_a_holder_without_a_front_is_warned() -> None:
    assert finding(None).level == "warn"
    assert "holder.yaml" in finding(None).mend


@pytest.mark.parametrize(
    ("version", "user", "level", "reach"),
    [
        (7, None, "ok", "no file, no TCP"),
        (6, None, "ok", "no file, no TCP"),
        (3, None, "warn", "but the network"),
        (0, None, "warn", "all that this user reaches"),
        (0, "front", "ok", "as user front"),
        (3, "front", "ok", "as user front"),
    ],
)
def test_it_says_what_keeps_a_front_apart(
    monkeypatch: pytest.MonkeyPatch, version: int, user: str | None, level: str, reach: str
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: version)
    found = finding(FrontConfig(socket=SOCKET, user=user))
    assert found.level == level
    assert reach in found.message
    assert (found.mend == "") is (level == "ok")


def test_a_signer_that_runs_speaks_for_itself() -> None:
    ready = Status("h1", "ready", "all is well", False, 0, 4711, 4712)
    assert doctor._signer(ready).level == "ok"
    assert "4711" in doctor._signer(ready).message
    away = Status("h1", "tampered", "token away", True, 6, 4711, 4712)
    assert (doctor._signer(away).level, doctor._signer(away).exit_code) == ("fail", 4)
