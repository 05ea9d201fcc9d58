"""What is done to the messages of a repair: ORDER-REPAIR, R1, R2 and DONE."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from hsm_mpc.agent.repair.orders import setup_of
from hsm_mpc.agent.succession.live import opened_share
from hsm_mpc.app.acting import suites
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.ids import EpochHash, Scheme
from hsm_mpc.protocols import repair
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.secure.arena import Secret
from hsm_mpc.succession.repairing import address_in_repair
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import FIRST_COORDINATOR, ORDER, Key
from tests.agent.simulate import World
from tests.malice import repair_fields
from tests.malice.bench import COORDINATOR
from tests.malice.hearing import HOLDER, Case, Hearing
from tests.malice.refreshing import of_holders
from tests.malice.repairs import Repairs
from tests.malice.verdicts import LIAR, Attack

_LOST = 3
_HELPERS = (1, LIAR)
_ANOTHER_PLAN = "it is another plan, as good as this one"
_SIGNED_TO_SPLIT = "whoever splits for it compares"


def of_orders(world: World, scheme: Scheme) -> list[Attack]:
    """On ORDER-REPAIR: before helpers sign it, once they have, and before the holder r."""
    repairs, petty = (Repairs.of(world, scheme, name, _LOST) for name in ("treasury", "petty"))
    other = petty.summed()
    found = []
    there = {"that of another wallet": "it is answered as it was there"}
    another = dict.fromkeys(("over later", "with another nonce"), _ANOTHER_PLAN)
    others = {"about other delivery keys": "whoever splits compares with the DONEs"}
    for message, begun, foreign, harmless in (
        ("ORDER-REPAIR, to be signed", _to_be_signed, there, another | others),
        ("ORDER-REPAIR, at helpers", _to_split, there, {}),
        ("ORDER-REPAIR, at the lost holder", _to_recover, {}, {}),
    ):
        hearing = Hearing(world, message, COORDINATOR, partial(begun, repairs))
        hearing.envelope()
        order = RepairOrder.from_bytes(parse_envelope(hearing.case.honest).payload)
        group = repairs.now.body.terms.group
        hearing.payload(repair_fields.of_order(order, group))
        hearing.replaced(
            lambda: {"that of another wallet": other.said(), "ORDER": _in_another_round(repairs)},
            foreign,
        )
        hearing.messages(lambda: _false_orders(repairs), harmless)
        hearing.taken()
        found += hearing.found
    repairs.over()
    return found


def _in_another_round(repairs: Repairs) -> bytes:
    """The same, as a message of another kind."""
    order = repairs.now.order
    address = address_in_repair(order, FIRST_COORDINATOR)
    sign = repairs.world.coordinator.sign
    return seal_envelope(ORDER, address, order.to_bytes(), Key.COORDINATOR, sign).to_bytes()


def _to_be_signed(repairs: Repairs) -> Case:
    now = repairs.offered()
    now.order = now.wished(nonce=repairs.nonce())
    return Case(
        now.said(), of_holders(lambda i, said: now.desk(i).countersign(said), repairs.helpers)
    )


def _to_split(repairs: Repairs) -> Case:
    now = repairs.ordered()
    splits = of_holders(lambda i, said: now.desk(i).split(said, now.dones), repairs.helpers)
    return Case(now.said(), splits)


def _to_recover(repairs: Repairs) -> Case:
    now = repairs.summed()

    def recovered(index: int, said: bytes) -> object:
        return now.desk(index).recover(said, now.dones, now.splits, now.sums)

    return Case(now.said(), of_holders(recovered, (repairs.lost,)))


def _false_orders(repairs: Repairs) -> dict[str, bytes]:
    """Each with the session that follows from it, under the signatures of the true one."""
    now, roster = repairs.now, repairs.world.roster
    true, second = now.order, roster.member(LIAR).key
    own = Done.from_bytes(parse_envelope(now.dones[0]).payload, now.body.terms.group)
    lies = {
        "for h2 in place of h3": replace(true, lost=LIAR),
        "for h2, by h1 and h3": replace(true, lost=LIAR, helpers=(1, 3)),
        "for a holder that there is not": replace(true, lost=9),
        "by h1 alone": replace(true, helpers=(1,)),
        "by h1 and h3, who is lost": replace(true, helpers=(1, 3)),
        "with another known key": replace(true, known_key=second),
        "with the identity key of h2": replace(true, identity_key=second),
        "with the delivery key of h1": replace(true, delivery_key=own.delivery_key),
        "with another kek_digest": replace(true, kek_digest=bytes(32)),
        "about other delivery keys": replace(true, keys_digest=bytes(32)),
        "over already": replace(true, deadline=now.world.clock() - 1),
        "over later": replace(true, deadline=true.deadline + 1),
        "of another epoch": replace(true, epoch_hash=EpochHash(b"e" * 32)),
        "with another nonce": replace(true, nonce=bytes(32)),
    }
    if true.signatures:
        one, two = true.signatures
        lies |= {
            "signed by nobody": replace(true, signatures=()),
            "signed by h2 alone": replace(true, signatures=(two,)),
            "signed by h1 twice": replace(true, signatures=(one, one)),
            "signed by both, h2 first": replace(true, signatures=(two, one)),
        }
    return {what: now.said(order) for what, order in lies.items()}


# R1 and R2


def of_shares(world: World, scheme: Scheme) -> list[Attack]:
    """On R1 of h2, before the other helper and the lost holder; then on its R2."""
    repairs, petty = (Repairs.of(world, scheme, name, _LOST) for name in ("treasury", "petty"))
    other = petty.summed()
    found = []
    for message, at_helper, begun in (
        ("R1, at the other helper", True, _to_collect),
        ("R1, at the lost holder", False, _split_for),
    ):
        hearing = Hearing(world, message, HOLDER, partial(begun, repairs))
        hearing.envelope()
        group = repairs.now.body.terms.group
        own = [f"{part} for h{LIAR}" for part in ("ciphertext", "tag")] if at_helper else []
        hearing.payload(
            repair_fields.of_split(group, _HELPERS),
            dict.fromkeys(own, "only the liar itself opens it"),
        )
        hearing.replaced(
            lambda: {
                "that of another wallet": other.splits[1],
                "that of h1": repairs.now.splits[0],
                "R2 of another wallet": other.sums[1],
                "ORDER-REPAIR": repairs.now.said(),
            }
        )
        unknown = "nobody has seen another one yet" if at_helper else ""
        hearing.lied("another one, as sound", _split_again(repairs), unknown)
        hearing.taken()
        found += hearing.found
    summed = Hearing(world, "R2", HOLDER, partial(_summed_for, repairs))
    summed.envelope()
    summed.payload(repair_fields.of_sum(repairs.now.body.terms.group))
    summed.replaced(
        lambda: {
            "that of another wallet": other.sums[1],
            "that of h1": repairs.now.sums[0],
            "R1": repairs.now.splits[1],
        }
    )
    summed.taken()
    repairs.over()
    return [*found, *summed.found]


def _to_collect(repairs: Repairs) -> Case:
    now = repairs.split()
    one, two = now.splits
    return Case(two, of_holders(lambda i, said: now.collect(i, [one, said]), _HELPERS))


def _split_for(repairs: Repairs) -> Case:
    now = repairs.summed()
    one, two = now.splits

    def recovered(index: int, said: bytes) -> object:
        return now.desk(index).recover(now.said(), now.dones, [one, said], now.sums)

    return Case(two, of_holders(recovered, (_LOST,)))


def _summed_for(repairs: Repairs) -> Case:
    now = repairs.summed()
    one, two = now.sums
    return Case(two, of_holders(lambda _, said: now.recover([one, said]), (_LOST,)))


def _split_again(repairs: Repairs) -> bytes:
    """What h2 might have said as well."""
    now, acting = repairs.now, repairs.world.parties[LIAR].acting
    suite = suites()[now.body.terms.scheme]

    def draw(into: Secret) -> None:
        suite.group.random_nonzero(into, acting.entropy)

    with opened_share(acting.at(now.body), now.body) as own:
        setup = setup_of(acting, suite, now.order, now.body, now.dones)
        keep, outbox = repair.split(setup, LIAR, own.delivery, own.share, draw)
        abort(keep)
    return outbox.to_all
