"""`hsm-mpc token …`: an empty token becomes this holder's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import token

verbs = typer.Typer(help="The HSM's token itself.", no_args_is_help=True)


@verbs.command()
def init(
    context: typer.Context,
    so_pin_source: Annotated[
        str, typer.Option(help="Security officer's PIN: file:PATH, fd:N, credential:NAME, prompt.")
    ] = "prompt",
) -> None:
    """Give an empty token its label, its security officer's PIN and its user PIN."""
    from hsm_mpc.app import holder, token

    output: Output = context.obj
    holder.protect()
    output.answer(
        token.create(output.wanted_config(), so_pin_source, output.prompt()), _initialised
    )


def _initialised(created: token.CreatedToken) -> str:
    return f"token {created.label}, serial {created.serial}: initialised"
