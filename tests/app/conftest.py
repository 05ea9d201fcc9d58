"""Holders in this process, on real tokens."""

from __future__ import annotations

from tests.agent.conftest import hsm_module, pin_arena, stores, worlds

__all__ = ["hsm_module", "pin_arena", "stores", "worlds"]
