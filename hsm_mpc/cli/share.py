"""`hsm-mpc share …`: sealed shares, never shown open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import shares

verbs = typer.Typer(
    help="Sealed shares: shown, listed, sealed anew, discarded.", no_args_is_help=True
)


@verbs.command()
def inspect(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A sealed blob, or a wallet of this holder.")],
) -> None:
    """Show what a blob is bound to and who can open it; never opens it."""
    from hsm_mpc.app import holder, shares

    output: Output = context.obj
    if output.config is None or Path(what).exists():
        output.answer(shares.inspect(Path(what)), _inspected)
        return
    holder.protect()
    found = shares.inspect_wallet(output.config, what, output.prompt())
    output.answer(found, _inspected)


@verbs.command("list")
def list_all(context: typer.Context) -> None:
    """List the shares in this holder's store."""
    from hsm_mpc.app import holder, shares

    output: Output = context.obj
    holder.protect()
    output.answer(shares.list_all(output.wanted_config(), output.prompt()), _listed)


@verbs.command()
def discard(
    context: typer.Context,
    wallet: Annotated[str, typer.Argument(help="The wallet's name, or its id in hex.")],
) -> None:
    """Remove what a `create` or `reshare` that came to nothing left here, and destroy its keys."""
    from hsm_mpc.app import holder, shares

    output: Output = context.obj
    holder.protect()
    output.confirm_on_terminal(
        f"Shall what this holder has of wallet {wallet} be destroyed, for ever? Not if "
        "`wallet show` names this holder: then its share may be one that lives."
    )
    discarded = shares.discard(output.wanted_config(), wallet, output.prompt())
    output.answer(discarded, lambda gone: f"{gone.wallet} ({gone.wallet_id}): discarded")


@verbs.command()
def rewrap(
    context: typer.Context,
    wallet: Annotated[str, typer.Argument(help="The wallet's name, or its id in hex.")],
) -> None:
    """Seal a share for a new wrapping key, and destroy the old key in the HSM.

    The share stays the same. What was copied of the store before is noise from now on; a share that
    somebody has seen opened stays known: only `wallet refresh` makes it worthless. A backup of the
    HSM brings the old key back, and with it the old copies.
    """
    from hsm_mpc.app import holder, shares

    output: Output = context.obj
    holder.protect()
    output.answer(shares.rewrap(output.wanted_config(), wallet, output.prompt()), _rewrapped)


def _rewrapped(done: shares.Rewrapped) -> str:
    recipients = ", ".join(f"{each.mechanism}  {each.uri}" for each in done.recipients)
    return f"{done.wallet}: epoch {done.epoch}, the same share, sealed for {recipients}"


def _listed(found: shares.Shares) -> str:
    lines = [
        f"{share.wallet:<24}  {share.scheme:<8}  epoch {share.epoch}  {share.state:<9}  "
        f"{share.sealed_bytes} bytes  {share.file}"
        for share in found.shares
    ]
    return "\n".join(lines) or "no shares"


def _inspected(shown: shares.Inspected) -> str:
    context = shown.context
    lines = [
        f"file       {shown.file}, {shown.sealed_bytes} bytes",
        f"sha256     {shown.sha256.hex()}",
        f"wallet     {context.wallet_id.hex()}",
        f"holder     {context.holder}  (threshold {context.threshold})",
        f"scheme     {context.scheme}",
        f"epoch      {context.epoch}  {context.epoch_hash.hex()}",
        f"sealed at  {context.created:%Y-%m-%dT%H:%M:%SZ}",
        f"content    {shown.content_bytes} bytes under AES-256-GCM",
    ]
    lines += [
        f"recipient  {recipient.mechanism}  {recipient.uri}" for recipient in shown.recipients
    ]
    return "\n".join(lines)
