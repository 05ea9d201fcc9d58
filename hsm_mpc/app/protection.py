"""What every process that will hold secrets does first. It imports nothing that takes long."""

from __future__ import annotations

from hsm_mpc.secure.process import bind_now, harden


def protect() -> None:
    """Bound symbols, no dumps, no tracers; this program may be executed anew."""
    bind_now()
    harden()
