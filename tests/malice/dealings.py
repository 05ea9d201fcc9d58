"""What is done to DEAL of a refresh, and to the CHANNELs beside it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from hsm_mpc.agent.succession.dealing import proposed_in, setup_of
from hsm_mpc.protocols.refresh_messages import ZeroDealing
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import DEAL
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World
from tests.malice import fields, succession_fields
from tests.malice.hearing import HOLDER, Case, Hearing
from tests.malice.refreshing import of_holders
from tests.malice.successions import Refreshes
from tests.malice.verdicts import LIAR, Attack
from tests.protocols.forgery import forged_dealing

_SLOPE, _EPHEMERAL = 603, 77


def of_deals(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On the DEAL of h2, before those who are to stage what is dealt."""
    other = petty.dealt()

    def begun() -> Case:
        now = refreshes.dealt()
        return Case(now.deals[LIAR - 1], of_holders(lambda i, deal: _staged(now, i, deal=deal)))

    hearing = Hearing(world, DEAL.name, HOLDER, begun)
    hearing.envelope()
    terms = refreshes.now.replaced.terms
    of_deal = succession_fields.of_deal(terms.group, terms.sizes.t, terms.sizes.n)
    own = {f"{part} for h{LIAR}": "only the liar itself opens it" for part in ("ciphertext", "tag")}
    hearing.payload(of_deal, own)
    hearing.replaced(
        lambda: {
            "that of the epoch before": refreshes.past.deals[LIAR - 1],
            "that of another wallet": other.deals[LIAR - 1],
            "that of h3": refreshes.now.deals[2],
            "ACK": other.stage(LIAR),
        }
    )
    hearing.lies(lambda: _false_dealings(refreshes.now))
    hearing.taken()
    refreshes.over()
    return hearing.found


def of_channels(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On the CHANNEL of h2, beside its DEAL."""

    def begun() -> Case:
        now = refreshes.dealt()
        takes = of_holders(lambda i, channel: _staged(now, i, channel=channel))
        return Case(now.channels[LIAR - 1], takes)

    hearing = Hearing(world, "CHANNEL, beside DEAL", HOLDER, begun)
    hearing.envelope()
    payload = parse_envelope(hearing.case.honest).payload
    for each in fields.of_channel(len(payload) - 98 - 2):
        hearing.payload([each])
    hearing.replaced(
        lambda: {
            "that of h3": refreshes.now.channels[2],
            "DEAL": refreshes.now.deals[LIAR - 1],
        }
    )
    hearing.taken()
    refreshes.over()
    return hearing.found


def _staged(
    now: Refreshing, index: int, *, deal: bytes | None = None, channel: bytes | None = None
) -> bytes:
    """The ACK of one holder, to whom another message of h2 is shown."""
    deals, channels = list(now.deals), list(now.channels)
    if deal is not None:
        deals[LIAR - 1] = deal
    if channel is not None:
        channels[LIAR - 1] = channel
    said: bytes = now.successions(index).stage(deals, channels)
    return said


def _false_dealings(now: Refreshing) -> dict[str, bytes]:
    """Well made, by a dealer that knows all that it has to know."""
    head = parse_envelope(now.deals[LIAR - 1]).payload[:42]
    with now.successions(LIAR).live(now.propose) as (live, suite):
        setup = setup_of(live, suite, proposed_in(live, now.propose))
        own, theirs = (
            ZeroDealing.from_bytes(parse_envelope(now.deals[index - 1]).payload[42:], setup)
            for index in (LIAR, 3)
        )
        with live.opened() as opened:
            known = ZeroDealing, setup, LIAR, opened.delivery, {1: _SLOPE}, _EPHEMERAL
            forged = partial(forged_dealing, *known)
            honest = forged()
            swapped = (honest.sealed[2], *honest.sealed[1:])
            lies = {
                "a delta of another polynomial for h1": forged(shares={1: _SLOPE + 1}),
                "a delta of 0 for h1": forged(raw_shares={1: bytes(32)}),
                "a delta for h1 that is no scalar": forged(raw_shares={1: b"\xff" * 32}),
                "the delta of h3 for h1": replace(honest, sealed=swapped),
                "all that h3 dealt": theirs,
                **{
                    f"the {name} of h3": replace(own, **{name: getattr(theirs, name)})
                    for name in (
                        "commitments",
                        "possession",
                        "ephemeral_possession",
                        "static_possession",
                        "ephemeral",
                        "sealed",
                    )
                },
            }
    return {what: head + dealing.to_bytes() for what, dealing in lies.items()}
