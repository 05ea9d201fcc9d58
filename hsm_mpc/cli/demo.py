"""`hsm-mpc demo`: a sealed share's life, told in a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hsm_mpc.cli.output import Output


def demo(
    context: typer.Context,
    dir: Annotated[
        Path | None, typer.Option(help="Keep everything in this new folder to look at it after.")
    ] = None,
) -> None:
    """Seal a secret that only an HSM can open, open it, destroy the key, and try again."""
    from hsm_mpc.app import demo as demo_app
    from hsm_mpc.app import holder

    output: Output = context.obj
    holder.protect()
    told = demo_app.tell(dir, say=(lambda line: None) if output.json else print)
    if output.json:
        output.answer(told, lambda _: "")
