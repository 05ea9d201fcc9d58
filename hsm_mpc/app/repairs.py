"""`wallet repair`: a lost share again, once those whom the policy names have signed that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hsm_mpc.app.client import connected
from hsm_mpc.app.order_files import Prepared, signatures_in
from hsm_mpc.app.shown_repair import ShownRepair, shown_repair
from hsm_mpc.app.wallet import ShownWallet, shown_wallet


def prepare(config_path: Path, name: str, holder: str) -> Prepared[ShownRepair]:
    """What administrators sign.

    Raises:
        BadInput: no such holder.
        Others: as `WalletClient.plan_repair`.
    """
    with connected(config_path) as client:
        plan = client.plan_repair(name, client.roster.index_of(holder))
        return Prepared(shown_repair(plan), plan.to_bytes())


def carry_out(config_path: Path, name: str, holder: str, signatures: Sequence[Path]) -> ShownWallet:
    """Give a holder its lost share again, then refresh the wallet.

    Args:
        signatures: files of `admin sign`; none where the policy names no administrators.

    Raises:
        BadInput: no such holder; or a file is no signature of the repair that comes next.
        Others: as `WalletClient.repair`.
    """
    with connected(config_path) as client:
        lost = client.roster.index_of(holder)
        if not signatures:
            return shown_wallet(client.repair(name, lost))
        given = signatures_in(signatures, client.plan_repair(name, lost).order)
        return shown_wallet(client.repair(name, lost, given))
