"""Holders in this process, on real tokens."""

from __future__ import annotations

from tests.agent.conftest import hsm_module, pin_arena, shielded, stores, worlds
from tests.coordinator.conftest import shared_office, shared_world, treasury

__all__ = [
    "hsm_module",
    "pin_arena",
    "shared_office",
    "shared_world",
    "shielded",
    "stores",
    "treasury",
    "worlds",
]
