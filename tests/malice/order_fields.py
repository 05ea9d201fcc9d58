"""Where the fields of orders lie: ORDER, ROTATE, AMENDED, DESTROY and the DESTROYED of a wallet."""

from __future__ import annotations

from hsm_mpc.certificates.destruction import Destroy, WalletDestroyed
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.groups.ed25519 import ED25519
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.succession.order_addresses import CarriedOrder
from tests.malice.fields import Field, Layout, most, one_more, zeros


def of_order(order: Order) -> list[Field]:
    """Of the signatures, the last."""
    return _order(Layout(ED25519), order).ends()


def of_carried(carried: CarriedOrder) -> list[Field]:
    """An order, and the DONEs of those that it counts."""
    layout = _order(Layout(ED25519).length("order", 4), carried.order)
    layout.bounds("count of DONEs", 2)
    for number, done in enumerate(carried.dones, 1):
        layout.length(f"DONE {number}", 4).number(f"DONE {number}", len(done))
    return layout.ends()


def _order(layout: Layout, order: Order) -> Layout:
    layout.raw("wallet_id", 16).digest("h_e")
    layout.also("α of zeros", 10, zeros).also("α at its most", 10, most)
    layout.raw("α: counter", 8, one_more).number("α: initiator", 2).digest("h'")
    for name, holders in (("counted", order.counted), ("suspects", order.suspects)):
        layout.bounds(f"count of {name}", 1).skip(2 * (len(holders) - 1))
        layout.bounds(f"the last of the {name}", 2)
    layout.lv16("reason", len(order.reason)).bounds("margin accepted", 1)
    layout.bounds("deadline", 8).raw("nonce", 32)
    if not order.signatures:
        return layout.none("count of signatures", 1)
    layout.bounds("count of signatures", 1)
    *others, last = order.signatures
    layout.skip(sum(len(each.to_bytes()) for each in others))
    layout.bounds("admin", 1).raw("alg of the signature", 1, lambda _: b"\x09")
    return layout.lv16("signature", len(last.signature))


def of_rotate(rotate: Rotate) -> list[Field]:
    layout = Layout(ED25519).raw("wallet_id", 16).digest("h").bounds("holder", 2)
    of_key(layout, "old key", rotate.known_key)
    of_key(layout, "new key", rotate.identity_key)
    layout.bounds("deadline", 8).lv16("signature by the old key", len(rotate.old_signature))
    return layout.lv16("signature by the new key", len(rotate.new_signature)).ends()


def of_key(layout: Layout, name: str, key: VerifyingKey) -> None:
    layout.raw(f"alg of {name}", 1, lambda _: b"\x09").lv16(name, len(key.encoded))


def of_amended(key: VerifyingKey) -> list[Field]:
    layout = Layout(ED25519).bounds("holder", 2)
    of_key(layout, "key", key)
    return layout.ends()


def of_destroy(order: Destroy) -> list[Field]:
    layout = Layout(ED25519).raw("wallet_id", 16).digest("h").lv16("reason", len(order.reason))
    return layout.bounds("deadline", 8).raw("nonce", 32).ends()


def of_destroyed(destroyed: WalletDestroyed) -> list[Field]:
    layout = Layout(ED25519).digest("hash of DESTROY").bounds("count of keys", 2)
    for number in range(1, len(destroyed.keys) + 1):
        layout.digest(f"kek_digest {number}").bounds(f"destroyed_at {number}", 8)
    return layout.ends()
