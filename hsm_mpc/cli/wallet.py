"""`hsm-mpc wallet …`: wallets as a client sees them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.orders import question_of, text_of, written_text
from hsm_mpc.cli.output import Output, list_of

if TYPE_CHECKING:
    from hsm_mpc.app import wallet

verbs = typer.Typer(
    help="Wallets: made, listed, shown, trusted, refreshed, reshared, repaired, destroyed; "
    "an epoch ended by order; their history.",
    no_args_is_help=True,
)


@verbs.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="1 to 64 of a-z 0-9 . _ -")],
    scheme: Annotated[str, typer.Option(help="taproot or ed25519")],
    threshold: Annotated[int, typer.Option(help="How many holders sign, from 2 on.")],
    holders: Annotated[
        str | None, typer.Option(help="h1,h2,…: who gets a share; without: all of the roster.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="The policy file; its hash is certified.")
    ] = None,
) -> None:
    """Have the holders make a key together; shown once all of them have confirmed it."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import wallet

    output: Output = context.obj
    config = output.wanted_config()
    made = wallet.create(config, name, scheme, threshold, list_of(holders), policy)
    output.answer(made, _shown)


@verbs.command(name="list")
def every(context: typer.Context) -> None:
    """List all wallets of the coordinator."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import wallet

    output: Output = context.obj
    output.answer(wallet.every(output.wanted_config()), _listed)


@verbs.command()
def show(context: typer.Context, name: Annotated[str, typer.Argument()]) -> None:
    """Show a wallet's keys and addresses, verified under the pinned roster."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import wallet

    output: Output = context.obj
    output.answer(wallet.show(output.wanted_config(), name), _shown)


@verbs.command()
def trust(
    context: typer.Context,
    name: Annotated[str, typer.Argument()],
    epoch_hash: Annotated[
        str, typer.Option(help="Of its epoch, as `share inspect` says at a holder; in hex.")
    ],
) -> None:
    """Know a wallet of some holders by its name, once a holder has said what it is."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import wallet

    output: Output = context.obj
    output.answer(wallet.trust(output.wanted_config(), name, epoch_hash), _shown)


@verbs.command()
def refresh(
    context: typer.Context,
    name: Annotated[str, typer.Argument()],
    absent: Annotated[
        str | None, typer.Option(help="h3,…: holders that are not waited for.")
    ] = None,
) -> None:
    """Give all holders new shares and new wrapping keys; key and addresses stay."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import wallet

    output: Output = context.obj
    renewed = wallet.refresh(output.wanted_config(), name, list_of(absent) or ())
    output.answer(renewed, _shown)


@verbs.command()
def reshare(
    context: typer.Context,
    name: Annotated[str, typer.Argument()],
    threshold: Annotated[int, typer.Option(help="How many holders sign from then on.")],
    holders: Annotated[
        str | None, typer.Option(help="h1,h2,…: who gets a share; without: who has one.")
    ] = None,
) -> None:
    """Share a wallet's key anew: another threshold, other holders; key and addresses stay."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import wallet

    output: Output = context.obj
    shared = wallet.reshare(output.wanted_config(), name, threshold, list_of(holders))
    output.answer(shared, _shown)


@verbs.command()
def repair(
    context: typer.Context,
    name: Annotated[str, typer.Argument()],
    holder: Annotated[str, typer.Option(help="Whose share does not open any more.")],
    signature: Annotated[
        list[Path] | None, typer.Option(help="A file of `admin sign`; once for each.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Write the repair there for `admin sign`, and stop.")
    ] = None,
) -> None:
    """Give a holder its lost share again, from others who learn nothing; then refresh."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import order_files, repairs

    output: Output = context.obj
    config = output.wanted_config()
    if plan is not None:
        written = order_files.write(repairs.prepare(config, name, holder), plan)
        output.answer(written, written_text)
        return
    output.answer(repairs.carry_out(config, name, holder, signature or ()), _shown)


@verbs.command()
def order(
    context: typer.Context,
    name: Annotated[str, typer.Argument()],
    epoch_hash: Annotated[
        str, typer.Option(help="The epoch to go on in, which not all have confirmed; in hex.")
    ],
    suspect: Annotated[
        str, typer.Option(help="h3,…: who is lost, does not answer, or is not believed.")
    ],
    reason: Annotated[str, typer.Option(help="Why: for those who sign it, and for the history.")],
    accept_no_margin: Annotated[
        bool, typer.Option("--accept-no-margin", help="No further HSM may be lost, then.")
    ] = False,
    signature: Annotated[
        list[Path] | None, typer.Option(help="A file of `admin sign`; once for each.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Write the order there for `admin sign`, and stop.")
    ] = None,
) -> None:
    """End an epoch whose last confirmations never come, once administrators order it."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import order_files, orders

    output: Output = context.obj
    config = output.wanted_config()
    prepared = orders.prepare(
        config,
        name,
        epoch_hash,
        list_of(suspect) or (),
        reason,
        margin_accepted=accept_no_margin,
    )
    if plan is not None:
        output.answer(order_files.write(prepared, plan), written_text)
        return
    output.present(text_of(prepared.shown))
    output.confirm(question_of(prepared.shown))
    output.answer(orders.carry_out(config, name, prepared, signature or ()), _shown)


@verbs.command()
def destroy(
    context: typer.Context,
    name: Annotated[str, typer.Argument()],
    reason: Annotated[str, typer.Option(help="Why: for those who are asked, and for the logs.")],
) -> None:
    """Destroy a wallet's keys in every HSM, once every operator has consented: for ever."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import wallet

    output: Output = context.obj
    config = output.wanted_config()
    output.confirm(f"Shall nobody ever sign for wallet {name} again?")
    output.answer(wallet.destroy(config, name, reason), _destroyed)


