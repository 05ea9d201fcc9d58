"""What a thief has who copied the disk of a holder."""

from __future__ import annotations

import pytest

from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.agent.wallets import context_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import Tampered
from tests.agent.simulate import Party


def opener(party: Party, body: EpochBody) -> OpenableShare:
    """The share of an epoch as it is now: whoever keeps this has a copy of everything on disk."""
    acting = party.acting
    epochs = acting.epochs(body.terms.wallet_id)
    return OpenableShare.load(acting.token, epochs, context_of(acting, body))


def require_closed(party: Party, share: OpenableShare) -> None:
    """Not even the holder's own token opens it."""
    with party.acting.arena.scope() as take, pytest.raises(Tampered):
        share.open_into(take(64))
