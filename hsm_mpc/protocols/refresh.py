"""Refresh of an epoch's shares (section 6.4): each dealer adds a polynomial that is 0 at 0.

    deal      → DEAL to all, present or not
    combine   ← DEAL of all dealers      now the share x'_r is there: it is sealed before ACK
    catch_up  ← the same, later: for whoever dealt nothing, or has lost what `deal` kept

Key and threshold stay; every other coefficient changes, so that shares of two epochs never fit
together. Secrets: coefficients, ephemeral key, dealt deltas and pads end with the round that made
them. The caller owns the slots of v_r and x_r, shows them to each round and wipes them at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.sharing import DrawScalars, evaluate_public, sum_of_commitments
from hsm_mpc.protocols.dealing import deal as deal_to_all
from hsm_mpc.protocols.dealing import halves_with_all
from hsm_mpc.protocols.dealing_checks import (
    Receiver,
    blame_pairs,
    blame_shares,
    blame_unproven,
    parsed,
    require_one_of_each,
)
from hsm_mpc.protocols.epoch_session import require_own_key
from hsm_mpc.protocols.pads import static_halves
from hsm_mpc.protocols.refresh_messages import RefreshSetup, ZeroDealing
from hsm_mpc.protocols.rounds import Faults, Outbox, kept
from hsm_mpc.secure.arena import Secret, move_bytes, opened


@dataclass(frozen=True, slots=True)
class KeepDealt:
    """Kept from `deal` to `combine`. Whoever loses it catches up instead."""

    setup: RefreshSetup
    me: int
    own: ZeroDealing
    static_halves: Secret
    """S^d with each holder in turn, half of the pads of both directions."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """What a refresh gives. It takes effect only if the epoch that it makes is adopted."""

    commitments: tuple[bytes, ...]
    """A'_0..A'_{t−1}; A'_0 is the group key, as before."""
    public_shares: tuple[bytes, ...]
    """A'(1)..A'(n)."""
    share: Secret
    """x'_r; `rounds.abort` wipes it."""


def deal(
    setup: RefreshSetup, me: int, delivery: Secret, draw: DrawScalars
) -> tuple[KeepDealt, Outbox]:
    """Deal a random polynomial without constant term to all. `delivery` is v of holder `me`.

    Raises:
        BadInput: `me` is no dealer.
        ProtocolAbort: `delivery` is not the key of this holder, or a value is degenerate; no
            culprit.
    """
    if me not in setup.dealers:
        raise BadInput(f"holder {me} deals nothing in a refresh by {list(setup.dealers)}")
    arena = delivery.arena
    with arena.open(), kept(arena) as keep:
        require_own_key(setup, me, delivery)
        halves = halves_with_all(setup, delivery, keep)
        own = deal_to_all(ZeroDealing, setup, me, delivery, halves, draw)
    return KeepDealt(setup, me, own, halves), Outbox(own.to_bytes())  # step 6.4.2


def combine(
    keep: KeepDealt, delivery: Secret, share: Secret, received: Mapping[int, bytes]
) -> Renewed:
    """Check every dealing; the own share of the next epoch. `delivery` is v_r, `share` x_r.

    Raises:
        BadInput: `received` is not one dealing of each dealer.
        ProtocolAbort: naming every dealer whose dealing is bad (steps 6.4.3 and 6.4.9); nobody if
            the relay altered ours, `delivery` or `share` is not ours, or a sum is degenerate.
    """
    setup = keep.setup
    require_one_of_each(received, setup.dealers)
    if received[keep.me] != keep.own.to_bytes():
        raise ProtocolAbort("the own dealing came back altered")
    return _renewed(setup, keep.me, delivery, keep.static_halves, share, received, keep.own)


def catch_up(
    setup: RefreshSetup, me: int, delivery: Secret, share: Secret, received: Mapping[int, bytes]
) -> Renewed:
    """The same from a stored transcript (step 6.4.7). `delivery` and `share` are of holder `me`.

    A dealing of our own is checked like all others.

    Raises:
        BadInput: `received` is not one dealing of each dealer, or `me` is no index.
        ProtocolAbort: as `combine`. Nobody could check our deltas for us: that of a named dealer
            is proven false by `refresh_complaint`, and our share is repaired instead.
    """
    require_one_of_each(received, setup.dealers)
    group, arena = setup.suite.group, delivery.arena
    with arena.open(), arena.scope() as take:
        require_own_key(setup, me, delivery)
        halves = take(group.point_length * setup.holders)
        with halves.open() as first, delivery.open() as secret:
            for dealer in setup.dealers:
                half = first + (dealer - 1) * group.point_length
                static_halves(setup.suite, secret, [setup.key_of(dealer)], half)
        return _renewed(setup, me, delivery, halves, share, received)


def _renewed(
    setup: RefreshSetup,
    me: int,
    delivery: Secret,
    halves: Secret,
    share: Secret,
    received: Mapping[int, bytes],
    own: ZeroDealing | None = None,
) -> Renewed:
    """Step 6.4.3; `own` is a dealing that we made ourselves and still know."""
    faults, known = Faults(), {} if own is None else {me: own}
    parse = partial(ZeroDealing.from_bytes, session=setup)
    dealings = parsed(parse, received, known, faults)
    blame_unproven(setup, dealings, known, faults)
    arena = delivery.arena
    with arena.open(), arena.scope() as take:
        deltas = take(setup.suite.group.scalar_length * (setup.holders + 1))
        with deltas.open() as first:
            blame_shares(Receiver(setup, me, faults), delivery, halves, dealings, first)
        if own is not None and me in faults:
            raise ProtocolAbort("the own dealing does not open with the own delivery key")
        blame_pairs(dealings, "C_1", faults)
        faults.raise_if_any()
        return _added_up(setup, me, share, deltas, dealings)


def _added_up(
    setup: RefreshSetup,
    me: int,
    share: Secret,
    deltas: Secret,
    dealings: Mapping[int, ZeroDealing],
) -> Renewed:
    """A' and x'_r (steps 6.4.4 and 6.4.5); the delta of dealer i stands at place i − 1.

    The sum begins with x_r. No dealer knows it, so none can deal such that a sum on the way is 0,
    which the library refuses (step 1.8.4): we would abort and could name nobody.
    """
    group = setup.suite.group
    width = group.scalar_length
    constant, *rest = setup.commitments
    dealt = [rest, *(dealing.commitments for dealing in dealings.values())]
    commitments = (constant, *sum_of_commitments(group, dealt, lowest=1))
    public_shares = tuple(
        evaluate_public(group, commitments, index) for index in range(1, setup.holders + 1)
    )
    with kept(share.arena) as slots:
        renewed = slots(width)
        with opened(renewed, share, deltas) as (total, before, first):
            move_bytes(total, before, width)
            for dealer in setup.dealers:
                group.add_at(total, first + (dealer - 1) * width)
            if group.public_point_at(total) != public_shares[me - 1]:
                raise ProtocolAbort("the renewed share does not fit the renewed commitments")
    return Renewed(commitments, public_shares, renewed)
