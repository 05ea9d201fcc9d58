"""`hsm-mpc bench`: the measurements that performance claims rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app.bench import Report


def bench(
    context: typer.Context,
    only: Annotated[str, typer.Option(help="Only rows whose name begins so.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats, fewer keys.")] = False,
) -> None:
    """Measure CPU time, with the bare operation beside it in the same run."""
    from hsm_mpc.app import bench as bench_app
    from hsm_mpc.app import holder

    output: Output = context.obj
    holder.protect()
    output.answer(bench_app.run(only, quick=quick, progress=output.progress), _table)


def _table(report: Report) -> str:
    lines = [f"{'':<16}{'cpu µs':>9}{'wall µs':>9}{'floor µs':>10}{'ratio':>7}  note"]
    lines += [
        f"{row.name:<16}{_figure(row.cpu_us):>9}{_figure(row.wall_us):>9}"
        f"{_figure(row.floor_us):>10}{_figure(row.ratio_to_floor, 2):>7}  {row.note}"
        for row in report.rows
    ]
    return "\n".join(lines)


def _figure(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"
