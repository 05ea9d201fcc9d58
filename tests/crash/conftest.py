"""Holders in this process, and in processes of their own."""

from __future__ import annotations

from tests.agent.conftest import hsm_module, pin_arena, shielded, stores, worlds

__all__ = ["hsm_module", "pin_arena", "shielded", "stores", "worlds"]
