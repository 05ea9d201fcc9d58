"""`lab.sign` and `agent.memory`: a whole lab, from the client's call to its answer.

What runs is what a deployment runs, on one machine: client, coordinator, fronts and signers are
processes of their own, and the client verifies every signature before it counts.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.bench.report import Row

SIGN: Final = "lab.sign"
MEMORY: Final = "agent.memory"
TRANSPORT: Final = "unix"

T, N = 2, 3
CLIENT: Final = "client"

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MICROSECONDS: Final = 1e6
_WARMING: Final = 8
"""Signatures before the clock starts."""
_PERCENT: Final = 100

Pids = Mapping[str, Sequence[int]]
"""Processes by what they are; the client is this process."""


@dataclass(frozen=True, slots=True)
class _Spent:
    """CPU time since a process began, in µs, by what the process is."""

    us: Mapping[str, float]

    @classmethod
    def now(cls, pids: Pids) -> _Spent:
        others = {name: sum(_cpu_us(pid) for pid in processes) for name, processes in pids.items()}
        return cls({CLIENT: time.process_time() * _MICROSECONDS, **others})

    def each_since(self, before: _Spent, signatures: int) -> dict[str, float]:
        return {name: round((us - before.us[name]) / signatures, 1) for name, us in self.us.items()}


def _cpu_us(pid: int) -> float:
    """User and kernel time of a process; in steps of 10 ms, as the kernel tells it."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS * _MICROSECONDS


def signing_row(
    scheme: str, sign: Callable[[bytes], object], pids: Pids, *, in_flight: int, seconds: float
) -> Row:
    """Sign new messages for some seconds, so many at once.

    `sign` signs a message by `scheme` and verifies the signature; `in_flight` threads use it.
    """
    _signed_until(sign, in_flight, time.monotonic(), at_least=_WARMING)
    before, began = _Spent.now(pids), time.monotonic()
    latencies = _signed_until(sign, in_flight, began + seconds, at_least=in_flight)
    took, count = time.monotonic() - began, len(latencies)
    spent = _Spent.now(pids).each_since(before, count)
    return Row(
        name=SIGN,
        t=T,
        n=N,
        scheme=scheme,
        cpu_us=round(sum(spent.values()), 1),
        wall_us=round(statistics.mean(latencies), 1),
        in_flight=in_flight,
        per_second=round(count / took, 1),
        p50_us=round(statistics.median(latencies), 1),
        p99_us=round(percentile(latencies, 99), 1),
        transport=TRANSPORT,
        spent_us=spent,
        note=f"{scheme}, {in_flight} in flight; CPU time of all processes, per signature",
    )


def _signed_until(
    sign: Callable[[bytes], object], in_flight: int, end: float, *, at_least: int
) -> list[float]:
    """How long each signature took, in µs."""

    def one_after_another(wanted: int) -> list[float]:
        took: list[float] = []
        while len(took) < wanted or time.monotonic() < end:
            began = time.perf_counter()
            sign(os.urandom(32))
            took.append((time.perf_counter() - began) * _MICROSECONDS)
        return took

    with ThreadPoolExecutor(in_flight) as threads:
        shares = threads.map(one_after_another, [-(-at_least // in_flight)] * in_flight)
        return [latency for share in shares for latency in share]


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // _PERCENT)]


def memory_row(pids: Mapping[str, int]) -> Row:
    """The idle memory of one holder's processes, named by what they are."""
    used = {name: _memory_kib(pid) for name, pid in pids.items()}
    together = sum(kib for kib, _ in used.values())
    measures = " and ".join(sorted({measure for _, measure in used.values()}))
    return Row(
        name=MEMORY,
        pss_kib={**{name: kib for name, (kib, _) in used.items()}, "together": together},
        note=f"{together / 1024:.1f} MiB of signer and front together, idle ({measures})",
    )


def _memory_kib(pid: int) -> tuple[int, str]:
    """Its memory, shared pages shared out; where the kernel tells only root that, all its pages."""
    try:
        return _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss"), "PSS"
    except PermissionError:
        return _field(Path(f"/proc/{pid}/status"), "VmRSS"), "RSS"


def _field(file: Path, name: str) -> int:
    for line in file.read_text("ascii", "replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0
