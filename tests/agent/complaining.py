"""Holders that seal false deltas, and holders that complain of what is sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from hsm_mpc.agent.offers import kept_offer
from hsm_mpc.agent.repair.complaining import Shown as RepairShown
from hsm_mpc.agent.repair.offering import opened_offer
from hsm_mpc.agent.repair.orders import setup_of as setup_in_repair
from hsm_mpc.agent.succession.dealing import asked_in, proposed_in, reshare_setup, setup_of
from hsm_mpc.agent.succession.live import OpenShare, opened_share
from hsm_mpc.agent.succession.shown import Shown
from hsm_mpc.app.acting import suites
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.protocols import equal_logs, refresh, repair
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.equal_logs import Bases
from hsm_mpc.protocols.refresh_messages import RefreshSetup, ZeroDealing
from hsm_mpc.protocols.repair_messages import RepairSetup, Split, Summed
from hsm_mpc.protocols.reshare_messages import ShareDealing
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from hsm_mpc.succession.complained import AccusedOf, Complained, digest_of
from hsm_mpc.succession.repairing import address_in_repair
from hsm_mpc.wire.envelope import bundle, parse_envelope
from hsm_mpc.wire.rounds import COMPLAINT, FIRST_NEW_HOLDER, NEW_COMPLAINT, REPAIR_COMPLAINT
from tests.agent.making import resigned
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import Repairing
from tests.agent.simulate import World
from tests.secure.bytes_of import write

_WIDTH = 32


def shown_of(refreshing: Refreshing) -> Shown:
    """What went round in the attempt."""
    return Shown(refreshing.propose, tuple(refreshing.deals), tuple(refreshing.channels))


def parts_of(shown: Shown) -> tuple[bytes, ...]:
    """The same, as a call carries it."""
    return shown.propose, bundle(shown.deals), bundle(shown.channels)


def false_deal(world: World, propose: bytes, deal: bytes, *receivers: int) -> bytes:
    """DEAL of the same dealer, well made but for its deltas for these holders: they open, and are
    of another polynomial.
    """
    message = parse_envelope(deal)
    dealer = message.address.sender
    with world.parties[dealer].successions.live(propose) as (live, suite):
        setup = setup_of(live, suite, proposed_in(live, propose))
        with live.opened() as own:
            said, other = (
                _dealt(setup, dealer, own.delivery, _scalars(suite, first)) for first in (600, 601)
            )
    sealed = tuple(
        (other if index in receivers else said).sealed[index - 1] for index in setup.receivers
    )
    payload = message.payload[:42] + replace(said, sealed=sealed).to_bytes()
    return resigned(world, deal, payload)


def lied_to(refreshing: Refreshing, dealer: int, *receivers: int) -> None:
    """All members have dealt, and one of them sealed false deltas for these holders."""
    refreshing.joined()
    refreshing.dealt()
    place = list(refreshing.members).index(dealer)
    deal = refreshing.deals[place]
    refreshing.deals[place] = false_deal(refreshing.world, refreshing.propose, deal, *receivers)


def false_complaint(world: World, shown: Shown, accuser: int, accused: int) -> bytes:
    """A COMPLAINT with a right proof about whatever that dealer has sealed."""
    source = next(each for each in shown.deals if parse_envelope(each).address.sender == accused)
    deal = parse_envelope(source)
    alpha = deal.payload[:10]
    with world.parties[accuser].successions.live(shown.propose) as (live, suite):
        setup = setup_of(live, suite, proposed_in(live, shown.propose))
        dealing = ZeroDealing.from_bytes(deal.payload[42:], setup)
        bases = Bases(setup.key_of(accuser), dealing.ephemeral, setup.key_of(accused))
        with live.opened() as own:
            draw = _scalars(suite, 71)
            halves = equal_logs.reveal(suite, setup.session, bases, own.delivery, draw)
    payload = Complained(digest_of(deal), Complaint(accused, halves)).to_bytes(alpha)
    acting = world.parties[accuser].acting
    address = replace(deal.address, sender=accuser)
    return acting.signed_by_identity(COMPLAINT, address, payload)


def false_complaint_anew(old: World, new: World, shown: Shown, k: int, accused: int) -> bytes:
    """A COMPLAINT of new holder k with a right proof about whatever that dealer has sealed."""
    source = next(each for each in shown.deals if parse_envelope(each).address.sender == accused)
    deal, party = parse_envelope(source), new.parties[k]
    with old.parties[accused].successions.live(shown.propose) as (live, suite):
        resharing = asked_in(live, shown.attempt.to_bytes()).resharing
        proposed = proposed_in(live, shown.propose, resharing)
        assert proposed.newcomers is not None
        setup = reshare_setup(live.body, suite, proposed, proposed.newcomers)
    dealing = ShareDealing.from_bytes(deal.payload[len(proposed.head_of_deals) :], setup)
    own = party.arrivals._waiting[deal.address.wallet_id].greeted.delivery
    bases = Bases(setup.key_of_receiver(k), dealing.ephemeral, setup.key_of(accused))
    with own.arena.open():
        halves = equal_logs.reveal(suite, setup.session, bases, own, _scalars(suite, 71))
    alpha = shown.attempt.to_bytes()
    payload = Complained(digest_of(deal), Complaint(accused, halves)).to_bytes(alpha)
    address = replace(deal.address, sender=FIRST_NEW_HOLDER + k)
    return party.acting.signed_by_identity(NEW_COMPLAINT, address, payload)


def _dealt(
    setup: RefreshSetup, dealer: int, delivery: Secret, draw: Callable[[Secret], None]
) -> ZeroDealing:
    keep, outbox = refresh.deal(setup, dealer, delivery, draw)
    abort(keep)
    return ZeroDealing.from_bytes(outbox.to_all, setup)


def _scalars(suite: Suite, first: int) -> Callable[[Secret], None]:
    """Draws `first`, and behind it always the same."""

    def draw(into: Secret) -> None:
        numbers = [first, *range(70, 70 + into.size // _WIDTH - 1)]
        write(into, b"".join(suite.group.scalar_bytes(number) for number in numbers))

    return draw


# In a repair


def shown_in(repairing: Repairing, *, summed: bool = False) -> RepairShown:
    """What went round in the repair, up to R1 or to R2."""
    sums = tuple(repairing.sums) if summed else ()
    return RepairShown(repairing.said(), tuple(repairing.dones), tuple(repairing.splits), sums)


def false_split(world: World, said: bytes, dones: Sequence[bytes], source: bytes, to: int) -> bytes:
    """R1 of the same helper, well made but for its delta for helper `to`; `said` is the order."""
    helper = parse_envelope(source).address.sender
    order = RepairOrder.from_bytes(parse_envelope(said).payload)
    party = world.parties[helper]
    with party.successions.at(order.wallet_id, order.epoch_hash) as live:
        body = live.body
    suite = suites()[body.terms.scheme]
    setup = setup_in_repair(party.acting, suite, order, body, dones)
    with opened_share(party.acting, body) as own:
        honest, other = (_split(setup, helper, own, _scalars(suite, first)) for first in (600, 601))
    place = order.helpers.index(to)
    sealed = (*honest.sealed[:place], other.sealed[place], *honest.sealed[place + 1 :])
    return resigned(world, source, replace(honest, sealed=sealed).to_bytes())


def false_complaint_in(
    repairing: Repairing, accuser: int, accused: int, *, about_sum: bool = False
) -> bytes:
    """A COMPLAINT with a right proof about whatever that helper has sealed."""
    world, order, body = repairing.world, repairing.order, repairing.body
    holder, suite = world.parties[accuser].acting, suites()[body.terms.scheme]
    setup = setup_in_repair(holder, suite, order, body, repairing.dones)
    sources = repairing.sums if about_sum else repairing.splits
    message = parse_envelope(sources[order.helpers.index(accused)])
    parsed: Split | Summed = (
        Summed.from_bytes(message.payload, setup)
        if about_sum
        else Split.from_bytes(message.payload, setup)
    )
    bases = Bases(setup.key_of(accuser), parsed.ephemeral, setup.key_of(accused))
    with ExitStack() as stack:
        if about_sum:
            offered = kept_offer(holder, order.wallet_id)
            assert offered is not None
            delivery = stack.enter_context(opened_offer(holder, body, offered))
        else:
            delivery = stack.enter_context(opened_share(holder, body)).delivery
        halves = equal_logs.reveal(suite, setup.session, bases, delivery, _scalars(suite, 71))
    what = AccusedOf.SUM if about_sum else AccusedOf.DELTA
    payload = Complained(digest_of(message), Complaint(accused, halves)).to_bytes(what.place)
    address = address_in_repair(order, accuser)
    return holder.signed_by_identity(REPAIR_COMPLAINT, address, payload)


def _split(
    setup: RepairSetup, helper: int, own: OpenShare, draw: Callable[[Secret], None]
) -> Split:
    keep, outbox = repair.split(setup, helper, own.delivery, own.share, draw)
    abort(keep)
    return Split.from_bytes(outbox.to_all, setup)
