"""Files in which an order goes to administrators, and their signatures come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from hsm_mpc.app.shown_order import ShownOrder, shown_plan
from hsm_mpc.app.shown_repair import ShownRepair, shown_repair
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.errors import BadInput
from hsm_mpc.regular import read_regular
from hsm_mpc.succession.order_plan import OrderPlan, RepairPlan, signable_in
from hsm_mpc.succession.order_signatures import signature_in
from hsm_mpc.wire.envelope import bundle, unbundled

_LARGEST_FILE: Final = 4 << 20

Shown = ShownOrder | ShownRepair
_Shown = TypeVar("_Shown", ShownOrder, ShownRepair)


@dataclass(frozen=True, slots=True)
class Prepared(Generic[_Shown]):
    """An order that may be signed, as a file has it, and as people see it."""

    shown: _Shown
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """An order that waits in a file for its signatures."""

    order: Shown
    file: Path


def shown_of(plan: OrderPlan | RepairPlan) -> Shown:
    """What is in a file."""
    return shown_repair(plan) if isinstance(plan, RepairPlan) else shown_plan(plan)


def write(order: Prepared[_Shown], file: Path) -> Written:
    """Put an order into a new file, for `admin sign`. Raises: BadInput: it cannot be written."""
    write_new(file, order.encoded)
    return Written(order.shown, file)


def read_plan(file: Path) -> OrderPlan | RepairPlan:
    """The order in a file of `write`. Raises: BadInput: it cannot be read, or is none."""
    try:
        return signable_in(read_regular(file, _LARGEST_FILE)[0])
    except BadInput as broken:
        raise BadInput(f"{file}: {broken}") from broken


def signature_file(order: Order | RepairOrder, signature: OrderSignature) -> bytes:
    """What `admin sign` writes: the order, and one signature of it."""
    return bundle([order.terms, signature.to_bytes()])


def signatures_in(files: Sequence[Path], order: Order | RepairOrder) -> list[OrderSignature]:
    """Of files of `admin sign`. Raises: BadInput: one of them is no signature of this order."""
    return [_signature(file, order) for file in files]


def write_new(file: Path, content: bytes) -> None:
    """Raises: BadInput: the file is there already, or cannot be written."""
    try:
        with file.open("xb") as opened:
            try:
                opened.write(content)
                opened.flush()
            except OSError:
                file.unlink()  # half of it would stand in the way of the next try
                raise
    except OSError as failure:
        raise BadInput(f"{file}: {failure.strerror}") from failure


def _signature(file: Path, order: Order | RepairOrder) -> OrderSignature:
    try:
        parts = unbundled(read_regular(file, _LARGEST_FILE)[0])
        if len(parts) != 2 or parts[0] != order.terms:
            raise BadInput("not a signature of this order")
        return signature_in(parts[1])
    except BadInput as broken:
        raise BadInput(f"{file}: {broken}") from broken
