"""A holder in this process that dies of an exception and starts again from its folder and token."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsm_mpc import steps
from hsm_mpc.store.holder import HolderStore
from tests.agent.tokens import empty, forget_wallets
from tests.crash.invariants import Remains
from tests.named_steps import nothing_happens, observed

if TYPE_CHECKING:
    from tests.agent.simulate import Party, World


class Phoenix:
    """Holder `index` of a world. Whatever the world asks of it is watched, and nothing else is."""

    def __init__(self, world: World, index: int) -> None:
        self.world = world
        self.index = index
        self.party: Party = world.parties[index]
        self.folder: Path = self.party.acting.store._folder
        self.watch: steps.Observer = nothing_happens
        self._store_is_open = True
        self._stand_in()

    def restart(self, watch: steps.Observer = nothing_happens) -> None:
        """Nothing in memory is left; `watch` sees the start, and what comes after it."""
        self.watch = watch
        old = self.party.acting
        if self._store_is_open:  # not if the last start failed
            old.store.close()
            self._store_is_open = False
        self.party.desk.forget()
        old.channel.wipe()
        with observed(self.watch):
            store = HolderStore.open(self.folder)
            try:
                self.party = self.world.party(self.index, old.token, old.identity, store, old.arena)
            except BaseException:
                store.close()
                raise
        self._store_is_open = True
        self._stand_in()

    def renew(self) -> None:
        """Nothing ever happened here: a log of a thousand wallets would be long to read."""
        forget_wallets(self.party.acting.token)
        self.party.acting.store.close()
        self._store_is_open = False
        shutil.rmtree(self.folder)
        HolderStore.create(self.folder).close()
        self.restart()

    def put_back(self, copy: Path) -> None:
        """Its folder is as it was when it was copied, its token as it is; to be started again."""
        if self._store_is_open:
            self.party.acting.store.close()
            self._store_is_open = False
        shutil.rmtree(self.folder)
        shutil.copytree(copy, self.folder)

    def on_another_hsm(self) -> None:
        """Its token has nothing but a new identity key, and its folder is empty."""
        token = self.party.acting.token
        empty(token)
        self.world.parties[self.index] = self.party
        self.world.replaced(self.index, token)
        self.party = self.world.parties[self.index]
        self._stand_in()

    def _stand_in(self) -> None:
        """The world meets a watched party, which has all attributes of the own one, and no base."""
        self.world.parties[self.index] = _Watched(self, self.party)  # type: ignore[assignment]

    def remains(self) -> Remains:
        """What is on its disk and in its HSM now, which must be whole."""
        found = Remains.of(self.party)
        found.require_whole()
        return found


def clear(party: Party) -> None:
    """No wallet was ever made here: a test that makes a hundred would grow slow."""
    forget_wallets(party.acting.token)
    for wallet in (party.acting.store._folder / "wallets").iterdir():
        shutil.rmtree(wallet)


@dataclass
class _Watched:
    """An attribute of a party: calls of it, and of what it holds, are watched."""

    phoenix: Phoenix
    target: Any

    def __getattr__(self, name: str) -> Any:
        return _Watched(self.phoenix, getattr(self.target, name))

    def __call__(self, *arguments: Any) -> Any:
        with observed(self.phoenix.watch):
            return self.target(*arguments)
