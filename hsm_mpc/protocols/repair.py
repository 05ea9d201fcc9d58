"""Repair of a lost share (section 6.7): t helpers give holder r its share, and nobody sees another.

    split    → R1 to all           each helper i: its part λ_i·x_i of x_r, as a sum of deltas
    collect  ← R1 of all helpers   each helper k: the deltas for it, added up; R2 to r
    recover  ← R2 of all helpers   holder r, who has checked R1 with `repair_checks.verify`

x_r is the sum of all deltas. Each helper sees one of each other helper, r sees sums of them only.
Secrets: deltas, ephemeral keys and pads end with the round that made them. The caller owns the
slots of v and x, shows them to each round and wipes them at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.groups.sharing import DrawScalars
from hsm_mpc.protocols import schnorr
from hsm_mpc.protocols.dealing import dealt, halves_with_all
from hsm_mpc.protocols.dealing_checks import Receiver, blame_shares, require_one_of_each
from hsm_mpc.protocols.epoch_session import require_own_key
from hsm_mpc.protocols.pads import session_pads, static_halves
from hsm_mpc.protocols.repair_checks import (
    Splits,
    adds_up,
    blame_sum,
    parsed_splits,
    parsed_sums,
    route_of_sum,
)
from hsm_mpc.protocols.repair_messages import (
    RepairSetup,
    Split,
    Summed,
    require_helper,
    summed_message,
)
from hsm_mpc.protocols.rounds import Faults, Outbox, kept
from hsm_mpc.secure.arena import Secret, Take, move_bytes, opened


@dataclass(frozen=True, slots=True)
class KeepSplit:
    """Kept from `split` to `collect`; no delta is. Whoever loses it makes it anew by `resume`."""

    setup: RepairSetup
    me: int
    own: Split
    static_halves: Secret
    """S^d with each helper in turn, half of the pads of both directions."""


def split(
    setup: RepairSetup, me: int, delivery: Secret, share: Secret, draw: DrawScalars
) -> tuple[KeepSplit, Outbox]:
    """The own part of x_r, split at random among the helpers. Once in a repair (step 6.7.3).

    The message is durable before it is sent; from then on it is repeated as it is, and `resume`
    goes on from it. `delivery` is v of holder `me`, `share` its x.

    Raises:
        BadInput: `me` is no helper.
        ProtocolAbort: `delivery` or `share` is not that of this holder in this epoch, or a value
            is degenerate; no culprit, and nothing to be sent.
    """
    require_helper(setup, me)
    arena = delivery.arena
    with arena.open(), kept(arena) as keep:
        require_own_key(setup, me, delivery)
        halves = halves_with_all(setup, delivery, keep)
        own = _split(setup, me, delivery, share, halves, draw)
        if not adds_up(setup, me, own):  # everybody would name us
            raise ProtocolAbort("the own share does not fit the commitments of the epoch")
    return KeepSplit(setup, me, own, halves), Outbox(own.to_bytes())


def _split(
    setup: RepairSetup,
    me: int,
    delivery: Secret,
    share: Secret,
    halves: Secret,
    draw: DrawScalars,
) -> Split:
    """R1 of holder `me`. A last delta of 0 is refused by the library, as is a sum on the way."""
    group = setup.suite.group
    width = group.scalar_length
    others = width * (setup.threshold - 1)
    with share.arena.scope() as take:
        scalars = take(width * (setup.threshold + 1))
        draw(scalars)  # all deltas ‖ e; the last delta then follows from the others
        with opened(scalars, share) as (first, x):
            last = first + others
            move_bytes(last, x, width)
            group.multiply_public_at(last, -setup.factor(me))  # −ζ
            for offset in range(0, others, width):
                group.add_at(last, first + offset)
            group.negate_at(last)
        return dealt(Split, setup, me, delivery, scalars, halves)


def resume(setup: RepairSetup, me: int, delivery: Secret, own: bytes) -> KeepSplit:
    """What `split` kept, from the message that it gave: after a restart, for instance.

    Raises:
        BadInput: `me` is no helper, or `own` is no R1 message.
        ProtocolAbort: `delivery` is not v of holder `me`.
    """
    require_helper(setup, me)
    message, arena = Split.from_bytes(own, setup), delivery.arena
    with arena.open(), kept(arena) as keep:
        require_own_key(setup, me, delivery)
        return KeepSplit(setup, me, message, halves_with_all(setup, delivery, keep))


def collect(
    keep: KeepSplit, delivery: Secret, received: Mapping[int, bytes], draw: DrawScalars
) -> Summed:
    """Check every R1, in public and for us; R2, for r alone. `delivery` is v of this holder.

    Raises:
        BadInput: `received` is not one R1 of each helper.
        ProtocolAbort: naming every helper whose message is bad (step 6.7.4): of a false delta
            `repair_complaint` proves it; nobody if the relay altered ours, `delivery` is not ours,
            or a value is degenerate.
    """
    setup, me = keep.setup, keep.me
    require_one_of_each(received, setup.helpers)
    if received[me] != keep.own.to_bytes():
        raise ProtocolAbort("the own deltas came back altered")
    faults = Faults()
    splits = parsed_splits(setup, received, {me: keep.own}, faults)
    arena = delivery.arena
    with arena.open(), arena.scope() as take:
        deltas = take(setup.suite.group.scalar_length * (setup.threshold + 1))
        with deltas.open() as first:
            receiver = Receiver(setup, me, faults)
            blame_shares(receiver, delivery, keep.static_halves, splits, first)
            if me in faults:
                raise ProtocolAbort("the own delta does not open with the own delivery key")
            faults.raise_if_any()
            sigma = _added_up(setup, me, first)
            return _sealed_for_lost(Splits.of(setup, splits), me, delivery, sigma, draw)


def _added_up(setup: RepairSetup, me: int, deltas: int) -> int:
    """σ, in the place of the own delta (step 6.7.5). An `int` but for `me` is an address.

    The sum begins with the own delta. No other helper knows it, so none can choose its own such
    that a sum on the way is 0, which the library refuses (step 1.8.4): we would abort and could
    name nobody.
    """
    group = setup.suite.group
    width = group.scalar_length
    own = deltas + setup.helpers.index(me) * width
    for place in range(setup.threshold):
        delta = deltas + place * width
        if delta != own:
            group.add_at(own, delta)
    return own


def _sealed_for_lost(
    splits: Splits, me: int, delivery: Secret, sigma: int, draw: DrawScalars
) -> Summed:
    """R2 of holder `me`, with σ at the address `sigma`, under a fresh E' (step 6.7.5)."""
    setup, arena = splits.setup, delivery.arena
    suite, group = setup.suite, setup.suite.group
    with arena.scope() as take, session_pads(suite, setup.context, arena) as pads:
        ephemeral, half = take(group.scalar_length), take(group.point_length)
        draw(ephemeral)
        with opened(delivery, ephemeral, half) as (v, e, static_half):
            shown = group.public_point_at(e)
            signed = summed_message(setup, me, splits.digest, shown)
            possession = schnorr.sign(suite, arena, e, shown, signed)
            of_static = schnorr.sign(suite, arena, v, setup.key_of(me), signed)
            route = route_of_sum(setup, me, shown)
            static_halves(suite, v, [route.receiver], static_half)
            sealed = pads.seal(e, static_half, route, sigma, group.scalar_length)
    return Summed(splits.digest, possession, of_static, shown, sealed)


