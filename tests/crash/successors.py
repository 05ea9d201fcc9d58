"""What must hold of one holder's epochs of a wallet, and of copies of its disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.offers import kept_offer
from hsm_mpc.agent.opener import key_id_in
from hsm_mpc.agent.succession.live import opened_share
from hsm_mpc.agent.wallets import body_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import Refused, Tampered
from hsm_mpc.hsm.register import Register
from hsm_mpc.ids import WalletId
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.store.record import NOT_SEALED, EpochState
from tests.agent.making import keks
from tests.memory_folder import IN_MEMORY

if TYPE_CHECKING:
    from tests.agent.simulate import Party
    from tests.crash.phoenix import Phoenix


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


def require_keys_of_records(party: Party, wallet_id: WalletId) -> None:
    """After a start: every record has its share and its key, and no other key is there, but that
    of a repair that waits.
    """
    acting = party.acting
    records = acting.epochs(wallet_id).records()
    assert all(each.blob_digest != NOT_SEALED for each in records)
    named = {key_id_in(acting.token, uri) for each in records for uri in each.kek_uris}
    found, offered = set(keks(party)), kept_offer(acting, wallet_id)
    if offered is not None:
        found -= {key_id_in(acting.token, offered.kek_uri)} - named
    assert found == named, "a key that no record names, or a record without key"


def openable(party: Party, live: EpochBody, copy: Path) -> set[bytes]:
    """Epochs of which the own token opens the share that is on a copy of the own disk."""
    store = HolderStore.open(copy)
    try:
        acting = replace(party.acting, store=store)
        epochs, found = acting.epochs(live.terms.wallet_id), set[bytes]()
        for record in epochs.records():
            h = record.epoch_hash
            if opens(acting, body_of(h, epochs.kept(h, EpochDocument.BODY) or b"")):
                found.add(bytes(h))
        return found
    finally:
        store.close()


def opens(holder: ActingHolder, body: EpochBody) -> bool:
    """Whether it opens its share of this epoch."""
    try:
        with opened_share(holder, body):
            return True
    except (Refused, Tampered):
        return False


def require_closed_copies(party: Party, live: EpochBody, *copies: Path) -> None:
    """Whoever has copied the disk opens no share but that of the live epoch, not even with the
    holder's own token.
    """
    for copy in copies:
        assert openable(party, live, copy) <= {bytes(live.hash)}


class Copies:
    """Of the disks of some holders, by operators or thieves."""

    MOST: ClassVar[int] = 6
    """Of one disk: all are tried in the end."""

    def __init__(self, phoenixes: Mapping[int, Phoenix]) -> None:
        self._phoenixes = phoenixes
        self._folder = Path(tempfile.mkdtemp(prefix="copies-", dir=IN_MEMORY))
        self._copies: dict[int, list[Path]] = {index: [] for index in phoenixes}

    def of(self, index: int) -> list[Path]:
        """The oldest first."""
        return self._copies[index]

    def take(self, index: int) -> None:
        """Of everything there; where there are enough, the oldest stays and the next one goes."""
        if len(self.of(index)) == self.MOST:
            del self.of(index)[1]
        copy = Path(tempfile.mkdtemp(dir=self._folder))
        shutil.copytree(self._phoenixes[index].folder, copy, dirs_exist_ok=True)
        self.of(index).append(copy)

    def remove(self) -> None:
        shutil.rmtree(self._folder)
