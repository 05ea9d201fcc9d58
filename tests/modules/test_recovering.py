"""A token's daemon is killed with SIGKILL while the token is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.modules.conftest import told_by
from tests.modules.daemons import DAEMONS
from tests.modules.recovering import IN_ORDER

pytestmark = pytest.mark.xdist_group("modules")

AWAY = {"exit": 4, "kind": "unavailable", "retryable": True}
BY_ITS_CLIENTS_UNNOTICED = {"opencryptoki": ["only_daemon_killed"]}
"""Whoever is logged in does without it."""


@pytest.mark.parametrize("name", DAEMONS)
def test_a_token_whose_daemon_is_killed_is_away_and_comes_back_by_itself(
    holder_folder: Path, name: str
) -> None:
    told, _ = told_by("recovering", holder_folder, name, name)
    assert list(told) == [fact.__name__ for fact in IN_ORDER[name]]
    sessions = told.pop("left")
    for what, found in told.items():
        assert found["good"] >= 2, what
        unnoticed = what in BY_ITS_CLIENTS_UNNOTICED.get(name, ())
        assert found["met"] == [] if unnoticed else _only_away(found["met"]), what
        assert found["another"] == (what != "clients_process_killed"), what
    assert sessions["ours"] == 1
    assert sessions["its"] in (1, None)


def _only_away(met: list[dict[str, Any]]) -> bool:
    return bool(met) and all(each == AWAY for each in met)
