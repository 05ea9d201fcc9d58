"""`hsm-mpc holder …`: a holder and its HSM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import holder

verbs = typer.Typer(help="This holder: its identity in the HSM.", no_args_is_help=True)


@verbs.command()
def init(context: typer.Context) -> None:
    """Make the identity key and a canary key in the HSM; write the holder card."""
    from hsm_mpc.app import holder

    output: Output = context.obj
    holder.protect()
    output.answer(holder.init(output.wanted_config(), output.prompt()), _created)


@verbs.command()
def login(context: typer.Context) -> None:
    """Try a PIN again that was refused before."""
    from hsm_mpc.app import holder

    output: Output = context.obj
    holder.protect()
    output.answer(holder.login(output.wanted_config(), output.prompt()), _opened)


def _created(created: holder.Created) -> str:
    return "\n".join(
        (
            f"holder        {created.name}" + ("  (lab)" if created.lab else ""),
            f"token         {created.token}, serial {created.serial}",
            f"profile       {created.profile}",
            f"identity key  {created.algorithm}, {created.identity_key.hex()}",
            f"data keys     wrapped by {created.wrapping}",
            f"card          {created.card}",
        )
    )


def _opened(opened: holder.Opened) -> str:
    return f"token {opened.token}, serial {opened.serial}: the PIN is right"
