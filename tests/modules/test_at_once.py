"""Eight threads in each of three processes on one token, one of them killed and started anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.modules.at_once import PROCESSES
from tests.modules.conftest import told_by
from tests.modules.test_facts import on_each
from tests.modules.worker import WRITER

pytestmark = pytest.mark.xdist_group("modules")

ENDS = 600.0
"""Seconds that it takes at most besides, on a busy machine: each kill means a start."""


def at_once(folder: Path, name: str, seconds: float, kills: int) -> list[dict[str, Any]]:
    """What the processes say, after what holds for each was looked at."""
    told, said = told_by("at_once", folder, name, seconds, kills, seconds=seconds + ENDS)
    assert told["killed"] == kills
    assert "Buff" not in said  # which pkcsslotd prints every ten seconds, from the second one on
    processes: list[dict[str, Any]] = told["processes"]
    assert len(processes) == PROCESSES
    for process in processes:
        assert process["wrong"] == []
        assert process["sessions"]["ours"] == 1  # that of the login, which stays
        assert name != "nss" or process["sessions"]["its"] == 1  # others tell none, or everybody's
        assert process["opened"] > 0
        assert process["signed"] > 0
    assert processes[WRITER]["written"] > 0
    assert processes[WRITER]["registers_left"] == 0
    return processes


@on_each
def test_processes_and_threads_use_one_token_while_one_is_killed_and_comes_back(
    holder_folder: Path, name: str
) -> None:
    at_once(holder_folder, name, 5, kills=1)


@pytest.mark.long
@on_each
def test_for_minutes_a_process_is_killed_and_comes_back_while_others_work(
    holder_folder: Path, name: str
) -> None:
    at_once(holder_folder, name, 120, kills=30)
