"""What must hold of one holder's epochs of a wallet, and of copies of its disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hsm_mpc.agent.opener import key_id_in
from hsm_mpc.agent.succession.live import opened_share
from hsm_mpc.agent.wallets import body_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import Tampered
from hsm_mpc.hsm.register import Register
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.store.record import EpochState
from tests.agent.making import keks

if TYPE_CHECKING:
    from tests.agent.simulate import Party


def require_whole(party: Party, live: EpochBody) -> None:
    """It is at this epoch and no other, has one key, and nothing of any attempt is left."""
    acting, wallet_id = party.acting, live.terms.wallet_id
    assert acting.registers.read(wallet_id) == Register(live.hash)
    (record,) = acting.epochs(wallet_id).records()
    assert (record.epoch_hash, record.state) == (live.hash, EpochState.ACTIVE)
    assert keks(party) == [key_id_in(acting.token, record.kek_uri)]
    assert acting.attempts(wallet_id).all() == ()
    folder = acting.store._folder
    assert [path for path in folder.rglob("*") if ".tmp-" in path.name] == []
    with opened_share(acting, live):
        pass


def openable(party: Party, live: EpochBody, copy: Path) -> set[bytes]:
    """Epochs of which the own token opens the share that is on a copy of the own disk."""
    store = HolderStore.open(copy)
    try:
        acting = replace(party.acting, store=store)
        epochs, found = acting.epochs(live.terms.wallet_id), set[bytes]()
        for record in epochs.records():
            h = record.epoch_hash
            body = body_of(h, epochs.kept(h, EpochDocument.BODY) or b"")
            try:
                with opened_share(acting, body):
                    found.add(bytes(h))
            except Tampered:
                continue
        return found
    finally:
        store.close()


def require_closed_copies(party: Party, live: EpochBody, *copies: Path) -> None:
    """Whoever has copied the disk opens no share but that of the live epoch, not even with the
    holder's own token.
    """
    for copy in copies:
        assert openable(party, live, copy) <= {bytes(live.hash)}
