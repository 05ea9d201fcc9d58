"""An ORDER message: it is carried to those whose consent it wants, with what it rests on (1.7.8).

LV32(ORDER without signatures) ‖ u16be(count) ‖ Σ LV32(counted DONE message)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.order import Order
from hsm_mpc.encoding import Reader, lv32, lv32_list
from hsm_mpc.wire.envelope import Address
from hsm_mpc.wire.inbox import Expected
from hsm_mpc.wire.rounds import EVERYBODY, ORDER

_NO_SESSION: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class CarriedOrder:
    """Payload of ORDER. Whether the DONEs hold, only `check_adopted` tells."""

    order: Order
    dones: tuple[bytes, ...]
    """Of each that it counts, ascending: who signs it is bound by it, and wants to see them."""

    def to_bytes(self) -> bytes:
        """The payload."""
        return lv32(self.order.to_bytes()) + lv32_list(self.dones)

    @classmethod
    def from_bytes(cls, source: bytes) -> CarriedOrder:
        """Inverse of `to_bytes`; `BadEncoding` or `BadInput` for anything else."""
        reader = Reader(source, "order")
        order = Order.from_bytes(reader.lv32())
        dones = reader.lv32_list()
        reader.end()
        return cls(order, dones)


def address_of(order: Order, sender: int) -> Address:
    """Of the message by which coordinator `sender` carries it."""
    return Address(order.wallet_id, _NO_SESSION, order.epoch_hash, sender, EVERYBODY)


def expected_of(order: Order) -> Expected:
    """What is waited for: it comes from a coordinator of the own list."""
    return Expected(ORDER, order.wallet_id, _NO_SESSION, order.epoch_hash, None)
