"""Holders on openCryptoki's software token, each with a daemon in namespaces of its own.

DIR/token/    the token, as /var/lib/opencryptoki
"""

from __future__ import annotations

from typing import Final

from hsm_mpc.lab.kind import Kind

OPENCRYPTOKI: Final = Kind(
    name="opencryptoki",
    section=lambda _: {},
    wrapper="opencryptoki/inside",
    pin_characters=8,  # it takes no longer ones, and locks after three wrong ones
)
