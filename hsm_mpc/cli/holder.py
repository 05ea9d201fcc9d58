"""`hsm-mpc holder …`: a holder and its HSM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import consents, holder

verbs = typer.Typer(
    help="This holder: its identity in the HSM, and what it takes part in.", no_args_is_help=True
)


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


@verbs.command()
def admit(
    context: typer.Context,
    plan: Annotated[
        str | None, typer.Argument(help="The first digits of its digest; without: list all.")
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
    found = consents.find(waiting, plan)
    if not output.json:
        output.present(_plan(found))
    output.confirm(f"Shall this holder take part in making wallet {found.wallet}?")
    output.answer(consents.admit(config, found.digest, prompt), _decided)


@verbs.command()
def decline(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="The first digits of its digest.")],
) -> None:
    """Take no part in a plan, also if it was admitted before."""
    from hsm_mpc.app import consents, holder

    output: Output = context.obj
    holder.protect()
    output.answer(consents.decline(output.wanted_config(), plan, output.prompt()), _decided)


def _plans(waiting: consents.Plans) -> str:
    return "\n\n".join(map(_plan, waiting.plans)) or "nothing waits for a consent"


def _plan(plan: consents.ShownPlan) -> str:
    lines = [
        f"plan         {plan.digest}",
        f"             make wallet {plan.wallet}: {plan.scheme}, any {plan.threshold} of "
        f"{len(plan.holders)} sign",
        f"until        {plan.deadline:%Y-%m-%d %H:%M} UTC" + ("  (admitted)" * plan.consented),
        f"refresh      by {plan.join} or more; the old keys go once {plan.adopt} have the new ones",
        f"roster       {plan.roster}",
    ]
    lines += [
        f"holder       {holder.name}  {holder.algorithm} {holder.identity_key}"
        for holder in plan.holders
    ]
    lines += [f"client       {client.name}  {client.request_key}" for client in plan.clients]
    lines += [f"policy       {line}" for line in plan.policy.splitlines() or ["(signs nothing)"]]
    return "\n".join(lines)


def _decided(decided: consents.Decided) -> str:
    if decided.expiry is None:
        return f"declined: wallet {decided.wallet} is not made with this holder"
    return (
        f"admitted, once, until {decided.expiry:%Y-%m-%d %H:%M} UTC: now whoever wanted wallet "
        f"{decided.wallet} asks for it again"
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
