"""Runs a scan, once as each kind of scanner, and answers questions about what it saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from hsm_mpc.secure.mapping import memfd_secret_exists
from tests.conftest import ROOT

BACKENDS: Final = ("memfd_secret", "locked") if memfd_secret_exists() else ("locked",)
KINDS: Final = (*(f"{backend}:careful" for backend in BACKENDS), "locked:leaking")
SCANNERS: Final = ("root", "user namespace") if os.getuid() == 0 else ("user namespace",)
NO_NAMESPACES: Final = "this machine lets nobody make a user namespace"

_PATIENCE_SECONDS: Final = 600
KERNEL_PAGES: Final = {"[vvar]", "[vvar_vclock]", "[vdso]"}
SECRET_PAGES: Final = "/secretmem (deleted)"


@dataclass(frozen=True, slots=True)
class Looks:
    """What one scanner saw of all targets."""

    of: dict[str, list[dict[str, Any]]] = field(repr=False)

    def hits(self, kind: str, checkpoint: str | None = None) -> set[tuple[str, str, str, bool]]:
        return {
            (hit["secret"], hit["layout"], hit["where"], hit["protected"])
            for look in self.of[kind]
            for hit in look["hits"]
            if checkpoint in (None, look["checkpoint"])
        }

    def secrets(self, kind: str, checkpoint: str | None = None, *, protected: bool) -> set[str]:
        """Those of which a piece was found inside, or outside, of the protected pages."""
        hits = self.hits(kind, checkpoint)
        return {secret for secret, _, _, inside in hits if inside is protected}

    def checkpoints(self, kind: str) -> list[str]:
        return [look["checkpoint"] for look in self.of[kind]]

    def unreadable(self, kind: str) -> dict[str, set[str]]:
        """What nobody could read at each checkpoint, beside the kernel's own pages."""
        return {
            look["checkpoint"]: set(look["unreadable"]) - KERNEL_PAGES for look in self.of[kind]
        }

    def everything_was_read(self) -> bool:
        """But the kernel's pages and secret memory."""
        looks = [look for of_kind in self.of.values() for look in of_kind]
        return all(
            set(look["unreadable"]) <= {*KERNEL_PAGES, SECRET_PAGES}
            and look["read_bytes"] > 10 * 1024 * 1024
            for look in looks
        )


def scanned(
    scene: str,
    scanner: str,
    folder: Path,
    module: str,
    *,
    kinds: Sequence[str] = KINDS,
    before: Sequence[str] = (),
) -> Looks:
    """Scan targets of these kinds as this kind of scanner; `before` stands before the command."""
    prefix = ["unshare", "--map-root-user"] if scanner == "user namespace" else []
    if prefix and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip(NO_NAMESPACES)
    command: Sequence[str] = (
        *(*prefix, *before, sys.executable, "-m", "tests.memory_scan.scanner"),
        *(scene, str(folder), module, *kinds),
    )
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return Looks(json.loads(done.stdout))
