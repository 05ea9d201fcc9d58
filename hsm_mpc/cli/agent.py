"""`hsm-mpc agent run`: the signer and its front."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import agent

verbs = typer.Typer(help="This holder at work.", no_args_is_help=True)


@verbs.command()
def run(context: typer.Context) -> int:
    """Be this holder's signer, with its front, in the foreground until SIGTERM."""
    from hsm_mpc.app import agent, holder

    output: Output = context.obj
    holder.protect()
    return agent.run(
        output.wanted_config(),
        prompt=output.prompt(),
        ready=lambda running: output.answer(running, _ready),
    )


def _ready(running: agent.Running) -> str:
    return (
        f"{running.holder}: ready at {running.socket} "
        f"(signer {running.signer_pid}, front {running.front_pid})"
    )
