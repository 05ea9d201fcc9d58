"""Randomness from two sources, the operating system and the HSM, joined by a hash (step 1.8.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hsm_mpc.encoding import u32be
from hsm_mpc.errors import BadInput
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Secret, move_public
from hsm_mpc.tags import Tag

SEED_BYTES: Final = 32

Fill = Callable[[int, int], None]
"""`fill(pointer, length)` writes `length` random bytes at `pointer`."""


class Entropy:
    """The two generators of a holder. Without an HSM the operating system is asked twice."""

    __slots__ = ("hsm_fill", "os_fill")

    def __init__(self, hsm_fill: Fill | None = None) -> None:
        self.os_fill: Fill = sodium.random_bytes
        self.hsm_fill: Fill = hsm_fill or sodium.random_bytes

    def seed(self, into: Secret) -> None:
        """32 random bytes that are no scalar: seeds, data keys (step 1.8.6a)."""
        if into.size != SEED_BYTES:
            raise BadInput(f"a seed is {SEED_BYTES} bytes, not {into.size}")
        with into.arena.scope() as take:
            message = take(len(Tag.SEED.prefix) + 2 * SEED_BYTES + 4)
            with message.open() as start, into.open() as out:
                move_public(start, Tag.SEED.prefix)
                self.os_fill(start + 64, SEED_BYTES)
                self.hsm_fill(start + 96, SEED_BYTES)
                move_public(start + 128, u32be(0))
                sodium.sha256(out, start, message.size)
