"""`hsm-mpc holder …`: a holder and its HSM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hsm_mpc.cli.orders import overruled, overruling, repaired
from hsm_mpc.cli.output import Output
from hsm_mpc.cli.strangers import parts

if TYPE_CHECKING:
    from hsm_mpc.app import consents, holder, rotation

verbs = typer.Typer(
    help="This holder: its identity in the HSM, and what it takes part in.", no_args_is_help=True
)

_QUESTIONS: Final = {
    "create": "Shall this holder take part in making wallet {}?",
    "reshare": "Shall this holder take part in sharing the key of wallet {} anew?",
    "destroy": "Shall this holder destroy its keys of wallet {}, for ever?",
    "order": "Shall this holder sign that order about wallet {}?",
    "repair": "Shall this holder take part in repairing a share of wallet {}?",
    "rotate": "Shall this holder take that identity key in wallet {}?",
}
_DECLINED: Final = {
    "create": "declined: wallet {} is not made with this holder",
    "reshare": "declined: the key of wallet {} is not shared anew so with this holder",
    "destroy": "declined: this holder keeps its keys of wallet {}",
    "order": "declined: this holder signs no such order about wallet {}",
    "repair": "declined: this holder takes no part in that repair of wallet {}",
    "rotate": "declined: this holder does not take that identity key in wallet {}",
}


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


@verbs.command("rotate-identity")
def rotate_identity(context: typer.Context) -> None:
    """Put another identity key into the place of this holder's; again: how far it has come."""
    from hsm_mpc.app import holder, rotation

    output: Output = context.obj
    holder.protect()
    config, prompt = output.wanted_config(), output.prompt()
    if not rotation.is_under_way(config, prompt):
        output.confirm("Shall another identity key take the place of this holder's?")
    output.answer(rotation.rotate(config, prompt), _rotation)


@verbs.command()
def admit(
    context: typer.Context,
    plan: Annotated[
        str | None,
        typer.Argument(
            help="The first 16 digits of its digest or more, all with --yes; without: list all."
        ),
    ] = None,
) -> None:
    """Show what this holder is asked to take part in, and consent to it, once."""
    from hsm_mpc.app import consents, holder

    output: Output = context.obj
    holder.protect()
    config, prompt = output.wanted_config(), output.prompt()
    waiting = consents.waiting(config, prompt)
    if plan is None:
        output.answer(waiting, _plans)
        return
    found = consents.find(waiting, plan, unseen=output.yes)
    output.present(_plan(found))
    output.confirm(_QUESTIONS[found.kind].format(found.wallet))
    output.answer(consents.admit(config, found.digest, prompt), _decided)


@verbs.command()
def decline(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="The first 16 digits of its digest or more.")],
) -> None:
    """Take no part in a plan, for good, also if it was admitted before."""
    from hsm_mpc.app import consents, holder

    output: Output = context.obj
    holder.protect()
    output.answer(consents.decline(output.wanted_config(), plan, output.prompt()), _decided)


def _plans(waiting: consents.Plans) -> str:
    return "\n\n".join(map(_plan, waiting.plans)) or "nothing waits for a consent"


def _plan(plan: consents.ShownPlan) -> str:
    """What strangers may have written at length comes first, and what it means last."""
    lines = []
    if plan.create is not None:
        lines += _made(plan.wallet, plan.create)
    if plan.reshare is not None:
        lines += _shared_anew(plan.wallet, plan.reshare)
    if plan.destroy is not None:
        lines += _ended(plan.wallet, plan.destroy)
    if plan.order is not None:
        lines += overruling(plan.order)
    if plan.repair is not None:
        lines += repaired(plan.wallet, plan.repair)
    if plan.rotate is not None:
        lines += _rotated(plan.wallet, plan.rotate)
    until = f"{plan.deadline:%Y-%m-%d %H:%M} UTC" + ("  (admitted)" * plan.consented)
    return "\n".join([*lines, f"until        {until}", f"plan         {plan.digest}"])


def _made(name: str, wallet: consents.PlannedWallet) -> list[str]:
    return [
        *(f"policy       {part}" for part in parts(wallet.policy)),
        f"policy       sha256 {wallet.policy_sha256}",
        f"signs        {', '.join(wallet.permissions) or 'nothing'}",
        *overruled(wallet.administrators),
        *(f"client       {client.name}  {client.request_key}" for client in wallet.clients),
        *_holders(wallet.holders),
        f"roster       {wallet.roster}",
        f"refresh      by {wallet.join} or more; the old keys go once {wallet.adopt} have the new "
        "ones",
        f"make wallet  {name}: {wallet.scheme}, any {wallet.threshold} of "
        f"{len(wallet.holders)} sign",
    ]


def _shared_anew(name: str, resharing: consents.PlannedResharing) -> list[str]:
    return [
        *(f"reason       {part}" for part in parts(resharing.reason)),
        *_holders(resharing.holders),
        f"roster       {resharing.roster}",
        f"refresh      by {resharing.join} or more; the old keys go once {resharing.adopt} have "
        "the new ones",
        f"until then   {resharing.before}",
        f"share anew   the key of wallet {name}: {resharing.scheme}, in epoch {resharing.epoch}; "
        f"then any {resharing.threshold} of {len(resharing.holders)} sign",
    ]


def _holders(holders: Sequence[consents.PlannedHolder]) -> list[str]:
    return [f"holder       {each.name}  {each.algorithm} {each.identity_key}" for each in holders]


def _ended(name: str, end: consents.PlannedEnd) -> list[str]:
    return [
        *(f"reason       {part}" for part in parts(end.reason)),
        f"destroy      wallet {name}: {end.scheme}, in epoch {end.epoch}; its wrapping keys go "
        "from this HSM, and nobody brings them back",
    ]


def _rotated(name: str, rotate: consents.PlannedRotation) -> list[str]:
    """Who has the HSM of that holder and its PIN can ask for this, too."""
    return [
        f"old key      {rotate.known_key}",
        f"new key      {rotate.identity_key}",
        f"rotate       the identity key of {rotate.holder} in wallet {name}: {rotate.scheme}, in "
        f"epoch {rotate.epoch}. Ask its",
        "             operator, by another way, whether it is his: his `hsm-mpc holder",
        "             rotate-identity` says it",
    ]


def _decided(decided: consents.Decided) -> str:
    if decided.expiry is None:
        return _DECLINED[decided.kind].format(decided.wallet)
    return (
        f"admitted, once, until {decided.expiry:%Y-%m-%d %H:%M} UTC: now whoever asked for it asks "
        "again"
    )


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


def _rotation(rotated: rotation.Rotated) -> str:
    lines = [f"old key  {rotated.old_key}", f"new key  {rotated.identity_key}"]
    if rotated.state == "offered":
        lines += [
            "the old one signs still. The next refresh of any wallet asks the other holders, whose",
            f"operators admit the new one for each wallet: {', '.join(rotated.wallets)}",
        ]
    elif rotated.state == "turned":
        lines += [
            "the new one signs. The old one is destroyed with the next refresh that reaches all",
            "other holders; until then not all of them sign with this one",
        ]
    else:
        lines.append("the new one signs, and the old one is destroyed")
    return "\n".join(lines)
