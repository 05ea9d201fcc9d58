"""Holders in this process, and in processes of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.conftest import hsm_module, pin_arena, shielded, stores, worlds
from tests.agent.simulate import World, Worlds
from tests.crash.mortal import Place, mortals
from tests.crash.phoenix import Phoenix
from tests.memory_folder import IN_MEMORY

__all__ = ["hsm_module", "pin_arena", "shielded", "stores", "worlds"]


@pytest.fixture
def world(worlds: Worlds) -> World:
    """Two holders."""
    return worlds(2)


@pytest.fixture
def phoenix(world: World) -> Phoenix:
    """The first of them, which dies."""
    return Phoenix(world, 1)


@pytest.fixture
def place(softhsm_module: str) -> Iterator[Place]:
    """Two holders in processes of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="mortal-", dir=IN_MEMORY) as folder,
        mortals(Path(folder), softhsm_module, 2) as both,
    ):
        yield both
