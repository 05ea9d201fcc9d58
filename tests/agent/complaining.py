"""Dealers of a refresh that seal false deltas, and holders that complain of what is sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hsm_mpc.agent.succession.complaining import Shown
from hsm_mpc.agent.succession.dealing import proposed_in, setup_of
from hsm_mpc.protocols import equal_logs, refresh
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.equal_logs import Bases
from hsm_mpc.protocols.refresh_messages import RefreshSetup, ZeroDealing
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from hsm_mpc.succession.complained import Complained, digest_of
from hsm_mpc.wire.envelope import bundle, parse_envelope
from hsm_mpc.wire.rounds import COMPLAINT
from tests.agent.making import resigned
from tests.agent.refreshing import Refreshing
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
    payload = message.payload[:10] + replace(said, sealed=sealed).to_bytes()
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
        dealing = ZeroDealing.from_bytes(deal.payload[10:], setup)
        bases = Bases(setup.key_of(accuser), dealing.ephemeral, setup.key_of(accused))
        with live.opened() as own:
            draw = _scalars(suite, 71)
            halves = equal_logs.reveal(suite, setup.session, bases, own.delivery, draw)
    payload = Complained(digest_of(deal), Complaint(accused, halves)).to_bytes(alpha)
    acting = world.parties[accuser].acting
    address = replace(deal.address, sender=accuser)
    return acting.signed_by_identity(COMPLAINT, address, payload)


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
