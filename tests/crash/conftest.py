"""Holders in this process, and in processes of their own."""

from __future__ import annotations

import pytest

from tests.agent.conftest import hsm_module, pin_arena, shielded, stores, worlds
from tests.agent.simulate import World, Worlds
from tests.crash.phoenix import Phoenix

__all__ = ["hsm_module", "pin_arena", "shielded", "stores", "worlds"]


@pytest.fixture
def world(worlds: Worlds) -> World:
    """Two holders."""
    return worlds(2)


@pytest.fixture
def phoenix(world: World) -> Phoenix:
    """The first of them, which dies."""
    return Phoenix(world, 1)
