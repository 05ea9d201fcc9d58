"""`hsm-mpc lab …`: a whole wallet on this machine, on software tokens. Not for funds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import holder as holder_app
    from hsm_mpc.app import lab, lab_report

verbs = typer.Typer(help="A laboratory on this machine, on software tokens.", no_args_is_help=True)

_Dir = Annotated[Path, typer.Option(help="The lab's folder.")]
_Name = Annotated[str, typer.Argument(help="The holder: h1, h2, …")]


@verbs.command()
def up(
    context: typer.Context,
    dir: _Dir,
    holders: Annotated[
        int | None,
        typer.Option(help="2 to 32; else 3, or one of each kind."),
    ] = None,
    hsm: Annotated[
        str | None,
        typer.Option(help="Kinds of tokens, in turn: softhsm, nss, p11kit, opencryptoki."),
    ] = None,
) -> None:
    """Make a lab, or start one again, with all wallets as they were."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import lab

    output: Output = context.obj
    kinds = None if hsm is None else hsm.split(",")
    output.answer(lab.up(dir, holders, output.tell, kinds), _report)


@verbs.command()
def status(context: typer.Context, dir: _Dir) -> None:
    """Show what runs."""
    from hsm_mpc.app import lab

    output: Output = context.obj
    output.answer(lab.status(dir), _report)


@verbs.command()
def down(context: typer.Context, dir: _Dir) -> None:
    """End all processes; wallets stay."""
    from hsm_mpc.app import lab

    output: Output = context.obj
    output.answer(lab.down(dir), lambda report: f"{report.dir}: down")


@verbs.command()
def destroy(context: typer.Context, dir: _Dir) -> None:
    """End all processes and delete the lab, with all its wallets."""
    from hsm_mpc.app import lab

    output: Output = context.obj
    output.confirm_on_terminal(f"delete {dir} with all wallets in it?")
    output.answer({"destroyed": lab.destroy(dir)}, lambda gone: f"{gone['destroyed']}: gone")


@verbs.command()
def stop_holder(context: typer.Context, name: _Name, dir: _Dir) -> None:
    """End a holder's signer and front."""
    from hsm_mpc.app import lab

    output: Output = context.obj
    output.answer(lab.stop_holder(dir, name), _report)


@verbs.command()
def start_holder(context: typer.Context, name: _Name, dir: _Dir) -> None:
    """Start a holder again."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import lab

    output: Output = context.obj
    output.answer(lab.start_holder(dir, name), _report)


@verbs.command()
def replace_holder(context: typer.Context, name: _Name, dir: _Dir) -> None:
    """Give a holder a new empty token and folder, as if its host were lost."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import lab

    output: Output = context.obj
    output.confirm_on_terminal(f"delete {name}'s token and all shares in it?")
    output.answer(lab.replace_holder(dir, name), _report)


@verbs.command()
def holder(
    context: typer.Context,
    dir: Annotated[Path, typer.Option(help="A folder that does not exist yet.")],
    name: Annotated[str, typer.Option(help="The holder's name.")] = "h1",
    hsm: Annotated[
        str, typer.Option(help="Kind of token: softhsm, nss, p11kit, opencryptoki.")
    ] = "softhsm",
    init: Annotated[bool, typer.Option("--init", help="Go on with `holder init`.")] = False,
) -> None:
    """Make a private software token with random PINs, and a holder.yaml for it."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import lab

    output: Output = context.obj
    if init:
        output.answer(lab.make_holder(dir, name, hsm), _made)
    else:
        output.answer(lab.prepare_holder(dir, name, hsm), _prepared)


def _prepared(prepared: lab.PreparedHolder) -> str:
    return (
        f"token {prepared.token}, serial {prepared.serial}\n"
        f"next: hsm-mpc --config {prepared.config} holder init"
    )


def _made(made: holder_app.Created) -> str:
    return f"holder {made.name}: token {made.token}, serial {made.serial}; card: {made.card}"


def _report(report: lab_report.LabReport) -> str:
    if report.supervisor_pid is None:
        lines = [f"{report.dir}: down"]
    else:
        lines = [f"{report.dir}: up, supervisor {report.supervisor_pid}"]
    pid = report.coordinator.pid or "-"
    lines.append(f"  coordinator  {pid:>7}  {report.coordinator.address}")
    for each in report.holders:
        pids = f"signer {each.signer_pid or '-':>7}  front {each.front_pid or '-':>7}"
        lines.append(f"  {each.name:<11}  {each.state:<8}  {pids}  {each.hsm}")
    if report.supervisor_pid is not None:
        lines.append(f"next: hsm-mpc --config {report.client_config} wallet list")
    return "\n".join(lines)
