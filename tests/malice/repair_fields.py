"""Where the fields of the messages of a repair lie."""

from __future__ import annotations

from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.ed25519 import ED25519
from hsm_mpc.succession.amendment import Repaired
from tests.malice.fields import Field, Layout, at
from tests.malice.order_fields import of_key


def of_order(order: RepairOrder, group: Group) -> list[Field]:
    """Of the signatures, the last."""
    layout = Layout(group).raw("wallet_id", 16).digest("h").bounds("lost", 2)
    of_key(layout, "known key", order.known_key)
    of_key(layout, "identity key", order.identity_key)
    layout.length("V", 2).point("V").digest("kek_digest")
    layout.lv16("offer", len(order.offer_signature)).bounds("count of helpers", 1)
    layout.skip(2 * (len(order.helpers) - 1)).bounds("the last helper", 2)
    layout.digest("hash of all V").bounds("deadline", 8).raw("nonce", 32)
    if not order.signatures:
        return layout.none("count of signatures", 1).ends()
    layout.bounds("count of signatures", 1)
    *others, last = order.signatures
    layout.skip(sum(len(each.to_bytes()) for each in others))
    layout.bounds("admin", 1).raw("alg of the signature", 1, lambda _: b"\x09")
    return layout.lv16("signature", len(last.signature)).ends()


def of_ack(acknowledgement: Acknowledgement) -> list[Field]:
    layout = Layout(ED25519).digest("h").digest("kek_digest").digest("blob_digest")
    return layout.lv16("signature", len(acknowledgement.signature)).ends()


def of_amendment(amendment: Repaired, group: Group) -> list[Field]:
    """Of the order each field, of ACK that there is another one."""
    order = amendment.order.to_bytes()
    head = Layout(group).bounds("form", 1).length("ORDER-REPAIR", 4)
    inner = [
        at(f"ORDER-REPAIR: {each.name}", 5, len(order), each.change)
        for each in of_order(amendment.order, group)
    ]
    tail = head.skip(len(order)).length("ACK", 4).number("ACK", len(amendment.ack))
    *fields, more, less, nothing = tail.ends()
    return [*fields, *inner, more, less, nothing]


def of_split(group: Group, helpers: tuple[int, ...]) -> list[Field]:
    layout = Layout(group)
    for helper in helpers:
        layout.point(f"D for h{helper}")
    proof = group.point_length + 32
    layout.signature("PoP", proof).signature("PoP^V", proof).point("E")
    for helper in helpers:
        layout.length(f"the frame for h{helper}", 8).raw(f"ciphertext for h{helper}", 32)
        layout.raw(f"tag for h{helper}", 16)
    return layout.ends()


def of_sum(group: Group) -> list[Field]:
    layout, proof = Layout(group).digest("hash of all R1"), group.point_length + 32
    layout.signature("PoP", proof).signature("PoP^V", proof).point("E")
    layout.length("the frame", 8).raw("ciphertext", 32).raw("tag", 16)
    return layout.ends()
