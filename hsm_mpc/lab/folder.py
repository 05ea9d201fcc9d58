"""A lab's folder: what lies where in it, and what is remembered of the lab.

DIR/lab.json                   marks the folder as a lab's
DIR/roster, DIR/client.yaml    what a client needs; client.key is its request key
DIR/coordinator/               the one coordinator: configuration, key, registry, evidence
DIR/h1/, DIR/h2/, …            the holders, as in holder_folder.py
DIR/log/                       what each process says
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.ids import checked_name
from hsm_mpc.lab.kind import Kind
from hsm_mpc.lab.kinds import DEFAULT, KINDS, checked_kind
from hsm_mpc.regular import alone_in, replace_private

COORDINATOR: Final = "coordinator"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class LabState:
    """What lab.json says."""

    holders: tuple[str, ...]
    made: bool
    """All holders have their keys, and there is a roster."""
    sockets: str
    """The short private folder where everybody listens; it is gone while the lab is down."""
    kinds: tuple[str, ...] = (DEFAULT,)
    """Kinds of tokens, in turn: the first holder stands on the first one."""

    def kind(self, name: str) -> Kind:
        """The kind of token of one holder."""
        return KINDS[self.kinds[self.holders.index(name) % len(self.kinds)]]


@dataclass(frozen=True, slots=True)
class LabFolder:
    """Paths in a lab's folder. It need not be there."""

    path: Path

    @property
    def roster(self) -> Path:
        return self.path / "roster"

    @property
    def client_config(self) -> Path:
        return self.path / "client.yaml"

    @property
    def client_key(self) -> Path:
        return self.path / "client.key"

    @property
    def coordinator(self) -> Path:
        return self.path / COORDINATOR

    @property
    def coordinator_config(self) -> Path:
        return self.coordinator / "coordinator.yaml"

    @property
    def coordinator_key(self) -> Path:
        return self.coordinator / "coordinator.key"

    @property
    def supervisor(self) -> Path:
        """Which process keeps the lab running."""
        return self.path / "supervisor.json"

    def holder(self, name: str) -> Path:
        """The folder of one holder."""
        return self.path / name

    def holder_config(self, name: str) -> Path:
        """The configuration of one holder."""
        return self.holder(name) / "holder.yaml"

    def log(self, name: str) -> Path:
        """What a process says."""
        return self.path / "log" / f"{name}.log"

    def is_lab(self) -> bool:
        """Whether lab.json is there."""
        return self._mark.is_file()

    def load(self) -> LabState:
        """What is remembered.

        Raises:
            BadInput: this is no lab's folder.
            Tampered: lab.json cannot be read.
        """
        try:
            document = json.loads(self._mark.read_text("utf-8"))
        except OSError as missing:
            raise BadInput(f"{self.path} is not a lab's folder") from missing
        except ValueError as damaged:
            raise Tampered(f"{self._mark} is damaged") from damaged
        try:
            if document.pop("version") != _VERSION:
                raise Tampered(f"{self._mark}: of another version")
            return LabState(
                holders=tuple(checked_name(name, "holder") for name in document["holders"]),
                made=bool(document["made"]),
                sockets=str(document["sockets"]),
                kinds=tuple(checked_kind(name).name for name in document.get("kinds", [DEFAULT])),
            )
        except (KeyError, TypeError, AttributeError, BadInput) as damaged:
            raise Tampered(f"{self._mark} is damaged") from damaged

    def save(self, state: LabState) -> None:
        """Remember; whole or not at all."""
        write_private(self._mark, json.dumps({"version": _VERSION, **asdict(state)}, indent=1))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One verb after another changes a lab.

        Raises:
            BadInput: there is no such folder.
        """
        with alone_in(self.path, BadInput):
            yield

    @property
    def _mark(self) -> Path:
        return self.path / "lab.json"


def write_private(path: Path, text: str) -> None:
    """Put a file (0600) with `text` in the place of `path`: whole, or as before."""
    replace_private(path, text.encode("utf-8"))
