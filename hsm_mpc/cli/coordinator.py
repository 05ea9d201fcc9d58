"""`hsm-mpc coordinator …`: the relay between clients and holders. It knows no secret of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import coordinator

verbs = typer.Typer(help="A coordinator.", no_args_is_help=True)


@verbs.command()
def init(context: typer.Context) -> None:
    """Make the key that coordinator.yaml names; holders list its public half."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import coordinator

    output: Output = context.obj
    output.answer(coordinator.init(output.wanted_config()), _created)


@verbs.command()
def run(context: typer.Context) -> None:
    """Be a coordinator, in the foreground until SIGTERM."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import coordinator

    output: Output = context.obj
    coordinator.run(
        output.wanted_config(), ready=lambda running: output.answer(running, _listening)
    )


def _created(made: coordinator.CoordinatorKey) -> str:
    return f"coordinators:\n  - {{number: {made.number:#x}, key: {made.key}}}"


def _listening(running: coordinator.Running) -> str:
    return f"coordinator {running.number:#x}: ready at {running.socket} (pid {running.pid})"
