"""Which wallets this holder is making: their names are taken, and one thread at a time works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from hsm_mpc.agent.keygen import KeyGeneration
from hsm_mpc.agent.keygen_files import KeygenFiles
from hsm_mpc.errors import NameTaken, Refused
from hsm_mpc.ids import WalletId

ROUND_SECONDS: Final = 30.0
"""How long a session waits for its next round (step 1.6.7)."""


@dataclass(slots=True)
class Reserved:
    """A PROPOSAL that is on disk and has not ended (step 1.6.5), or is just about to be."""

    files: KeygenFiles
    live: KeyGeneration | None = None
    """The session while it has secrets."""
    prepared: bool = False
    """Its share is sealed: it waits for its certificate, or for its operator."""
    until: float = 0.0
    """When it has waited for its next round too long; of a monotonic clock."""

    def taken(self) -> NameTaken:
        """The refusal of another wallet of this name, with what ends it."""
        name = self.files.proposal.name
        if self.prepared:
            return NameTaken(
                f"a wallet called {name!r} waits for its certificate: hsm-mpc wallet show {name} "
                f"finishes it; if that knows none, hsm-mpc share discard {name}"
            )
        return NameTaken(
            f"a wallet called {name!r} is being made; unless that goes on, the name is free again "
            f"after {ROUND_SECONDS:.0f} s"
        )


class Reservations:
    """The table of them. Locks in this order: that of a wallet, then that of the table."""

    def __init__(self) -> None:
        self._table = threading.Lock()
        self._reserved: dict[WalletId, Reserved] = {}
        self._locks: WeakValueDictionary[WalletId, _WalletLock] = WeakValueDictionary()

    @contextmanager
    def alone_with(self, wallet_id: WalletId, *, wait: bool = True) -> Iterator[bool]:
        """Nobody else works on this wallet while the body runs; False: somebody does."""
        with self._table:
            lock = self._locks.get(wallet_id)
            if lock is None:
                lock = self._locks[wallet_id] = _WalletLock()
        mine = lock.taken.acquire(blocking=wait)
        try:
            yield mine
        finally:
            if mine:
                lock.taken.release()

    def find(self, wallet_id: WalletId) -> Reserved | None:
        """What is reserved for a wallet."""
        return self._reserved.get(wallet_id)

    def all(self) -> tuple[Reserved, ...]:
        """All of them."""
        with self._table:
            return tuple(self._reserved.values())

    def add(self, files: KeygenFiles, has_name: Callable[[str], bool], most: int) -> Reserved:
        """Reserve the name of a PROPOSAL, checked under one lock (step 1.6.5).

        Args:
            has_name: whether a wallet in the store has it.
            most: sessions with secrets at once.

        Raises:
            NameTaken: a wallet has the name, or one that is being made.
            Refused: `too-many-ceremonies`.
        """
        with self._table:
            self._require_free(files.proposal.name, has_name)
            if sum(self._is_begun(each) for each in self._reserved.values()) >= most:
                raise Refused("too-many-ceremonies", "too many wallets are being made at once")
            reserved = Reserved(files)
            self._reserved[files.wallet_id] = reserved
            return reserved

    def require_free(self, name: str, has_name: Callable[[str], bool]) -> None:
        """As `add` would, before anybody is asked.

        Raises:
            NameTaken: a wallet has the name, or one that is being made.
        """
        with self._table:
            self._require_free(name, has_name)

    def restore(self, files: KeygenFiles) -> None:
        """What a restart found prepared."""
        with self._table:
            self._reserved[files.wallet_id] = Reserved(files, prepared=True)

    def drop(self, wallet_id: WalletId) -> None:
        """It has ended: its name is as free as the store says."""
        with self._table:
            self._reserved.pop(wallet_id, None)

    def _require_free(self, name: str, has_name: Callable[[str], bool]) -> None:
        for other in self._reserved.values():
            if other.files.proposal.name == name:
                raise other.taken()
        if has_name(name):
            raise NameTaken(f"a wallet called {name!r} is there already")

    @staticmethod
    def _is_begun(reserved: Reserved) -> bool:
        return reserved.live is not None


class _WalletLock:
    """A lock that can be found by a weak reference."""

    __slots__ = ("__weakref__", "taken")

    def __init__(self) -> None:
        self.taken = threading.Lock()
