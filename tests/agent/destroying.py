"""A wallet being destroyed: what a coordinator says for it."""

from __future__ import annotations

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.destruction import Destroy
from hsm_mpc.wire.rounds import DESTROY
from tests.agent.simulate import NOTHING, World

REASON = "the customer has left"


def destroy_of(world: World, body: EpochBody, nonce: bytes = b"n" * 32) -> Destroy:
    """That this wallet, whose newest epoch is `body`, shall go."""
    return Destroy(body.terms.wallet_id, body.hash, REASON, world.clock() + 600, nonce)


def said(world: World, order: Destroy) -> bytes:
    """The DESTROY message."""
    return world.said(DESTROY, order.wallet_id, NOTHING, order.epoch_hash, order.to_bytes())
