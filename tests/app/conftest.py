"""Holders in this process, on real tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsm_mpc.app import orders, repairs
from hsm_mpc.client.wallets import WalletClient
from tests.agent.conftest import hsm_module, pin_arena, shielded, stores, worlds
from tests.coordinator.conftest import office, shared_office, shared_world, treasury, world
from tests.coordinator.office import Office

__all__ = [
    "hsm_module",
    "office",
    "pin_arena",
    "shared_office",
    "shared_world",
    "shielded",
    "stores",
    "treasury",
    "world",
    "worlds",
]


@pytest.fixture
def connected(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Whatever client.yaml says, the client of this office is connected."""

    @contextmanager
    def opened(_: Path) -> Iterator[WalletClient]:
        yield office.client

    for module in (orders, repairs):
        monkeypatch.setattr(module, "connected", opened)
    return office
