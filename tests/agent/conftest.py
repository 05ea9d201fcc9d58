"""Real holders in one process: each with its own token in one SoftHSM, its own store and arena."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hsm_mpc.hsm.module import Module
from hsm_mpc.secure import process
from hsm_mpc.secure.arena import Arena
from tests.agent.making import Making
from tests.agent.simulate import World, Worlds
from tests.memory_folder import IN_MEMORY
from tests.softhsm import hsm_module, pin_arena

__all__ = ["hsm_module", "pin_arena"]


@pytest.fixture
def stores() -> Iterator[Path]:
    """A folder for stores, in memory where there is one: fsync costs nothing there."""
    with tempfile.TemporaryDirectory(prefix="stores-", dir=IN_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def shielded(monkeypatch: pytest.MonkeyPatch) -> None:
    """This thread may open secrets: what a signal would spill of them here is a test's."""
    monkeypatch.setattr(process._thread, "shielded", True, raising=False)


@pytest.fixture
def worlds(hsm_module: Module, pin_arena: Arena, stores: Path) -> Iterator[Worlds]:
    """`worlds(n)`: n holders of one lab roster, a coordinator and a client."""
    with ExitStack() as stack:

        def make(n: int, rsa_only: Collection[int] = ()) -> World:
            return stack.enter_context(World.made(hsm_module, pin_arena, stores, n, rsa_only))

        yield make


@pytest.fixture
def world(worlds: Worlds) -> World:
    """Three holders."""
    return worlds(3)


@pytest.fixture
def making(world: World) -> Making:
    """A 2-of-3 wallet in epoch 0."""
    making = Making.of(world)
    making.active()
    return making
