"""Three holders on real tokens with two wallets on Ed25519: one signs everything, one messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hsm_mpc.hsm.module import Module
from hsm_mpc.ids import Scheme
from hsm_mpc.secure.arena import Arena
from tests.agent.simulate import World
from tests.consumers.wallet import Wallet
from tests.coordinator.office import Office
from tests.softhsm import hsm_module, pin_arena

__all__ = ["hsm_module", "pin_arena"]


@pytest.fixture(scope="session")
def office(
    hsm_module: Module, pin_arena: Arena, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("consumers")
    with (
        World.made(hsm_module, pin_arena, folder, 3) as world,
        Office.opened(world, folder / "coordinator") as office,
    ):
        yield office


@pytest.fixture(scope="session")
def raw_wallet(office: Office) -> Wallet:
    """Its policy allows messages and whatever else somebody may take for his own."""
    policy = b"version: 1\npermissions: [raw, message]\n"
    return Wallet(office, office.client.create("raw", Scheme.ED25519, 2, policy))


@pytest.fixture(scope="session")
def message_wallet(office: Office) -> Wallet:
    """Its policy allows nothing but messages."""
    policy = b"version: 1\npermissions: [message]\n"
    return Wallet(office, office.client.create("message", Scheme.ED25519, 2, policy))
