"""Holders on SoftHSM2 behind `p11-kit server`: the token is in another process.

DIR/token/    SoftHSM2's tokens and configuration, and the server's socket
"""

from __future__ import annotations

from typing import Final

from hsm_mpc.lab.kind import Kind

P11KIT: Final = Kind(name="p11kit", section=lambda _: {}, wrapper="p11kit/inside")
