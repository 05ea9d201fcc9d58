"""The module that gives a real one memory of its own (own_memory.c): built, and how to start it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hsm_mpc.lab.kind import Kind
from tests.faults.shim import built

SOURCE: Final = Path(__file__).with_name("own_memory.c")
MAPPING: Final = "/memfd:memory of the module (deleted)"
"""What the kernel calls the memory of the real module."""


def made(folder: Path) -> Path:
    """The module, compiled into `folder`."""
    return built(folder, SOURCE)


def environment(folder: Path, kind: Kind) -> dict[str, str]:
    """For a process that loads what `made` left in `folder` as its module of this kind."""
    return {
        "LD_PRELOAD": str(folder / SOURCE.with_suffix(".so").name),
        "OWN_MEMORY_OF": kind.module(),
    }