@verbs.command()
def history(
    context: typer.Context,
    name: Annotated[str, typer.Argument()],
    chain: Annotated[
        Path | None, typer.Option(help="A file of --out, instead of asking the coordinator.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the chain: certificates, messages, signatures.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw epochs, holders and keys.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Say only that all of it verifies, or what does not.")
    ] = False,
) -> None:
    """Tell how shares and wrapping keys followed each other, every signature verified."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import history as epochs
    from hsm_mpc.app import history_drawn

    output: Output = context.obj
    told = epochs.tell(output.wanted_config(), name, chain, out)
    if svg is not None:
        epochs.write(svg, history_drawn.svg(told).encode())
    output.answer(told, history_drawn.verdict if verify else history_drawn.text)


def _shown(shown: wallet.ShownWallet) -> str:
    lines = [f"destroyed        by {', '.join(shown.destroyed)}"] if shown.destroyed else []
    if not shown.addresses:
        lines.append("                 nobody can sign for it again: pay nothing to it")
    lines += [
        f"wallet           {shown.name}  ({shown.scheme}, {_epoch(shown)})",
        f"holders          any {shown.threshold} of {', '.join(shown.holders)}",
        f"public key       {shown.public_key.hex()}" + ("  (m/0/0)" if shown.descriptor else ""),
    ]
    if shown.internal_key:
        lines.append(f"internal key     {shown.internal_key.hex()}")
    lines += [f"{network:<15}  {address}" for network, address in shown.addresses.items()]
    if shown.descriptor:
        lines.append(f"descriptor       {shown.descriptor}")
    lines += [
        f"certificate      sha256 {shown.certificate_sha256.hex()}",
        f"policy           sha256 {shown.policy_sha256.hex()}",
    ]
    if shown.retired:
        lines.append(f"epoch {shown.retired.epoch:<10} {_retired(shown.retired)}")
        if shown.retired.ordered:
            suspects = ", ".join(shown.retired.suspects) or "nobody"
            lines.append(f"                 ended by an order that suspects {suspects}")
        lines += _left(shown.retired)
    return "\n".join(lines)


def _destroyed(end: wallet.DestroyedWallet) -> str:
    lines = [f"destroyed        by {', '.join(end.destroyed)}: their keys of {end.name} are gone"]
    if end.waiting_for:
        lines.append(f"not yet          by {', '.join(end.waiting_for)}: ask again")
    if end.final:
        lines.append("nobody can sign for it again; its name stays taken")
    return "\n".join(lines)


def _epoch(shown: wallet.ShownWallet) -> str:
    since = f" since {shown.since:%Y-%m-%d %H:%M} UTC" if shown.since else ""
    return f"epoch {shown.epoch}{since}"


def _retired(retired: wallet.Retired) -> str:
    if retired.state == "done" and retired.lost:
        lost = ", ".join(retired.lost)
        return f"retired: its keys are destroyed; the lost HSM of {lost} may have one still"
    if retired.state == "done":
        return "retired: its keys are destroyed in every HSM"
    return f"not retired yet: it waits for {', '.join(retired.waiting_for)}"


def _left(retired: wallet.Retired) -> list[str]:
    """Whoever was sent away may keep copies: what makes them worthless (step 6.8.5)."""
    if not retired.left or retired.state == "done":
        return []
    names, destroyed = ", ".join(retired.left), len(retired.destroyed)
    if destroyed >= retired.dangerous_until:
        return [f"{names}: no holder any more; too few old shares are left to sign"]
    return [
        f"{names}: no holder any more; with enough others, old shares still sign until "
        f"{retired.dangerous_until} holders of epoch {retired.epoch} have destroyed theirs; "
        f"so far {destroyed}"
    ]


def _listed(listed: wallet.Wallets) -> str:
    lines = []
    for each in listed.wallets:
        key = each.public_key.hex() if each.public_key else "not active yet"
        key = "destroyed" if each.destroyed else key
        key = key if each.known else f"not known: see wallet show {each.name}"
        quorum = f"{each.threshold}-of-{len(each.holders)}" if each.threshold else ""
        lines.append(f"{each.name:<20}  {each.scheme or '':<8}  {quorum:<8}  {key}")
    return "\n".join(lines) or "no wallets"
