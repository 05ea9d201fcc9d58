"""Key generation of real holders over their own tokens and stores."""

from __future__ import annotations

from hsm_mpc.secure.process import run_shielded
from hsm_mpc.store.record import EpochState
from tests.agent.simulate import World, made_wallet


def test_a_wallet_is_active_at_every_holder_after_n_dones(world: World) -> None:
    certificate = run_shielded(lambda: made_wallet(world))
    certificate.verify(world.roster)
    for party in world.parties.values():
        (held,) = party.wallets.all()
        assert held.record.state is EpochState.ACTIVE
        assert held.body == certificate.body
