"""Where a program of somebody else is that judges our signatures."""

from __future__ import annotations

import shutil
from typing import Final

from tests.conftest import ROOT

UNPACKED: Final = ROOT / ".local" / "programs" / "usr" / "bin"
"""What scripts/lib/programs.sh unpacks where the system lacks a program."""


def program(name: str) -> str:
    """Its path: the system's, or the unpacked copy's. Without it tests fail."""
    found = shutil.which(name) or shutil.which(name, path=UNPACKED)
    assert found, f"no {name}: run scripts/setup"
    return found
