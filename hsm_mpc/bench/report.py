"""What `bench --json` prints (docs/cli.md)."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from hsm_mpc.bench.floor import AboveFloor, FloorLine
from hsm_mpc.bench.measure import Cost

_MEASURED: Final = (
    "python-pkcs11",
    "coincurve",
    "PyNaCl",
    "cryptography",
    "asn1crypto",
    "grpcio",
    "frost_rs",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: medians in µs; what does not apply is None."""

    name: str
    note: str
    cpu_us: float | None = None
    wall_us: float | None = None
    floor_us: float | None = None
    ratio_to_floor: float | None = None
    t: int | None = None
    n: int | None = None
    peers: dict[str, float] = field(default_factory=dict)
    """CPU time of others for the same, in µs."""
    floor: tuple[FloorLine, ...] = ()
    """What `floor_us` is the sum of."""
    scheme: str | None = None
    """Where the name does not say it."""
    in_flight: int | None = None
    per_second: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    p99_alone_us: float | None = None
    """The same while nothing else was done."""
    failed: int | None = None
    """Requests."""
    transport: str | None = None
    spent_us: dict[str, float] = field(default_factory=dict)
    """CPU time by process, or by part of the work."""
    parts_us: dict[str, float] = field(default_factory=dict)
    """Wall time of what is slow in it, each measured alone, as often as it is done."""
    pss_kib: dict[str, int] = field(default_factory=dict)
    """Memory by process, pages of several processes shared out among them."""


def row_above_floor(
    name: str, measured: AboveFloor, note: str, t: int | None = None, n: int | None = None
) -> Row:
    """The row of something that has a floor."""
    return Row(
        name=name,
        t=t,
        n=n,
        cpu_us=round(measured.whole.cpu_us, 1),
        wall_us=round(measured.whole.wall_us, 1),
        floor_us=round(measured.floor_us, 1),
        ratio_to_floor=round(measured.ratio, 2),
        floor=measured.lines,
        note=note,
    )


def cpu_of(costs: Mapping[str, Cost]) -> dict[str, float]:
    """CPU times of what ran beside a row."""
    return {name: round(cost.cpu_us, 1) for name, cost in costs.items()}


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
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }
    return Report(machine, {name: _version(name) for name in _MEASURED}, rows)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
