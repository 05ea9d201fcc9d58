"""Where an ORDER message belongs: it is carried to those whose consent it wants (step 1.7.8)."""

from __future__ import annotations

from typing import Final

from hsm_mpc.certificates.order import Order
from hsm_mpc.wire.envelope import Address
from hsm_mpc.wire.inbox import Expected
from hsm_mpc.wire.rounds import EVERYBODY, ORDER

_NO_SESSION: Final = bytes(32)


def address_of(order: Order, sender: int) -> Address:
    """Of the message by which coordinator `sender` carries it."""
    return Address(order.wallet_id, _NO_SESSION, order.epoch_hash, sender, EVERYBODY)


def expected_of(order: Order) -> Expected:
    """What is waited for: it comes from a coordinator of the own list."""
    return Expected(ORDER, order.wallet_id, _NO_SESSION, order.epoch_hash, None)
