"""A holder for each test, copied from one that was made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.doctor.places import Place
from tests.softhsm import locked_token, own_token

__all__ = ["locked_token", "own_token"]


@pytest.fixture(scope="session")
def made_place(softhsm_module: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Nobody changes it: see `place`."""
    return Place.made(tmp_path_factory.mktemp("doctor") / "h1", softhsm_module)


@pytest.fixture
def place(made_place: Place, tmp_path: Path) -> Place:
    """A holder that a test may spoil."""
    return made_place.copied(tmp_path / "h1")
