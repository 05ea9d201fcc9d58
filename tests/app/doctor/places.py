"""A holder's folder on a SoftHSM2 of its own, and `doctor` run on it by a process of its own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from hsm_mpc.app import doctor
from hsm_mpc.app import holder as holder_app
from hsm_mpc.app import token as token_app
from hsm_mpc.app.doctor import clock, host
from hsm_mpc.card import Card
from hsm_mpc.lab.holder_folder import make_holder_folder, write_settings
from hsm_mpc.lab.softhsm import SOFTHSM
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.secure.arena import Arena
from tests.software_identity import ed25519_key
from tests.store.children import in_child

PEER = Member("h2", ed25519_key(b"2" * 32).public)
FRONT = {"front": {"socket": "run/front"}}
GOOD_HOST = {"PTRACE_SCOPE": "1\n", "CORE_PATTERN": "core\n", "SWAPS": "Filename Type\n"}


@dataclass(frozen=True)
class Place:
    """One holder's folder."""

    folder: Path
    module: Path

    @classmethod
    def made(cls, folder: Path, softhsm: str) -> Place:
        """After `token init` and `holder init`, with a roster of two. The module is a copy: this
        process may have loaded the other."""
        place = cls(folder, folder.parent / "module.so")
        shutil.copy(softhsm, place.module)

        def work() -> None:
            os.environ[SOFTHSM.variable] = str(place.module)
            arena = Arena(16 * 1024)
            made = make_holder_folder(folder, "h1", SOFTHSM, arena)
            arena.close()
            write_settings(folder, "h1", SOFTHSM, FRONT)
            token_app.create(made.config, made.so_pin_source, prompt=False)
            holder_app.init(made.config, prompt=False)

        in_child(work)
        place.write_roster(place.card.member)
        return place

    def copied(self, to: Path) -> Place:
        """The same holder in another folder."""
        shutil.copytree(self.folder, to)
        SOFTHSM.prepare(to)
        return Place(to, self.module)

    @property
    def config(self) -> Path:
        return self.folder / "holder.yaml"

    @property
    def card(self) -> Card:
        return Card.from_bytes((self.folder / "store" / "card").read_bytes())

    def write_roster(self, *members: Member) -> None:
        """Of these, and of the peer."""
        roster = Roster(True, 1, FIRST_PREDECESSOR, (*members, PEER))
        (self.folder / "roster").write_bytes(roster.to_bytes())

    def edit(self, before: str, after: str) -> None:
        """In holder.yaml."""
        text = self.config.read_text("utf-8")
        assert before in text
        self.config.write_text(text.replace(before, after), "utf-8")

    def diagnosed(self, meanwhile: Callable[[], object] = lambda: None) -> doctor.Diagnosis:
        """What doctor says on a good host, in a process where `meanwhile` was done before."""
        told = self.folder.parent / "told"

        def work() -> None:
            for name, content in GOOD_HOST.items():
                (self.folder.parent / name).write_text(content)
                setattr(host, name, self.folder.parent / name)
            vars(host).update(started_with_bind_now=lambda: True, is_hardened=lambda: True)
            vars(clock).update(kernel_clock=lambda: (0, 0, 1000))
            meanwhile()
            told.write_text(json.dumps(asdict(doctor.diagnose(self.config, prompt=False))))

        in_child(work)
        document = json.loads(told.read_text())
        findings = tuple(doctor.Finding(**finding) for finding in document["findings"])
        return doctor.Diagnosis(findings, document["exit_code"])
