"""`hsm-mpc doctor`, `inventory`, `status`: what an operator looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from hsm_mpc.cli.output import Output

if TYPE_CHECKING:
    from hsm_mpc.app import doctor as doctor_app
    from hsm_mpc.app import inventory as inventory_app
    from hsm_mpc.app import status as status_app


def doctor(context: typer.Context) -> int:
    """Check every precondition: one line each, with the mend."""
    from hsm_mpc.app import doctor as doctor_app

    output = _begun(context)
    diagnosis = doctor_app.diagnose(output.wanted_config(), output.prompt())
    output.answer(diagnosis, _findings)
    return diagnosis.exit_code


def inventory(context: typer.Context) -> int:
    """Compare the keys in the HSM with the store."""
    from hsm_mpc.app import inventory as inventory_app

    output = _begun(context)
    taken = inventory_app.take(output.wanted_config(), output.prompt())
    output.answer(taken, _keys)
    return taken.exit_code


def status(context: typer.Context) -> int:
    """Say whether this holder is ready: 0 ready, 4 HSM away, 6 damaged, 7 not ready."""
    from hsm_mpc.app import status as status_app

    output = _begun(context)
    found = status_app.look(output.wanted_config(), output.prompt())
    output.answer(found, _state)
    return found.exit_code


def _begun(context: typer.Context) -> Output:
    """Protected, and where the holder's token can be reached."""
    from hsm_mpc.app import holder, lab_place

    output: Output = context.obj
    lab_place.enter(output.wanted_config())
    holder.protect()
    return output


def _findings(diagnosis: doctor_app.Diagnosis) -> str:
    lines = []
    for finding in diagnosis.findings:
        lines.append(f"{finding.level:<4}  {finding.check:<13}  {finding.message}")
        if finding.mend:
            lines.append(f"{'':<4}  {'':<13}  mend: {finding.mend}")
    return "\n".join(lines)


def _state(found: status_app.Status) -> str:
    lines = [f"{found.holder}: {found.state}: {found.message}"]
    for share in found.shares:
        waits = ", to be retired once enough holders have adopted the next" * share.retires
        lines.append(
            f"{share.wallet}: epoch {share.epoch}, {share.state}, "
            f"sealed {share.sealed_at:%Y-%m-%d %H:%M} UTC{waits}"
        )
    return "\n".join(lines)


_VERDICTS: Final = {
    "unknown": "not made by hsm-mpc: whoever has the PIN put it there",
    "orphaned": "no record of this store names it: its wallet is gone, or that record is",
    "duplicate": "two keys have this name: neither is used until one is gone",
    "different": "not as hsm-mpc makes its keys: do not trust it, and find out who changed it",
}


def _keys(taken: inventory_app.Inventory) -> str:
    lines = [f"{key.verdict:<10}  {key.purpose:<9}  {key.label}  id {key.id}" for key in taken.keys]
    lines += [f"{'missing':<10}  {problem}" for problem in taken.missing]
    for key in taken.keys:
        lines += [f"{'':<10}  {key.label}: {difference}" for difference in key.differences]
    found = {key.verdict for key in taken.keys}
    lines += [f"{name}: {words}" for name, words in _VERDICTS.items() if name in found]
    return "\n".join(lines) or "no keys"
