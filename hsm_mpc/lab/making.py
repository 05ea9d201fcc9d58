"""A lab from nothing: holders with their HSMs, their roster, and the keys of the others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hsm_mpc import seed_file
from hsm_mpc.card import Card, roster_of_cards
from hsm_mpc.errors import BackendError, BadEncoding, Tampered
from hsm_mpc.lab.folder import LabFolder
from hsm_mpc.lab.kind import Kind
from hsm_mpc.lab.processes import command, environment
from hsm_mpc.secure.arena import Arena

_AT_ONCE: Final = 8
"""Holders that are made at once, each by a process of its own."""
_SECONDS: Final = 120.0


def make_holders(lab: LabFolder, holders: Mapping[str, Kind]) -> None:
    """A new folder, token and identity key for each; what was left of an earlier try goes.

    PKCS#11 is one per process, so each holder is made by a process of its own.

    Raises:
        BackendError: one could not be made; it says why.
    """
    names = list(holders)
    for start in range(0, len(names), _AT_ONCE):
        batch = names[start : start + _AT_ONCE]
        for name in batch:
            shutil.rmtree(lab.holder(name), ignore_errors=True)
        making = {name: _making(lab.holder(name), name, holders[name]) for name in batch}
        failures = [_failure(name, process) for name, process in making.items()]
        said = [failure for failure in failures if failure]
        if said:
            raise BackendError("; ".join(said), retryable=False)


def make_roster(lab: LabFolder, names: Sequence[str]) -> None:
    """The roster of their cards; each holder, the coordinator and the client pin it."""
    cards = [_card(lab.holder(name)) for name in names]
    encoded = roster_of_cards(cards, in_lab=True).to_bytes()
    for folder in (lab.path, *(lab.holder(name) for name in names)):
        (folder / "roster").write_bytes(encoded)


def make_keys(lab: LabFolder) -> None:
    """Keys of the coordinator and the client, unless they are there."""
    lab.coordinator.mkdir(mode=0o700, exist_ok=True)
    (lab.path / "log").mkdir(mode=0o700, exist_ok=True)
    arena = Arena(16 * 1024)
    for path in (lab.coordinator_key, lab.client_key):
        if not path.exists():
            seed_file.create(path, arena)
    arena.close()


def _making(folder: Path, name: str, kind: Kind) -> subprocess.Popen[bytes]:
    verb = ("lab", "holder", "--dir", str(folder), "--name", name, "--hsm", kind.name, "--init")
    return subprocess.Popen(
        [*kind.before(folder), *command("--json", "--no-input", *verb)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment(os.environ),
    )


def _failure(name: str, process: subprocess.Popen[bytes]) -> str | None:
    try:
        answer, _ = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"{name}: not made within {_SECONDS:g} seconds"
    if process.returncode == 0:
        return None
    try:
        return f"{name}: {json.loads(answer)['error']['message']}"
    except (ValueError, KeyError, TypeError):
        return f"{name}: ended with {process.returncode}"


def _card(folder: Path) -> Card:
    path = folder / "store" / "card"
    try:
        return Card.from_bytes(path.read_bytes())
    except (OSError, BadEncoding) as broken:
        raise Tampered(f"{path}: {broken}") from broken
