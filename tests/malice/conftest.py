"""Real holders in one process; see tests/agent/conftest.py."""

from tests.agent.conftest import shielded, stores
from tests.softhsm import hsm_module, pin_arena

__all__ = ["hsm_module", "pin_arena", "shielded", "stores"]
