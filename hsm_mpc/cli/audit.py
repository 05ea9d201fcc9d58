"""`hsm-mpc audit …`: the holder's log of what it did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import audit_log

verbs = typer.Typer(help="The append-only, hash-chained audit log.", no_args_is_help=True)


@verbs.command()
def verify(context: typer.Context) -> None:
    """Check the whole chain, every checkpoint, and that no line was cut off."""
    from hsm_mpc.app import audit_log

    output: Output = context.obj
    output.answer(audit_log.verify(output.wanted_config()), _verified)


@verbs.command()
def tail(
    context: typer.Context,
    lines: Annotated[int, typer.Option("-n", min=1, help="How many lines.")] = 10,
) -> None:
    """Show the newest lines."""
    from hsm_mpc.app import audit_log

    output: Output = context.obj
    output.answer(audit_log.tail(output.wanted_config(), lines), _lines)


@verbs.command()
def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="A file that does not exist yet.")],
) -> None:
    """Copy the verified log, to be kept where this host cannot reach it."""
    from hsm_mpc.app import audit_log

    output: Output = context.obj
    output.answer(audit_log.export(output.wanted_config(), out), _exported)


@verbs.command()
def checkpoint(context: typer.Context) -> None:
    """Have the HSM sign where the log ends now."""
    from hsm_mpc.app import checkpoint as checkpoint_app
    from hsm_mpc.app import holder

    output: Output = context.obj
    holder.protect()
    signed = checkpoint_app.sign(output.wanted_config(), output.prompt())
    output.answer(signed, lambda shown: f"line {shown.sequence} signs all before ({shown.time})")


def _verified(verified: audit_log.Verified) -> str:
    checkpoint = verified.last_checkpoint
    if checkpoint is None:
        signed = "no checkpoint yet"
    else:
        signed = (
            f"last checkpoint at line {checkpoint.sequence} ({checkpoint.time}), "
            f"{verified.lines_after_checkpoint} lines follow"
        )
    return f"{verified.lines} lines, chain whole, ends in {verified.line_hash.hex()}\n{signed}"


def _lines(shown: audit_log.Tail) -> str:
    return "\n".join(shown.lines)


def _exported(exported: audit_log.Exported) -> str:
    return f"{exported.lines} lines written to {exported.file}"
