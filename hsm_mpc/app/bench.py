"""`bench`: which rows there are, and what each needs set up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hsm_mpc.app import holder as holder_app
from hsm_mpc.app.holder import opened, shielded
from hsm_mpc.app.lab import prepare_holder
from hsm_mpc.bench import unseal
from hsm_mpc.bench.report import Report, Row, report

Progress = Callable[[str], None]

__all__ = ["Report", "run"]

_WALLETS: Final = 1000
_WALLETS_QUICK: Final = 50


def run(only: str, *, quick: bool, progress: Progress) -> Report:
    """Measure the rows whose name begins with `only`.

    Raises:
        BadConfig: no SoftHSM2 module is known.
    """
    rows: list[Row] = []
    if unseal.NAME.startswith(only):
        rows.append(_unseal(_WALLETS_QUICK if quick else _WALLETS, progress))
    return report(tuple(rows))


def _unseal(wallets: int, progress: Progress) -> Row:
    with tempfile.TemporaryDirectory(prefix="hsm-mpc-bench-") as folder:
        prepared = prepare_holder(Path(folder) / "h1", "h1")
        holder_app.init(prepared.config, prompt=False)

        with opened(prepared.config, prompt=False) as holder:
            progress(f"making {wallets} wrapping keys")
            unseal.fill_token(holder.token, wallets - 1)
            progress("measuring")
            return shielded(lambda: unseal.row(holder.token, holder.arena, holder.entropy, wallets))
