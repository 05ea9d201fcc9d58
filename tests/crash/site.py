"""A holder that is made from nothing, and looked at when it is."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hsm_mpc import audit
from hsm_mpc.app import holder as holder_app
from hsm_mpc.app import inventory, token
from hsm_mpc.app.holder import Created
from hsm_mpc.card import Card
from hsm_mpc.errors import NameTaken
from hsm_mpc.lab.holder_folder import make_holder_folder
from hsm_mpc.lab.softhsm import SOFTHSM
from hsm_mpc.secure.arena import Arena
from hsm_mpc.store import audit_log


@dataclass(frozen=True)
class Site:
    """The folder of a holder to be: configuration and PIN files, and no token."""

    folder: Path
    blank: Path

    @property
    def config(self) -> Path:
        return self.folder / "holder.yaml"

    @classmethod
    def made(cls, parent: Path) -> Site:
        """On SoftHSM2's module, as the environment names it."""
        site, arena = cls(parent / "h1", parent / "blank"), Arena(16 * 1024)
        make_holder_folder(site.folder, "h1", SOFTHSM, arena)
        arena.close()
        site.folder.rename(site.blank)
        return site

    def reset(self) -> None:
        """Nothing was ever run here."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.blank, self.folder)

    def card(self) -> Card | None:
        file = self.folder / "store" / "card"
        return Card.from_bytes(file.read_bytes()) if file.exists() else None

    def initialise(self) -> Created:
        """As an operator does, who goes on where he was interrupted."""
        with suppress(NameTaken):
            token.create(self.config, f"file:{self.folder / 'so-pin'}", prompt=False)
        return holder_app.init(self.config, prompt=False)

    def check(self) -> None:
        """What `inventory` and the audit log say of a holder that is initialised."""
        found = inventory.take(self.config, prompt=False)
        assert sorted(key.purpose for key in found.keys) == ["canary", "identity", "identity"]
        assert found.missing == ()
        file, floor = audit_log.open_to_read(self.folder / "store" / "audit")
        with file:
            events = [line.record["event"] for line in audit.last_lines(file, 1000, floor)]
        assert set(events) == {"holder-init", "checkpoint"}
        assert not [path for path in self.folder.rglob("*") if ".tmp-" in path.name]
