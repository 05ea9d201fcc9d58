"""`hsm-mpc admin …`: an administrator, whose signature overrules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.orders import question_of, text_of
from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import administrator

verbs = typer.Typer(help="An administrator that a wallet's policy names.", no_args_is_help=True)

KeyFile = Annotated[Path, typer.Option("--key", help="The file of this administrator's key.")]


@verbs.command()
def init(context: typer.Context, key: KeyFile) -> None:
    """Make a key of an administrator; print the entry for a policy's list."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import administrator

    output: Output = context.obj
    output.answer(administrator.init(key), _created)


@verbs.command()
def sign(
    context: typer.Context,
    plan: Annotated[Path, typer.Argument(help="A file of `wallet order|repair … --plan`.")],
    key: KeyFile,
    out: Annotated[Path, typer.Option(help="Where the signature is written.")],
) -> None:
    """Show an order in full, and sign it."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import administrator

    output: Output = context.obj
    shown = administrator.show(plan)
    output.present(text_of(shown))
    output.confirm(question_of(shown))
    output.answer(administrator.sign(plan, key, out, shown.plan), _signed)


def _created(made: administrator.AdministratorKey) -> str:
    return f"{{alg: {made.alg}, key: {made.key}}}"


def _signed(signed: administrator.SignedOrder) -> str:
    return (
        f"signed by administrator {signed.administrator}: {signed.file}; hand it to "
        f"`hsm-mpc wallet {_verb(signed)} {signed.order.wallet} … --signature {signed.file.name}`"
    )


def _verb(signed: administrator.SignedOrder) -> str:
    """Which takes the signature."""
    from hsm_mpc.app.shown_order import ShownOrder

    return "order" if isinstance(signed.order, ShownOrder) else "repair"
