"""Drives targets from checkpoint to checkpoint and looks for the secrets in all that is readable.

    python -m tests.memory_scan.scanner SCENE FOLDER MODULE BACKEND:BEHAVIOUR ...  > LOOKS (JSON)

SCENE is `opening` (tests/memory_scan/target.py), `signing` (signing_target.py), `ed25519`
(ed25519_target.py), `faults` (fault_target.py) or `module` (module_target.py, where MODULE is the
kind of token).

It must have CAP_SYS_PTRACE over the targets: it runs as root, or as "root" of a user namespace
(`unshare --map-root-user`): its children live in that namespace, and a process that is not dumpable
belongs to the root of the namespace in which it was executed, so this works for an ordinary user.

The secrets are drawn only after every target has started and was read whole: what is there then
cannot hold them. From there on every page is searched whenever it has changed. Of a nonce, the
target tells what makes it known before the first look after it was drawn. Processes that a module
brings along, children of the scanner, are searched too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol

from hsm_mpc.lab.kinds import KINDS
from tests.memory_scan import ed25519_secrets, fault_secrets, module_scene
from tests.memory_scan.memory import registers
from tests.memory_scan.needles import Needle
from tests.memory_scan.own_memory import environment
from tests.memory_scan.scanner_secrets import Secrets
from tests.memory_scan.search import Search
from tests.memory_scan.searched import Searched, brought_along
from tests.memory_scan.signing_secrets import make as make_wallet

_PATIENCE_SECONDS: Final = 20


class Known(Protocol):
    """What a scene's secrets look like."""

    def needles(self) -> Iterable[Needle]:
        """What there is to find from the beginning."""
        ...

    def learn(self, fact: str) -> Iterable[Needle]:
        """What there is to find as soon as the target tells this."""
        ...


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece of a secret where the scanner could read it."""

    secret: str
    layout: str
    where: str
    protected: bool
    """Whether it lies in the pages of the arena."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at one checkpoint."""

    checkpoint: str
    hits: tuple[Hit, ...]
    unreadable: tuple[str, ...]
    read_bytes: int


class Target:
    """A process that waits at its checkpoints."""

    all: ClassVar[list[Target]] = []

    def __init__(self, scene: Scene, folder: str, module: str, kind: str) -> None:
        self.kind = kind
        self.arena = range(0)
        self.facts: list[str] = []
        self.search = Search()
        self.others: dict[int, Searched] = {}
        """Processes that a module brought along."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", scene.program, folder, module, *kind.split(":")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "LD_BIND_NOW": "1", **scene.environment(Path(folder), module)},
        )
        assert self.next_checkpoint() == "started"
        self.memory = Searched(self.process.pid)
        self.memory.is_clean()
        Target.all.append(self)

    def next_checkpoint(self) -> str:
        """Where the target waits now, empty when it has ended; `facts` is what it told."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode().rstrip("\n")
        checkpoint, *self.facts = line.split("\t")
        return checkpoint

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b".")
        self.process.stdin.flush()

    def run(self, known: Known) -> Iterator[Look]:
        """Look at every checkpoint until the target ends."""
        self.search.add(known.needles())
        self.go_on()
        while checkpoint := self.next_checkpoint():
            if checkpoint.startswith("pages "):
                start, length = (int(number) for number in checkpoint.split()[1:])
                self.arena = range(start, start + length)
            for fact in self.facts:
                self.search.add(known.learn(fact))
            yield self.look(checkpoint)
            self.go_on()
        assert self.process.wait(_PATIENCE_SECONDS) == 0

    def look(self, checkpoint: str) -> Look:
        """Search all that is readable, of this process and of those that its module brought."""
        found = self.memory.found(self.search)
        hits = [self._hit(each.needle, each.mapping, each.address) for each in found]
        for name, content in registers(self.process.pid):
            in_registers = self.search.found(content, 0, len(content))
            hits += [self._hit(needle, name) for needle, _ in in_registers]
        for name, pid in brought_along(*(target.process.pid for target in Target.all)):
            memory = self.others.setdefault(pid, Searched(pid))
            hits += [
                self._hit(each.needle, f"process {name}") for each in memory.found(self.search)
            ]
        everything = self.memory.everything
        unreadable = tuple(run.name for run in everything if run.content is None)
        read_bytes = sum(len(run.content or b"") for run in everything)
        return Look(checkpoint, tuple(hits), unreadable, read_bytes)

    def _hit(self, needle: Needle, where: str, address: int = 0) -> Hit:
        return Hit(needle.secret, needle.layout, where, address in self.arena)


def make(folder: Path, module: str) -> Secrets:
    """Choose secrets, let the maker seal them, and be gone."""
    chosen = Secrets()
    pin = folder / "pin"
    pin.touch(0o600)
    pin.write_bytes(chosen.pin)
    subprocess.run(
        [sys.executable, "-m", "tests.memory_scan.maker", str(folder), module],
        input=(chosen.share + chosen.system + chosen.hsm).hex().encode(),
        check=True,
    )
    return chosen


@dataclass(frozen=True, slots=True)
class Scene:
    """A program to be scanned."""

    program: str
    make: Callable[[Path, str], Known]
    """What it reads, made after it has started; and what is known of the secrets."""
    environment: Callable[[Path, str], dict[str, str]] = lambda *_: {}
    """Variables that it needs, by folder and module."""


SCENES: Final = {
    "opening": Scene("tests.memory_scan.target", make),
    "signing": Scene("tests.memory_scan.signing_target", make_wallet),
    "ed25519": Scene("tests.memory_scan.ed25519_target", ed25519_secrets.make),
    "faults": Scene("tests.memory_scan.fault_target", fault_secrets.make),
    "module": Scene(
        "tests.memory_scan.module_target",
        module_scene.make,
        lambda folder, kind: environment(folder, KINDS[kind]),
    ),
}


def main() -> None:
    name, folder, module, *kinds = sys.argv[1:]
    scene = SCENES[name]
    targets = [Target(scene, folder, module, kind) for kind in kinds]
    known = scene.make(Path(folder), module)
    looks = {target.kind: [asdict(look) for look in target.run(known)] for target in targets}
    json.dump(looks, sys.stdout)


if __name__ == "__main__":
    main()
