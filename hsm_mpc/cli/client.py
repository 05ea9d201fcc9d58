"""`hsm-mpc client …`: who asks for signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import client

verbs = typer.Typer(help="This client.", no_args_is_help=True)


@verbs.callback()
def _group() -> None:
    """Keeps `init` a verb of its own."""


@verbs.command()
def init(context: typer.Context) -> None:
    """Make the request key that client.yaml names; wallets list its public half."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import client

    output: Output = context.obj
    output.answer(client.init(output.wanted_config()), _created)


def _created(made: client.ClientKey) -> str:
    return f"client {made.name}: {made.key}\npublic half: {made.file}"
