"""`hsm-mpc demo`: the life of two wallets, told in half a minute."""

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
    share: Annotated[
        bool, typer.Option("--share", help="Only the story of one sealed share.")
    ] = False,
) -> None:
    """Make two 3-of-5 wallets: spend, refresh, lose holders, repair a share, reshare to seven."""
    from hsm_mpc.app.protection import protect

    protect()
    output: Output = context.obj

    def say(line: str) -> None:
        if not output.json:
            output.line(line)

    if share:
        from hsm_mpc.app import demo_share

        sealed = demo_share.tell(dir, say)
        if output.json:
            output.answer(sealed, str)
    else:
        from hsm_mpc.app import demo as demo_app

        told = demo_app.tell(dir, say)
        if output.json:
            output.answer(told, str)
