"""Writes docs/malice.md: `.venv/bin/python -m tests.malice`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hsm_mpc.hsm.module import Module
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import run_shielded
from tests.conftest import ROOT
from tests.malice.page import GROUPS, PAGE, attacked, whole
from tests.memory_folder import IN_MEMORY
from tests.softhsm import softhsm_environment


def main() -> None:
    """Run every attack anew."""
    brought = os.environ.get("HSM_MPC_SOFTHSM_MODULE")
    path = brought or (ROOT / ".local" / "softhsm" / "module").read_text("utf-8").strip()
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        folder = Path(name)
        module = Module.load(path, softhsm_environment(folder))
        pins = Arena(16 * 1024)
        sections = [
            run_shielded(lambda: attacked(module, pins, folder, group))  # noqa: B023
            for group in GROUPS
        ]
    PAGE.write_text(whole(sections), "utf-8")


if __name__ == "__main__":
    main()