def recover(splits: Splits, delivery: Secret, received: Mapping[int, bytes]) -> Secret:
    """x_r, in a slot that is the caller's to wipe. `delivery` is the new v_r.

    Args:
        received: R2 of each helper.

    Raises:
        BadInput: `received` is not one R2 of each helper.
        ProtocolAbort: naming every helper whose message is bad (step 6.7.5): of a false sum
            `repair_complaint` proves it; nobody if one added up other messages than `splits`,
            since some helper may have sent two, if `delivery` is not ours, or memory failed.
    """
    setup, arena = splits.setup, delivery.arena
    require_one_of_each(received, setup.helpers)
    faults = Faults()
    messages = parsed_sums(splits, received, faults)
    with arena.open(), kept(arena) as slots, arena.scope() as take:
        require_own_key(setup, setup.lost, delivery)
        sums = take(setup.suite.group.scalar_length * setup.threshold)
        with sums.open() as first:
            _open_sums(splits, delivery, messages, first, faults)
            faults.raise_if_any()
            others = [k for k, summed in messages.items() if summed.digest != splits.digest]
            if others:
                raise ProtocolAbort(f"holders {others} added up other deltas than are here")
            return _repaired(setup, delivery, first, slots)


def _open_sums(
    splits: Splits, delivery: Secret, messages: Mapping[int, Summed], sums: int, faults: Faults
) -> None:
    """Every σ_k, checked, to its place at the address `sums` (step 6.7.5)."""
    setup, arena = splits.setup, delivery.arena
    suite, group = setup.suite, setup.suite.group
    with (
        session_pads(suite, setup.context, arena) as pads,
        arena.room(group.point_length) as half,
        delivery.open() as v,
    ):
        for k, summed in messages.items():
            sigma = sums + setup.helpers.index(k) * group.scalar_length
            route = route_of_sum(setup, k, summed.ephemeral)
            static_halves(suite, v, [route.sender], half)
            is_open = pads.open(v, half, route, summed.sealed, sigma)
            blame_sum(splits, k, summed, is_open, sigma, faults)


def _repaired(setup: RepairSetup, delivery: Secret, sums: int, slots: Take) -> Secret:
    """x_r = Σ σ_k (step 6.7.5), the σ_k at the address `sums`.

    The sum begins with v_r, which is taken away at the end. Without it helpers that lie together
    could choose deltas such that a sum on the way is 0, with every check passed, and the library
    refuses it (step 1.8.4). No helper knows v_r.
    """
    group = setup.suite.group
    width = group.scalar_length
    repaired = slots(width)
    with opened(repaired, delivery) as (total, v), delivery.arena.room(width) as minus:
        move_bytes(total, v, width)
        for place in range(setup.threshold):
            group.add_at(total, sums + place * width)
        move_bytes(minus, v, width)
        group.negate_at(minus)
        group.add_at(total, minus)
        if group.public_point_at(total) != setup.public_share(setup.lost):
            raise ProtocolAbort("the repaired share does not fit the commitments of the epoch")
    return repaired
