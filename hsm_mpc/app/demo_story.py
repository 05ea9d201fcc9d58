"""What is there while the demo's story is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hsm_mpc.app.demo_stranger import Seen
from hsm_mpc.demo.chain import RegtestChain
from hsm_mpc.taproot.sighash import SpentOutput

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Took:
    """One line of the table at the end."""

    what: str
    seconds: float


@dataclass(slots=True)
class Clock:
    """What took how long."""

    rows: list[Took] = field(default_factory=list)

    @contextmanager
    def row(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.rows.append(Took(what, round(time.monotonic() - began, 3)))


@dataclass(slots=True)
class Story:
    """What is there while the story is told."""

    lab: Path
    say: Say
    clock: Clock
    chain: RegtestChain
    coins: list[SpentOutput] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    lamports: int = 0
    old_blob: bytes = b""
    """A copy of h5's sealed share from before the refresh: a thief's, or a backup's."""
    old_blob_is_noise: bool = False
    seen: list[Seen] = field(default_factory=list)
    """What another program saw of the keys of that share, before the refresh and after it."""
    refusal: str = ""
    share_opened: bool = False
    share_is_noise: bool = False
