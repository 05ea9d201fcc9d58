"""One share under its pad, as its sender signed it: what its receiver may complain of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hsm_mpc.protocols.pads import Route, session_pads, static_halves
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret


@dataclass(frozen=True, slots=True)
class Delivered:
    """All of it public but for the share."""

    suite: Suite
    context: bytes
    route: Route
    ciphertext: bytes
    is_sound: Callable[[bool, int], bool]
    """Whether the sender did not lie: told whether it opened, and the address of the share, behind
    which lies the room of one scalar more."""

    def opens_soundly(self, own: Secret) -> bool:
        """What its receiver finds; `own` is the secret of the receiver's key."""
        group, arena = self.suite.group, own.arena
        with (
            arena.open(),
            arena.scope() as take,
            session_pads(self.suite, self.context, arena) as pads,
            own.open() as secret,
            take(group.point_length).open() as half,
            take(2 * group.scalar_length).open() as share,
        ):
            static_halves(self.suite, secret, [self.route.sender], half)
            opened = pads.open(secret, half, self.route, self.ciphertext, share)
            return self.is_sound(opened, share)

    def opens_soundly_as_revealed(self, halves: tuple[bytes, bytes], arena: Arena) -> bool:
        """What anybody finds, given S^e and S^d."""
        room = arena.room(2 * self.suite.group.scalar_length)
        with session_pads(self.suite, self.context, arena) as pads, room as share:
            opened = pads.open_revealed(halves, self.route, self.ciphertext, share)
            return self.is_sound(opened, share)
