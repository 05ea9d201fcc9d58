"""Fixtures of the tests of a coordinator: holders in this process, on real tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.hsm.module import Module
from hsm_mpc.secure.arena import Arena
from tests.agent.simulate import World
from tests.coordinator.office import Office
from tests.protocols.conftest import protocol_arena
from tests.softhsm import hsm_module, pin_arena

__all__ = ["hsm_module", "pin_arena", "protocol_arena"]


@pytest.fixture
def world(hsm_module: Module, pin_arena: Arena, tmp_path: Path) -> Iterator[World]:
    """Three holders of its own, for a test that leaves them different."""
    with World.made(hsm_module, pin_arena, tmp_path, 3) as world:
        yield world


@pytest.fixture
def office(world: World, tmp_path: Path) -> Iterator[Office]:
    """A coordinator of the holders of `world`, with an empty registry."""
    with Office.opened(world, tmp_path / "coordinator") as office:
        yield office


@pytest.fixture
def four(hsm_module: Module, pin_arena: Arena, tmp_path: Path) -> Iterator[Office]:
    """A 2-of-4 wallet, which three that adopt retire: W = 3."""
    with (
        World.made(hsm_module, pin_arena, tmp_path, 4) as world,
        Office.opened(world, tmp_path / "coordinator") as office,
    ):
        office.made()
        yield office


@pytest.fixture(scope="module")
def shared_world(
    hsm_module: Module, pin_arena: Arena, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, Path]]:
    """Three holders and a coordinator's folder, for tests that leave them as they were."""
    folder = tmp_path_factory.mktemp("shared")
    with World.made(hsm_module, pin_arena, folder, 3) as world:
        with Office.opened(world, folder / "coordinator") as office:
            office.made()
        yield world, folder / "coordinator"


@pytest.fixture
def shared_office(shared_world: tuple[World, Path]) -> Iterator[Office]:
    """A coordinator that has the 2-of-3 wallet `treasury`; all links are good at first."""
    world, folder = shared_world
    with Office.opened(world, folder) as office:
        yield office


@pytest.fixture
def treasury(shared_office: Office) -> VerifiedWallet:
    return shared_office.client.show("treasury")
