"""`hsm-mpc doctor`, `inventory`, `status`: what an operator looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import doctor as doctor_app
    from hsm_mpc.app import inventory as inventory_app


def doctor(context: typer.Context) -> int:
    """Check every precondition: one line each, with the mend."""
    from hsm_mpc.app import doctor as doctor_app
    from hsm_mpc.app import holder

    output: Output = context.obj
    holder.protect()
    diagnosis = doctor_app.diagnose(output.wanted_config(), output.prompt())
    output.answer(diagnosis, _findings)
    return diagnosis.exit_code


def inventory(context: typer.Context) -> int:
    """Compare the keys in the HSM with the store."""
    from hsm_mpc.app import holder
    from hsm_mpc.app import inventory as inventory_app

    output: Output = context.obj
    holder.protect()
    taken = inventory_app.take(output.wanted_config(), output.prompt())
    output.answer(taken, _keys)
    return taken.exit_code


def status(context: typer.Context) -> int:
    """Say whether this holder is ready: 0 ready, 4 HSM away, 6 damaged, 7 not ready."""
    from hsm_mpc.app import holder
    from hsm_mpc.app import status as status_app

    output: Output = context.obj
    holder.protect()
    found = status_app.look(output.wanted_config(), output.prompt())
    output.answer(found, lambda shown: f"{shown.holder}: {shown.state}: {shown.message}")
    return found.exit_code


def _findings(diagnosis: doctor_app.Diagnosis) -> str:
    lines = []
    for finding in diagnosis.findings:
        lines.append(f"{finding.level:<4}  {finding.check:<16}  {finding.message}")
        if finding.mend:
            lines.append(f"{'':<4}  {'':<16}  mend: {finding.mend}")
    return "\n".join(lines)


def _keys(taken: inventory_app.Inventory) -> str:
    lines = [f"{key.verdict:<10}  {key.purpose:<9}  {key.label}  id {key.id}" for key in taken.keys]
    lines += [f"missing     {problem}" for problem in taken.missing]
    return "\n".join(lines) or "no keys"
