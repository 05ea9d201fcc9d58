"""Who lied about a share: the one ciphertext that an accuser complains of, opened (step 2.6.9)."""

from __future__ import annotations

from hsm_mpc.groups.sharing import share_is_committed
from hsm_mpc.protocols.dkg_messages import Dealing1, Setup
from hsm_mpc.protocols.pads import Route, session_pads, static_halves
from hsm_mpc.secure.arena import Secret


def dealt_soundly(setup: Setup, static: Secret, dealer: int, dealing: Dealing1) -> bool:
    """Whether `dealer` sealed the committed share for holder `setup.me`, whose d is `static`.

    Steps 2.5.7 and 2.5.8 for one pair; `setup` needs no extension.
    """
    group, arena = setup.suite.group, static.arena
    key = setup.key_of(dealer)
    with (
        arena.open(),
        arena.scope() as take,
        session_pads(setup.suite, setup.context, arena) as pads,
        static.open() as own_static,
        take(group.point_length).open() as half,
        take(group.scalar_length).open() as share,
    ):
        static_halves(setup.suite, own_static, [key], half)
        route = Route(dealing.ephemeral, key, setup.key_of(setup.me))
        if not pads.open(own_static, half, route, dealing.sealed[setup.me - 1], share):
            return False
        if not group.is_canonical_nonzero_at(share):
            return False
        return share_is_committed(group, share, dealing.commitments, setup.me)
