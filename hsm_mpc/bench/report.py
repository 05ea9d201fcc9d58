"""What `bench --json` prints (docs/cli.md)."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

_MEASURED: Final = ("python-pkcs11", "coincurve", "PyNaCl", "cryptography", "asn1crypto")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: medians in µs; what does not apply is None."""

    name: str
    cpu_us: float
    wall_us: float
    floor_us: float | None
    ratio_to_floor: float | None
    note: str
    t: int | None = None
    n: int | None = None
    peers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """All rows of one run on one machine."""

    machine: dict[str, str]
    versions: dict[str, str]
    rows: tuple[Row, ...]


def report(rows: tuple[Row, ...]) -> Report:
    """`rows` with what is needed to compare them with those of another day."""
    machine = {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
    }
    return Report(machine, {name: version(name) for name in _MEASURED}, rows)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
