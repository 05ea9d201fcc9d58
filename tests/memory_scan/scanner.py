"""Drives targets from checkpoint to checkpoint and looks for the secrets in all that is readable.

    python -m tests.memory_scan.scanner SCENE FOLDER MODULE BACKEND:BEHAVIOUR ...  > LOOKS (JSON)

SCENE is `opening` (tests/memory_scan/target.py) or `signing` (signing_target.py).

It must have CAP_SYS_PTRACE over the targets: it runs as root, or as "root" of a user namespace
(`unshare --map-root-user`): its children live in that namespace, and a process that is not dumpable
belongs to the root of the namespace in which it was executed, so this works for an ordinary user.

The secrets are drawn only after every target has started and was read whole: what is there then
cannot hold them. From there on every page is searched whenever it has changed. Of a nonce, the
target tells what makes it known before the first look after it was drawn.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Protocol

from tests.memory_scan.memory import PAGE, Run, pages, registers
from tests.memory_scan.needles import (
    KEY_LAYOUTS,
    LAYOUTS,
    LONGEST_PIECE,
    PIN_LAYOUTS,
    Needle,
    needles,
)
from tests.memory_scan.search import Search
from tests.memory_scan.signing_secrets import make as make_wallet

_SEED_TAG: Final = hashlib.sha256(b"hsm-mpc/v1/seed").digest()
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
class Secrets:
    """What the maker is told and the scanner looks for."""

    share: bytes = field(default_factory=lambda: secrets.token_bytes(64))
    system: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    hsm: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    pin: bytes = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(24)))

    @property
    def data_key(self) -> bytes:
        """What step 1.8.6a makes of both sources."""
        return hashlib.sha256(_SEED_TAG * 2 + self.system + self.hsm + bytes(4)).digest()

    def needles(self) -> list[Needle]:
        return [
            *needles("x", self.share[:32], LAYOUTS),
            *needles("v", self.share[32:], LAYOUTS),
            *needles("data key", self.data_key, KEY_LAYOUTS),
            *needles("PIN", self.pin, PIN_LAYOUTS),
        ]

    def learn(self, fact: str) -> list[Needle]:
        """A share is opened without telling anything."""
        raise AssertionError(fact)


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

    def __init__(self, program: str, folder: str, module: str, kind: str) -> None:
        self.kind = kind
        self.arena = range(0)
        self.facts: list[str] = []
        self.search = Search()
        self.unchanged: dict[int, bytes | None] = {}
        """Runs as they were at the last look, without a hit."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", program, folder, module, *kind.split(":")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "LD_BIND_NOW": "1"},
        )
        assert self.next_checkpoint() == "started"
        self.clean = dict(_pages_of(pages(self.process.pid)))

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
        """Read everything, search what has changed since it was last found to be clean."""
        everything = list(pages(self.process.pid))
        changed = [run for run in everything if run.content != self.unchanged.get(run.start)]
        hits, suspect = [], set()
        self.unchanged = {run.start: run.content for run in everything}
        for run in changed:
            found = list(self._found(run))
            self.clean.update(_pages_of([run]))
            for needle, address in found:
                hits.append(Hit(needle.secret, needle.layout, run.name, address in self.arena))
                suspect |= {_page(address), _page(address + LONGEST_PIECE)}
                self.unchanged.pop(run.start, None)  # to be searched again
        for page in suspect:
            self.clean.pop(page, None)
        for name, content in registers(self.process.pid):
            in_registers = self.search.found(content, 0, len(content))
            hits += [Hit(needle.secret, needle.layout, name, False) for needle, _ in in_registers]
        unreadable = tuple(run.name for run in everything if run.content is None)
        read_bytes = sum(len(run.content or b"") for run in everything)
        return Look(checkpoint, tuple(hits), unreadable, read_bytes)

    def _found(self, run: Run) -> Iterator[tuple[Needle, int]]:
        """Pieces in the changed pages of a run, or at their borders."""
        content = run.content or b""
        for low, high in self._changed(run):
            low, high = max(0, low - LONGEST_PIECE), min(len(content), high + LONGEST_PIECE)
            for needle, at in self.search.found(content, low, high):
                yield needle, run.start + at

    def _changed(self, run: Run) -> Iterator[tuple[int, int]]:
        """The changed pages of a run, neighbours joined, as offsets."""
        start = None
        for address, page in _pages_of([run]):
            at = address - run.start
            if self.clean.get(address) == page:
                if start is not None:
                    yield start, at
                start = None
            elif start is None:
                start = at
        if start is not None:
            yield start, len(run.content or b"")


def _page(address: int) -> int:
    return address - address % PAGE


def _pages_of(runs: Iterable[Run]) -> Iterator[tuple[int, bytes]]:
    for run in runs:
        content = run.content or b""
        for at in range(0, len(content), PAGE):
            yield run.start + at, content[at : at + PAGE]


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


SCENES: Final[dict[str, tuple[str, Callable[[Path, str], Known]]]] = {
    "opening": ("tests.memory_scan.target", make),
    "signing": ("tests.memory_scan.signing_target", make_wallet),
}


def main() -> None:
    scene, folder, module, *kinds = sys.argv[1:]
    program, made = SCENES[scene]
    targets = [Target(program, folder, module, kind) for kind in kinds]
    known = made(Path(folder), module)
    looks = {target.kind: [asdict(look) for look in target.run(known)] for target in targets}
    json.dump(looks, sys.stdout)


if __name__ == "__main__":
    main()
