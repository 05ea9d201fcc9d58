"""An order of administrators, or of the counted holders: signed, carried and shown in RETIRE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hsm_mpc.agent.ordering import OrderDesk
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.encoding import Reader
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.succession.order_addresses import CarriedOrder, address_of
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import seal_envelope
from hsm_mpc.wire.rounds import FIRST_COORDINATOR, ORDER, Key
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import LAB_POLICY, World
from tests.software_identity import SoftwareKey, ed25519_key, p256_key

ADMINISTRATORS = (ed25519_key(b"a" * 32), p256_key(61), ed25519_key(b"c" * 32))
TWO_OF_THREE = LAB_POLICY + (
    b"administrators:\n  threshold: 2\n  keys:\n"
    + b"".join(
        f"    - {{alg: {key.public.algorithm}, key: {key.public.encoded.hex()}}}\n".encode()
        for key in ADMINISTRATORS
    )
)


def wished(refreshing: Refreshing, **changes: Any) -> Order:
    """That what holders 1 and 2 have adopted replaces the epoch, whatever holder 3 says."""
    order = Order(
        wallet_id=refreshing.replaced.terms.wallet_id,
        epoch_hash=refreshing.replaced.hash,
        attempt=refreshing.attempt,
        successor=refreshing.successor.hash,
        counted=(1, 2),
        suspects=(3,),
        reason="h3 burnt",
        margin_accepted=True,
        deadline=refreshing.world.clock() + 600,
        nonce=b"n" * 32,
    )
    return replace(order, **changes)


def said(world: World, order: Order, dones: Sequence[bytes] | None = None) -> bytes:
    """The ORDER message of the coordinator; with the DONEs that the counted have said, as far as
    they have, unless others are given.
    """
    found = [_done_of(world, order, index) for index in order.counted]
    shown = [done for done in found if done is not None] if dones is None else dones
    payload = CarriedOrder(order, tuple(shown)).to_bytes()
    address = address_of(order, FIRST_COORDINATOR)
    sign = world.coordinator.sign
    return seal_envelope(ORDER, address, payload, Key.COORDINATOR, sign).to_bytes()


def _done_of(world: World, order: Order, index: int) -> bytes | None:
    if index not in world.parties:
        return None
    attempts = world.parties[index].acting.attempts(order.wallet_id)
    return attempts.kept(order.attempt.to_bytes(), AttemptDocument.DONE)


def desk(world: World, index: int) -> OrderDesk:
    party = world.parties[index]
    return OrderDesk(party.acting, party.ceremonies, party.successions)


def countersigned(world: World, order: Order) -> Order:
    """Signed by all holders that it counts."""
    encoded = [desk(world, index).countersign(said(world, order)) for index in order.counted]
    return order.signed([OrderSignature.read(Reader(each, "signature")) for each in encoded])


def signature(order: Order, admin: int, key: SoftwareKey) -> OrderSignature:
    return OrderSignature(admin, key.public.algorithm, key.sign(Tag.ORDER, order.terms))


def by_administrators(order: Order, *admins: int) -> Order:
    return order.signed([signature(order, admin, ADMINISTRATORS[admin]) for admin in admins])


def retirement(order: Order, dones: Sequence[bytes], policy_file: bytes) -> bytes:
    """Payload of RETIRE."""
    return Retirement(tuple(dones), (), order.to_bytes(), policy_file).to_bytes()
