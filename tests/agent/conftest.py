"""Real holders in one process: each with its own token in one SoftHSM, its own store and arena."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hsm_mpc.hsm.module import Module
from hsm_mpc.secure.arena import Arena
from tests.agent.simulate import World, Worlds
from tests.softhsm import hsm_module, pin_arena

__all__ = ["hsm_module", "pin_arena"]


@pytest.fixture
def worlds(hsm_module: Module, pin_arena: Arena, tmp_path: Path) -> Iterator[Worlds]:
    """`worlds(n)`: n holders of one lab roster, a coordinator and a client."""
    with ExitStack() as stack:

        def make(n: int) -> World:
            return stack.enter_context(World.made(hsm_module, pin_arena, tmp_path, n))

        yield make


@pytest.fixture
def world(worlds: Callable[[int], World]) -> World:
    """Three holders."""
    return worlds(3)
