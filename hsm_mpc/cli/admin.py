"""`hsm-mpc admin …`: an administrator, whose signature overrules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.orders import question_of, text_of
from hsm_mpc.cli.output import Output
from hsm_mpc.errors import BadInput

if TYPE_CHECKING:
    from hsm_mpc.app import administrator

verbs = typer.Typer(help="An administrator that a wallet's policy names.", no_args_is_help=True)

KeyFile = Annotated[
    Path | None, typer.Option("--key", help="The file of this administrator's key.")
]
InAgent = Annotated[
    bool, typer.Option("--agent", help="The key is in the ssh-agent: Ed25519 or P-256.")
]


@verbs.command()
def init(context: typer.Context, key: KeyFile = None, agent: InAgent = False) -> None:
    """Make a key of an administrator; print the entry for a policy's list."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import administrator

    output: Output = context.obj
    if agent and key is None:
        output.answer(administrator.in_agent(), _listed)
    elif key is not None and not agent:
        output.answer(administrator.init(key), _entry)
    else:
        raise BadInput("say --key FILE for a new key, or --agent for those that the ssh-agent has")


@verbs.command()
def sign(
    context: typer.Context,
    plan: Annotated[Path, typer.Argument(help="A file of `wallet order|repair … --plan`.")],
    out: Annotated[Path, typer.Option(help="Where the signature is written.")],
    key: KeyFile = None,
    agent: InAgent = False,
    orders: Annotated[
        Path | None, typer.Option(help="With --agent: where it is remembered what was ordered.")
    ] = None,
) -> None:
    """Show an order in full, and sign it."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import administrator

    output: Output = context.obj
    if agent and orders is not None and key is None:
        place = administrator.KeyPlace.of_agent(orders)
    elif key is not None and orders is None and not agent:
        place = administrator.KeyPlace.of_file(key)
    else:
        raise BadInput("say --key FILE, or --agent --orders FILE")
    shown = administrator.show(plan)
    output.present(text_of(shown))
    output.confirm(question_of(shown))
    output.answer(administrator.sign(plan, place, out, shown.plan), _signed)


def _entry(made: administrator.AdministratorKey) -> str:
    return f"{{alg: {made.alg}, key: {made.key}}}"


def _listed(found: administrator.AdministratorKeys) -> str:
    lines = (f"{_entry(each)}  # {each.comment}" for each in found.keys)
    return "\n".join(lines) or "the ssh-agent has no Ed25519 or P-256 key"


def _signed(signed: administrator.SignedOrder) -> str:
    return (
        f"signed by administrator {signed.administrator}: {signed.file}; hand it to "
        f"`hsm-mpc wallet {_verb(signed)} {signed.order.wallet} … --signature {signed.file.name}`"
    )


def _verb(signed: administrator.SignedOrder) -> str:
    """Which takes the signature."""
    from hsm_mpc.app.shown_order import ShownOrder

    return "order" if isinstance(signed.order, ShownOrder) else "repair"
