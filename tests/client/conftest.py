"""A client with a coordinator that can be made to lie."""

from tests.coordinator.conftest import (
    hsm_module,
    office,
    pin_arena,
    shared_office,
    shared_world,
    treasury,
    world,
)

__all__ = [
    "hsm_module",
    "office",
    "pin_arena",
    "shared_office",
    "shared_world",
    "treasury",
    "world",
]
