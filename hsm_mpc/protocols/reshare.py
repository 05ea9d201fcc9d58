"""Resharing of an epoch's key to new holders (section 6.8): t old holders each share their part.

    deal      → DEAL to all new holders    dealer i ∈ Q: λ_i·x_i, under a polynomial of degree t'−1
    check     ← DEAL of all dealers        any holder: what is public of them
    receive   ← the same                   new holder k: besides, its share x'_k

Σ λ_i·x_i is the key, which nobody adds up: the sum of the dealt polynomials shares it with a
threshold and holders of its own. Secrets: coefficients, ephemeral key, dealt parts and pads end
with the round that made them. The caller owns the slots of v, v' and x, shows them to each round
and wipes them at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.sharing import DrawScalars, evaluate_public, sum_of_commitments
from hsm_mpc.protocols.dealing import dealt, halves_with_all
from hsm_mpc.protocols.dealing_checks import (
    Receiver,
    blame_shares,
    blame_unproven,
    parsed,
    require_one_of_each,
)
from hsm_mpc.protocols.epoch_session import require_own_key
from hsm_mpc.protocols.pads import static_halves
from hsm_mpc.protocols.refresh import Renewed
from hsm_mpc.protocols.reshare_messages import (
    ReshareSetup,
    ShareDealing,
    require_own_new_key,
)
from hsm_mpc.protocols.rounds import Faults, Outbox, kept
from hsm_mpc.secure.arena import Secret, move_bytes, opened


def deal(
    setup: ReshareSetup, me: int, delivery: Secret, share: Secret, draw: DrawScalars
) -> Outbox:
    """Share the own part of the key among the new holders (step 6.8.2). Nothing of it is kept.

    `delivery` is v of holder `me`, `share` its x.

    Raises:
        BadInput: `me` is no dealer.
        ProtocolAbort: `delivery` or `share` is not that of this holder in this epoch, or a value
            is degenerate; no culprit, and nothing to be sent.
    """
    if me not in setup.dealers:
        raise BadInput(f"holder {me} deals nothing in a resharing by {list(setup.dealers)}")
    group, arena = setup.suite.group, delivery.arena
    width = group.scalar_length
    with arena.open(), arena.scope() as take:
        require_own_key(setup, me, delivery)
        halves = halves_with_all(setup, delivery, take)
        scalars = take(width * (setup.threshold + 1))
        draw(scalars)  # a_0..a_{t'−1} ‖ e; the constant is then the own part instead
        with opened(scalars, share) as (first, x):
            move_bytes(first, x, width)
            group.multiply_public_at(first, setup.factor(me))
        own = dealt(ShareDealing, setup, me, delivery, scalars, halves)
        if own.commitments[0] != setup.constant_of(me):  # everybody would name us
            raise ProtocolAbort("the own share does not fit the commitments of the epoch")
    return Outbox(own.to_bytes())


def check(setup: ReshareSetup, received: Mapping[int, bytes]) -> tuple[bytes, ...]:
    """Check what is public of every dealing; A'_0..A'_{t'−1}, for an old holder.

    Raises:
        BadInput: `received` is not one dealing of each dealer.
        ProtocolAbort: naming every dealer whose dealing is bad (step 6.8.3); nobody if a sum is
            degenerate.
    """
    require_one_of_each(received, setup.dealers)
    faults = Faults()
    dealings = _parsed(setup, received, faults)
    faults.raise_if_any()
    return _commitments(setup, dealings)


def receive(
    setup: ReshareSetup, me: int, delivery: Secret, received: Mapping[int, bytes]
) -> Renewed:
    """Check every dealing; the share of new holder `me`, whose v' is `delivery` (step 6.8.3).

    Raises:
        BadInput: `received` is not one dealing of each dealer, or `me` is no new holder.
        ProtocolAbort: naming every dealer whose dealing is bad; nobody if `delivery` is not ours,
            or a sum is degenerate.
    """
    require_one_of_each(received, setup.dealers)
    group, arena = setup.suite.group, delivery.arena
    with arena.open(), arena.scope() as take:
        require_own_new_key(setup, me, delivery)
        halves = take(group.point_length * len(setup.dealers))
        parts = take(group.scalar_length * (len(setup.dealers) + 1))
        with opened(halves, delivery, parts) as (half, secret, first):
            keys = [setup.key_of(dealer) for dealer in setup.dealers]
            static_halves(setup.suite, secret, keys, half)
            faults = Faults()
            dealings = _parsed(setup, received, faults)
            blame_shares(Receiver(setup, me, faults), delivery, halves, dealings, first)
        faults.raise_if_any()
        return _added_up(setup, me, delivery, parts, _commitments(setup, dealings))


def _parsed(
    setup: ReshareSetup, received: Mapping[int, bytes], faults: Faults
) -> dict[int, ShareDealing]:
    """What parses, checked as anybody can.

    Nobody is named for a C_0 or E that another dealer shows, too. Two parts of the key may be
    equal, which is no dealer's choice; and who copies E has failed a proof.
    """
    dealings = parsed(partial(ShareDealing.from_bytes, session=setup), received, {}, faults)
    blame_unsound(setup, dealings, faults)
    return dealings


def blame_unsound(
    setup: ReshareSetup, dealings: Mapping[int, ShareDealing], faults: Faults
) -> None:
    """Each shares the part that its dealer has, and proves that it knows it (step 6.8.3)."""
    for dealer, dealing in dealings.items():
        if dealing.commitments[0] != setup.constant_of(dealer):
            faults.blame(dealer, "what it shares is not its part of the key")
    blame_unproven(setup, dealings, (), faults)


def _commitments(setup: ReshareSetup, dealings: Mapping[int, ShareDealing]) -> tuple[bytes, ...]:
    """A'_k = Σ C_{i,k}; A'_0 is the key, for each constant is what it has to be (step 6.8.3)."""
    dealt_by_all = [dealing.commitments for dealing in dealings.values()]
    commitments = sum_of_commitments(setup.suite.group, dealt_by_all)
    if commitments[0] != setup.commitments[0]:
        raise ProtocolAbort("the parts of the key do not add up to it")
    return commitments


def _added_up(
    setup: ReshareSetup, me: int, delivery: Secret, parts: Secret, commitments: tuple[bytes, ...]
) -> Renewed:
    """x'_k = Σ f_i(k), the parts in the order of the dealers (step 6.8.3).

    The sum begins with v'_k, which is taken away at the end: without it dealers that lie together
    could deal such that a sum on the way is 0, which the library refuses (step 1.8.4), and we would
    abort and could name nobody. No dealer knows v'_k.
    """
    group = setup.suite.group
    width = group.scalar_length
    public_shares = tuple(evaluate_public(group, commitments, k) for k in setup.receivers)
    with kept(delivery.arena) as slots:
        share = slots(width)
        with opened(share, delivery, parts) as (total, v, first):
            with delivery.arena.room(width) as minus:
                move_bytes(total, v, width)
                for place in range(len(setup.dealers)):
                    group.add_at(total, first + place * width)
                move_bytes(minus, v, width)
                group.negate_at(minus)
                group.add_at(total, minus)
            if group.public_point_at(total) != public_shares[me - 1]:
                raise ProtocolAbort("the new share does not fit the new commitments")
    return Renewed(commitments, public_shares, share)
