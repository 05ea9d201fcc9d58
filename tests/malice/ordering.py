"""What is done to ORDER: before the holders that it counts sign it, and in RETIRE."""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.certificates.order import Order
from hsm_mpc.ids import EpochHash, Scheme
from hsm_mpc.succession.order_addresses import CarriedOrder, address_of
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import FIRST_COORDINATOR, ORDER_REPAIR, RETIRE, Key
from tests.agent import ordering
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import LAB_POLICY, World
from tests.malice import order_fields
from tests.malice.bench import COORDINATOR
from tests.malice.hearing import Case, Hearing
from tests.malice.proposing import cert_of
from tests.malice.refreshing import of_holders
from tests.malice.successions import Refreshes
from tests.malice.verdicts import LIAR, Attack

_ANOTHER_PLAN = "it is another plan, as good as this one"
_TO_BE_SIGNED = "ORDER, to be signed"
_IN_RETIRE = "ORDER, in RETIRE"


def attacks(world: World, scheme: Scheme) -> list[Attack]:
    """h1 and h2 have adopted the successor, h3 is suspected."""
    refreshes = Refreshes.of(world, scheme)
    return [*_to_be_signed(world, refreshes), *_in_retire(world, refreshes)]


def _adopted(refreshes: Refreshes) -> tuple[Order, list[bytes]]:
    """By those who are counted."""
    now = refreshes.certified_again()
    dones = [now.adopt(index) for index in (1, LIAR)]
    return ordering.wished(now), dones


def _to_be_signed(world: World, refreshes: Refreshes) -> list[Attack]:
    orders = list[Order]()

    def begun() -> Case:
        order, _ = _adopted(refreshes)
        orders[:] = [order]
        signs = of_holders(lambda i, said: ordering.desk(world, i).countersign(said), (1, LIAR))
        return Case(ordering.said(world, order), signs)

    hearing = Hearing(world, _TO_BE_SIGNED, COORDINATOR, begun)
    hearing.envelope()
    carried = CarriedOrder.from_bytes(parse_envelope(hearing.case.honest).payload)
    free = ("reason", "deadline", "deadline at its most", "nonce")
    hearing.payload(order_fields.of_carried(carried), dict.fromkeys(free, _ANOTHER_PLAN))
    hearing.replaced(lambda: {"ORDER-REPAIR": _in_another_round(world, orders[0])})
    hearing.messages(
        lambda: {
            what: ordering.said(world, each)
            for what, each in _false_orders(refreshes, orders[0]).items()
        },
        dict.fromkeys(("another reason", "another nonce", "without a suspect"), _ANOTHER_PLAN),
    )
    hearing.taken()
    refreshes.over()
    return hearing.found


def _in_another_round(world: World, order: Order) -> bytes:
    address = address_of(order, FIRST_COORDINATOR)
    sign = world.coordinator.sign
    return seal_envelope(ORDER_REPAIR, address, order.to_bytes(), Key.COORDINATOR, sign).to_bytes()


def _false_orders(refreshes: Refreshes, true: Order) -> dict[str, Order]:
    now, before = refreshes.now, refreshes.before
    return {
        "for what the attempt before made": replace(true, successor=before.successor.hash),
        "for the epoch itself": replace(true, successor=EpochHash(now.replaced.hash)),
        "in the attempt before": replace(true, attempt=before.attempt),
        "counting h3 in place of h1": replace(true, counted=(LIAR, 3), suspects=(1,)),
        "counting all": replace(true, counted=(1, 2, 3), suspects=()),
        "counting fewer than t": replace(true, counted=(1,)),
        "counting a holder that there is not": replace(true, counted=(1, 2, 9)),
        "without that no margin is accepted": replace(true, margin_accepted=False),
        "over already": replace(true, deadline=now.world.clock() - 1),
        "of another epoch": replace(true, epoch_hash=EpochHash(b"e" * 32)),
        "another reason": replace(true, reason="h3 is silent"),
        "another nonce": replace(true, nonce=bytes(32)),
        "without a suspect": replace(true, suspects=()),
    }


def _in_retire(world: World, refreshes: Refreshes) -> list[Attack]:
    """Signed by h1 and h2, before everybody."""

    def begun() -> Case:
        order, dones = _adopted(refreshes)
        now, signed = refreshes.now, ordering.countersigned(world, order)

        def retired(index: int, source: bytes) -> None:
            _retire(now, index, Retirement(tuple(dones), (), source, LAB_POLICY))

        return Case(signed.to_bytes(), of_holders(retired))

    hearing = Hearing(world, _IN_RETIRE, COORDINATOR, begun)
    hearing.bare(order_fields.of_order(order_in(hearing)))
    hearing.messages(
        lambda: {
            what: each.to_bytes()
            for what, each in (
                *_false_orders(refreshes, order_in(hearing)).items(),
                *_signed_otherwise(order_in(hearing)).items(),
            )
        }
    )
    hearing.taken()
    refreshes.over()
    return hearing.found


def order_in(hearing: Hearing) -> Order:
    """The honest one."""
    return Order.from_bytes(hearing.case.honest)


def _signed_otherwise(true: Order) -> dict[str, Order]:
    one, two = true.signatures
    return {
        "signed by nobody": replace(true, signatures=()),
        "signed by h2 alone": replace(true, signatures=(two,)),
        "signed by h2 twice": replace(true, signatures=(two, two)),
        "signed by both, h2 first": replace(true, signatures=(two, one)),
    }


def _retire(now: Refreshing, index: int, retirement: Retirement) -> None:
    retire = now.said(RETIRE, retirement.to_bytes())
    now.successions(index).retire(retire, cert_of(now), now.transcript)
    now.retirement = retirement.to_bytes()
