"""`hsm-mpc bench`: the measurements that performance claims rest on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app.bench import FloorLine, Report, Row


def bench(
    context: typer.Context,
    only: Annotated[str, typer.Option(help="Only rows whose name begins so.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats, fewer keys.")] = False,
) -> None:
    """Measure CPU time, with the bare operations beside it in the same run."""
    from hsm_mpc.app import bench as bench_app
    from hsm_mpc.app import holder

    output: Output = context.obj
    holder.protect()
    output.answer(bench_app.run(only, quick=quick, progress=output.progress), _table)


def _table(report: Report) -> str:
    lines = [f"{'':<26}{'cpu µs':>9}{'wall µs':>10}{'floor µs':>10}{'ratio':>7}  note"]
    for row in report.rows:
        lines.append(
            f"{_title(row):<26}{_figure(row.cpu_us):>9}{_figure(row.wall_us):>10}"
            f"{_figure(row.floor_us):>10}{_figure(row.ratio_to_floor, 2):>7}  {row.note}"
        )
        lines += [f"{'':<26}{line}" for line in _beside(row)]
    for row in report.rows:
        lines += _floor(row)
    return "\n".join(lines)


def _title(row: Row) -> str:
    return row.name if row.t is None else f"{row.name} {row.t}-of-{row.n}"


def _beside(row: Row) -> list[str]:
    """What a row says besides its figures."""
    lines = [
        f"{peer}: {cpu_us:.1f} µs CPU, {cpu_us / row.cpu_us:.2f} times ours"
        for peer, cpu_us in row.peers.items()
        if row.cpu_us
    ]
    if row.per_second is not None:
        lines.append(f"{row.per_second:.1f} a second; {_latencies(row)}; transport {row.transport}")
    if row.spent_us:
        lines.append(f"CPU per signature: {_each(row.spent_us, 'µs')}")
    if row.p99_alone_us is not None:
        without = f"p99 {_figure(row.p99_alone_us, 0)} µs"
        lines.append(f"signing meanwhile: {_latencies(row)}; without: {without}")
    if row.parts_us:
        lines.append(f"slow parts of one holder alone: {_each(row.parts_us, 'µs')}")
    if row.pss_kib:
        lines.append(_each(row.pss_kib, "KiB"))
    return lines


def _latencies(row: Row) -> str:
    return f"p50 {_figure(row.p50_us, 0)} µs, p99 {_figure(row.p99_us, 0)} µs"


def _each(figures: Mapping[str, float], unit: str) -> str:
    return ", ".join(f"{name} {figure:.0f} {unit}" for name, figure in figures.items())


def _floor(row: Row) -> list[str]:
    """The floor of a row, a line for each step and each function of a library."""
    if not row.floor:
        return []
    lines = ["", f"floor of {_title(row)}: {_figure(row.floor_us)} µs"]
    for _, group in groupby(sorted(row.floor, key=_place), _place):
        of_step = list(group)
        count, us = sum(line.count for line in of_step), sum(line.us for line in of_step)
        lines.append(f"  {of_step[0].step:<8}{us:>9.1f} µs  {count:>6g} × {of_step[0].function}")
    return lines


def _place(line: FloorLine) -> tuple[list[tuple[int, str]], str]:
    """Steps in the order of their numbers, 3.1.4 before 3.1.11."""
    numbers = re.findall(r"(\d+)([a-z]?)", line.step)
    return [(int(number), letter) for number, letter in numbers], line.function


def _figure(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"
