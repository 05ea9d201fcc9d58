"""`wallet order`: an epoch ends although a confirmation is missing, once that is ordered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hsm_mpc.app.client import connected
from hsm_mpc.app.inputs import digest_of
from hsm_mpc.app.order_files import Prepared, signatures_in
from hsm_mpc.app.shown_order import ShownOrder, shown_plan
from hsm_mpc.app.wallet import ShownWallet, shown_wallet
from hsm_mpc.client.ordering import AskedOrder
from hsm_mpc.errors import BadInput, NotReady
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.order_plan import OrderPlan


def prepare(
    config_path: Path,
    name: str,
    epoch_hash: str,
    suspects: Sequence[str],
    reason: str,
    *,
    margin_accepted: bool,
) -> Prepared[ShownOrder]:
    """What is to be signed.

    Args:
        epoch_hash: of the epoch that shall take the place of the one before, in hex.
        suspects: names of the holders that are lost, do not answer, or are not believed.

    Raises:
        BadInput: no such hash or holder, or none is suspected.
        Others: as `WalletClient.plan_order`.
    """
    successor = EpochHash(digest_of(epoch_hash))
    if not suspects:
        raise BadInput("--suspect: who is missing is named")
    with connected(config_path) as client:
        roster = client.show(name).roster_that_ends
        indices = tuple(sorted({roster.index_of(each) for each in suspects}))
        asked = AskedOrder(successor, indices, reason, margin_accepted)
        plan = client.plan_order(name, asked)
        return Prepared(shown_plan(plan), plan.to_bytes())


def carry_out(
    config_path: Path, name: str, order: Prepared[ShownOrder], signatures: Sequence[Path]
) -> ShownWallet:
    """Have everybody that answers obey it.

    Args:
        signatures: files of `admin sign`.

    Raises:
        NotReady: more administrators have to sign it; or as `WalletClient.order`.
        BadInput: a file is no signature of this order.
        Others: as `WalletClient.order`.
    """
    plan = OrderPlan.from_bytes(order.encoded)
    given = signatures_in(signatures, plan.order)
    administrators = plan.administrators
    if administrators is not None and len(given) < administrators.threshold:
        raise NotReady(
            f"{administrators.threshold} of {len(administrators.keys)} administrators sign that "
            f"order, {len(given)} have: --plan FILE writes it for `hsm-mpc admin sign FILE`, and "
            "--signature FILE takes what that wrote"
        )
    with connected(config_path) as client:
        return shown_wallet(client.order(name, plan.order, given))
