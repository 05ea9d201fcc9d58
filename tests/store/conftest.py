"""A private folder for a store; in memory where there is one, since fsync is not judged here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.memory_folder import IN_MEMORY


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY, prefix="hsm-mpc-test-") as name:
        yield Path(name)
