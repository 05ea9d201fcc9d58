"""`wallet order`: an epoch ends although a confirmation is missing, once that is ordered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.app.client import connected
from hsm_mpc.app.shown_order import ShownOrder, shown_order
from hsm_mpc.app.wallet import ShownWallet, digest_of, shown_wallet
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.client.ordering import AskedOrder
from hsm_mpc.errors import BadInput, NotReady
from hsm_mpc.ids import EpochHash
from hsm_mpc.regular import read_regular
from hsm_mpc.succession.order_plan import OrderPlan
from hsm_mpc.succession.ordering import signature_in
from hsm_mpc.wire.envelope import bundle, unbundled

_LARGEST_FILE: Final = 512 * 1024


@dataclass(frozen=True, slots=True)
class Prepared:
    """An order that may be signed, as a file has it, and as people see it."""

    shown: ShownOrder
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """An order that waits in a file for its signatures."""

    order: ShownOrder
    file: Path


def prepare(
    config_path: Path,
    name: str,
    epoch_hash: str,
    suspects: Sequence[str],
    reason: str,
    *,
    margin_accepted: bool,
) -> Prepared:
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
    return Prepared(_shown(plan), plan.to_bytes())


def write(prepared: Prepared, file: Path) -> Written:
    """Put an order into a new file, for `admin sign`. Raises: BadInput: it cannot be written."""
    write_new(file, prepared.encoded)
    return Written(prepared.shown, file)


def carry_out(
    config_path: Path, name: str, prepared: Prepared, signatures: Sequence[Path]
) -> ShownWallet:
    """Have everybody that answers obey it.

    Args:
        signatures: files of `admin sign`.

    Raises:
        NotReady: more administrators have to sign it; or as `WalletClient.order`.
        BadInput: a file is no signature of this order.
        Others: as `WalletClient.order`.
    """
    plan = OrderPlan.from_bytes(prepared.encoded)
    given = [_signature(file, plan.order) for file in signatures]
    administrators = plan.administrators
    if administrators is not None and len(given) < administrators.threshold:
        raise NotReady(
            f"{administrators.threshold} of {len(administrators.keys)} administrators sign that "
            f"order, {len(given)} have: --plan FILE writes it for `hsm-mpc admin sign FILE`, and "
            "--signature FILE takes what that wrote"
        )
    with connected(config_path) as client:
        return shown_wallet(client.order(name, plan.order, given))


def read_plan(file: Path) -> OrderPlan:
    """The order in a file of `write`. Raises: BadInput: it cannot be read, or is none."""
    try:
        return OrderPlan.from_bytes(read_regular(file, _LARGEST_FILE)[0])
    except BadInput as broken:
        raise BadInput(f"{file}: {broken}") from broken


def signature_file(order: Order, signature: OrderSignature) -> bytes:
    """What `admin sign` writes: the order, and one signature of it."""
    return bundle([order.terms, signature.to_bytes()])


def write_new(file: Path, content: bytes) -> None:
    """Raises: BadInput: the file is there already, or cannot be written."""
    try:
        with file.open("xb") as opened:
            opened.write(content)
    except OSError as failure:
        raise BadInput(f"{file}: {failure.strerror}") from failure


def _shown(plan: OrderPlan) -> ShownOrder:
    return shown_order(plan.order, plan.body, plan.roster, plan.administrators)


def _signature(file: Path, order: Order) -> OrderSignature:
    try:
        parts = unbundled(read_regular(file, _LARGEST_FILE)[0])
        if len(parts) != 2 or parts[0] != order.terms:
            raise BadInput("not a signature of this order")
        return signature_in(parts[1])
    except BadInput as broken:
        raise BadInput(f"{file}: {broken}") from broken
