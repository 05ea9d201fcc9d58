"""`hsm-mpc lab …`: holders on SoftHSM2, to try things out. Not for funds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import lab

verbs = typer.Typer(help="A laboratory on this machine, on SoftHSM2.", no_args_is_help=True)


@verbs.command()
def holder(
    context: typer.Context,
    dir: Annotated[Path, typer.Option(help="A folder that does not exist yet.")],
    name: Annotated[str, typer.Option(help="The holder's name.")] = "h1",
) -> None:
    """Make a private SoftHSM2 token with random PINs, and a holder.yaml for it."""
    from hsm_mpc.app import holder as holder_app
    from hsm_mpc.app import lab

    output: Output = context.obj
    holder_app.protect()
    output.answer(lab.prepare_holder(dir, name), _prepared)


def _prepared(prepared: lab.PreparedHolder) -> str:
    return (
        f"token {prepared.token}, serial {prepared.serial}\n"
        f"next: hsm-mpc --config {prepared.config} holder init"
    )
