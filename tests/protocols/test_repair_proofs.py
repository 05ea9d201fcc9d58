"""That a helper knows v of its V, in R1 and in R2 (steps 6.7.3 and 6.7.5).

A complaint reveals a multiple of V, which its helper then could have computed itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.sharing import MAX_HOLDERS
from hsm_mpc.protocols import dealing_checks, repair, repair_complaint
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.dealing import keys_message, possession_message
from hsm_mpc.protocols.pads import Route, session_pads
from hsm_mpc.protocols.repair_checks import verify
from hsm_mpc.protocols.repair_complaint import accuse_of_delta, accuse_of_sum, judge_sum
from hsm_mpc.protocols.repair_messages import Split, Summed, summed_message
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Take
from hsm_mpc.wire.rounds import SPLIT, SUM
from tests.protocols.forgery import encoded, times_base
from tests.protocols.keygen import decoded, leaving_nothing, random_draws
from tests.protocols.refreshing import Epoch, random_epoch
from tests.protocols.repairing import Repairing, repairing, setup_of
from tests.secure.bytes_of import at

LIAR, LOST = 2, 4
E, E_PRIME = 71, 91
UNPROVEN = f"holder {LIAR}: the proof of possession does not verify"


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Repairing:
    """3-of-5: holders 1, 2 and 3 repair the share of holder 4. Holder 2 lies."""
    return repairing(random_epoch(any_suite, 3, 5), take, LOST, (1, 2, 3))


def split_of(at_work: Repairing, e: int = E, **changes: Any) -> Split:
    """R1 of the liar."""
    made = at_work.reference.split(LIAR, at_work.deltas(LIAR), e, **changes)
    return Split.from_bytes(made, at_work.setup)


def summed_of(at_work: Repairing, plaintext: bytes, e: int = E_PRIME) -> Summed:
    """R2 of the liar."""
    made = at_work.reference.summed(LIAR, plaintext, e, at_work.splits().digest)
    return Summed.from_bytes(made, at_work.setup)


def right_sum(at_work: Repairing) -> bytes:
    place = at_work.setup.helpers.index(LIAR)
    return encoded(at_work.suite, sum(at_work.opened_delta(i, place) for i in (1, 2, 3)))


# --- who is named ---------------------------------------------------------------------------------


def said_of_split(at_work: Repairing, lie: Split) -> set[str]:
    """What both other helpers, and r, say of this R1."""
    messages, said = {**at_work.messages, LIAR: lie.to_bytes()}, set()
    with pytest.raises(ProtocolAbort) as caught:
        verify(at_work.setup, messages)
    said.add(str(caught.value))
    for me in (1, 3):
        delivery, draws = at_work.delivery(me), random_draws(at_work.suite, 1)
        with leaving_nothing(delivery.arena), pytest.raises(ProtocolAbort) as caught:
            repair.collect(at_work.keeps[me], delivery, messages, draws)
        assert caught.value.culprits == (LIAR,)
        said.add(str(caught.value))
    return said


def said_of_sum(at_work: Repairing, lie: Summed) -> str:
    """What r says of this R2."""
    splits, delivery = at_work.splits(), at_work.delivery(LOST)
    sums = {**at_work.sums(), LIAR: lie.to_bytes()}
    with leaving_nothing(delivery.arena), pytest.raises(ProtocolAbort) as caught:
        repair.recover(splits, delivery, sums)
    assert caught.value.culprits == (LIAR,)
    return str(caught.value)


def test_a_helper_that_proves_no_delivery_key_is_named(at_work: Repairing) -> None:
    """Step 6.7.4: of deltas that are sound; the proof of e, of another index or repair or E."""
    honest, curve = split_of(at_work), at_work.reference.curve
    assert verify(at_work.setup, {**at_work.messages, LIAR: honest.to_bytes()})
    v, setup = at_work.epoch.deliveries[LIAR], at_work.setup
    for_first = keys_message(setup, 1, honest.commitments, honest.ephemeral)
    for proof in (
        honest.possession,
        curve.signature(v, for_first),
        split_of(at_work, session=b"an earlier repair".ljust(32, b".")).static_possession,
        split_of(at_work, 72).static_possession,
        at_work.split(1).static_possession,
        bytes(len(honest.possession)),
    ):
        lie = replace(honest, static_possession=proof)
        assert said_of_split(at_work, lie) == {UNPROVEN}


def test_a_helper_that_proves_no_ephemeral_key_is_named_in_r1(at_work: Repairing) -> None:
    """Step 6.7.4: PoP^V is right, and PoP is not."""
    honest = split_of(at_work)
    for proof in (honest.static_possession, at_work.split(1).possession):
        assert said_of_split(at_work, replace(honest, possession=proof)) == {UNPROVEN}


def test_a_helper_that_proves_no_delivery_key_with_its_sum_is_named(at_work: Repairing) -> None:
    """Step 6.7.5: of a sum that is right; the proof of e', or of another E'."""
    honest, v = summed_of(at_work, right_sum(at_work)), at_work.epoch.deliveries[LIAR]
    for_first = summed_message(at_work.setup, 1, honest.digest, honest.ephemeral)
    for proof in (
        honest.possession,
        at_work.reference.curve.signature(v, for_first),
        summed_of(at_work, right_sum(at_work), 92).static_possession,
        at_work.collect(1).static_possession,
        bytes(len(honest.possession)),
    ):
        assert said_of_sum(at_work, replace(honest, static_possession=proof)) == UNPROVEN


def test_a_helper_that_proves_no_ephemeral_key_with_its_sum_is_named(at_work: Repairing) -> None:
    """Step 6.7.5: PoP'^V is right, and PoP' is not."""
    honest = summed_of(at_work, right_sum(at_work))
    for proof in (honest.static_possession, at_work.collect(1).possession):
        assert said_of_sum(at_work, replace(honest, possession=proof)) == UNPROVEN


def test_a_proof_of_e_is_none_of_v_where_both_are_one_key(at_work: Repairing) -> None:
    """Step 6.7.3: E_2 = V_2."""
    honest = split_of(at_work, at_work.epoch.deliveries[LIAR])
    assert honest.ephemeral == at_work.setup.key_of(LIAR)
    for lie in (
        replace(honest, static_possession=honest.possession),
        replace(honest, possession=honest.static_possession),
    ):
        assert said_of_split(at_work, lie) == {UNPROVEN}


def test_what_a_proof_of_r1_signs_no_other_one_does(at_work: Repairing) -> None:
    """Steps 6.7.3 and 6.7.5: of whichever number of helpers; a length decides it."""
    setup, width = at_work.setup, at_work.suite.group.point_length
    point = times_base(at_work.suite, 5)
    of_sum = summed_message(setup, LIAR, bytes(32), point)
    assert of_sum == setup.context + bytes(32) + b"\0\2" + point
    for t in range(2, MAX_HOLDERS):
        signed = keys_message(setup, LIAR, [point] * t, point)
        assert signed == possession_message(setup, [point] * t, point) + b"\0\2"
        assert len(signed) > len(of_sum)
        assert (len(signed) - len(setup.context)) % width == 2


# --- what complaints would open -------------------------------------------------------------------


def test_nothing_is_revealed_under_a_delivery_key_that_is_not_proven(
    at_work: Repairing, protocol_arena: Arena
) -> None:
    """Step 6.7.6: R1 or R2 alone is proof enough."""
    split, summed = split_of(at_work, raw={3: bytes(32)}), summed_of(at_work, bytes(32))
    draws, splits = random_draws(at_work.suite, 7), at_work.splits()
    helper, lost = at_work.delivery(3), at_work.delivery(LOST)
    for proof in (split.possession, bytes(len(split.possession))):
        lie = replace(split, static_possession=proof)
        with leaving_nothing(protocol_arena), pytest.raises(BadInput, match="proof enough"):
            accuse_of_delta(at_work.setup, 3, helper, LIAR, lie, draws)
    for proof in (summed.possession, bytes(len(summed.possession))):
        of_sum = replace(summed, static_possession=proof)
        with leaving_nothing(protocol_arena), pytest.raises(BadInput, match="proof enough"):
            accuse_of_sum(splits, lost, LIAR, of_sum, draws)
    complaint = accuse_of_sum(splits, lost, LIAR, summed, draws)
    assert judge_sum(splits, complaint, summed, protocol_arena) == LIAR


def told_again(epoch: Epoch, take: Take, v: int, session: bytes) -> Repairing:
    """A later repair of the same share: holder 2 has said DONE with another V_2, that of `v`,
    which it need not know.
    """
    deliveries = {**epoch.deliveries, LIAR: v}
    rogue = Epoch(epoch.suite, epoch.commitments, epoch.shares, deliveries)
    later = Repairing(rogue, setup_of(rogue, 3, (1, 2), session.ljust(32, b".")), take)
    for helper in (1, 2):
        deltas = later.deltas(helper)
        later.messages[helper] = later.reference.split(helper, deltas, E + helper)
    return later


def unproven_delta(later: Repairing) -> Split:
    """R1 of holder 2 with noise for holder 1. It knows e, and v not."""
    noise = split_of(later, raw={1: bytes(32)})
    return replace(noise, static_possession=noise.possession)


def accused_by_helper(later: Repairing, cheat: Split) -> Complaint:
    draws = random_draws(later.suite, 7)
    return accuse_of_delta(later.setup, 1, later.delivery(1), LIAR, cheat, draws)


def accused_by_lost(later: Repairing, cheat: Summed) -> Complaint:
    draws = random_draws(later.suite, 7)
    return accuse_of_sum(later.splits(), later.delivery(3), LIAR, cheat, draws)


def less(suite: Suite, revealed: bytes, key: bytes) -> bytes:
    group = suite.group
    return group.combine([revealed, group.negate_point(key)]) or b""


def opened_by(
    at_work: Repairing, halves: tuple[bytes, ...], route: Route, sealed: bytes, arena: Arena
) -> int:
    """What anybody reads who knows both halves of the pad."""
    suite, (exchanged, static) = at_work.suite, halves
    with (
        session_pads(suite, at_work.setup.context, arena) as pads,
        arena.room(32) as scalar,
    ):
        assert pads.open_revealed((exchanged, static), route, sealed, scalar)
        return decoded(suite, at(scalar, 32))


def skipped(*_: Any) -> None:
    """Of whoever does not look at the proofs."""


def test_what_two_complaints_of_a_helper_would_open_if_v_were_not_proven(
    any_suite: Suite, take: Take, protocol_arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 6.7.4 and 6.7.6: 2-of-3. In two repairs after one in which holder 1 helped holder 2
    shows V_2 = E_1 + B, and V_2 = V_1 + B, and seals noise under an E_2 that it knows.

    Holder 1 would reveal v_1·E_1 and v_1·V_1: the pad of the delta that it kept for itself. The
    other one was for holder 2, and both together are its share.
    """
    epoch = random_epoch(any_suite, 2, 3)
    earlier = repairing(epoch, take, 3, (1, 2))
    earlier.messages[1] = earlier.reference.split(1, earlier.deltas(1), 80)
    honest, own_key = earlier.split(1), earlier.setup.key_of(1)
    halves: tuple[bytes, ...] = ()
    for session, v in ((b"a second", 80 + 1), (b"a third", epoch.deliveries[1] + 1)):
        later = told_again(epoch, take, v, session)
        cheat = unproven_delta(later)
        with pytest.raises(BadInput, match="proof enough"):
            accused_by_helper(later, cheat)
        with monkeypatch.context() as patched:
            patched.setattr(dealing_checks, "_verify_keys", skipped)
            revealed = accused_by_helper(later, cheat).halves.second
        halves += (less(any_suite, revealed, own_key),)
    route = Route(honest.ephemeral, own_key, own_key)
    kept = opened_by(earlier, halves, route, honest.sealed[0], protocol_arena)
    sent = earlier.opened_delta(1, 1)
    assert (kept + sent) % any_suite.group.order == earlier.owed(1)


def test_what_complaints_of_r_and_a_helper_would_open_if_v_were_not_proven(
    any_suite: Suite, take: Take, protocol_arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 6.7.5 and 6.7.6: 2-of-3, three repairs under one V_3. In the first, holder 2
    sends no R2. In the second it shows V_2 = V_3 + B, and holder 1 complains of R1; in the third
    it shows V_2 = E'_1 + B, of the first, and r complains of R2.

    That would be v_1·V_3 and v_3·E'_1: the pad of σ_1, and with σ_2 that is the share of r.
    """
    epoch = random_epoch(any_suite, 2, 3)
    first = repairing(epoch, take, 3, (1, 2))
    sigma = encoded(any_suite, first.opened_sum(1, first.collect(1)))
    made = first.reference.summed(1, sigma, 80, first.splits().digest)
    honest = Summed.from_bytes(made, first.setup)
    second = told_again(epoch, take, epoch.deliveries[3] + 1, b"a second")
    third = told_again(epoch, take, 80 + 1, b"a third")
    of_delta, noise = unproven_delta(second), summed_of(third, bytes(32))
    of_sum = replace(noise, static_possession=noise.possession)
    with pytest.raises(BadInput, match="proof enough"):
        accused_by_helper(second, of_delta)
    with pytest.raises(BadInput, match="proof enough"):
        accused_by_lost(third, of_sum)

    monkeypatch.setattr(dealing_checks, "_verify_keys", skipped)
    monkeypatch.setattr(repair_complaint, "verify_summed", skipped)
    v_1, v_3 = first.setup.key_of(1), first.setup.key_of(3)
    halves = (
        less(any_suite, accused_by_lost(third, of_sum).halves.second, v_3),
        less(any_suite, accused_by_helper(second, of_delta).halves.second, v_1),
    )
    route = Route(honest.ephemeral, v_1, v_3)
    found = opened_by(first, halves, route, honest.sealed, protocol_arena)
    own = first.opened_sum(2, first.collect(2))
    assert (found + own) % any_suite.group.order == epoch.shares[3]


def test_what_a_complaint_reveals_its_helper_could_compute(at_work: Repairing) -> None:
    """Step 6.7.6: e·V and v·V of the accuser."""
    group, v = at_work.suite.group, at_work.epoch.deliveries[LIAR]
    split, summed = split_of(at_work, raw={3: bytes(32)}), summed_of(at_work, bytes(32))
    draws = random_draws(at_work.suite, 7)
    of_delta = accuse_of_delta(at_work.setup, 3, at_work.delivery(3), LIAR, split, draws)
    of_sum = accuse_of_sum(at_work.splits(), at_work.delivery(LOST), LIAR, summed, draws)
    for complaint, key, e in (
        (of_delta, at_work.setup.key_of(3), E),
        (of_sum, at_work.setup.key_of(LOST), E_PRIME),
    ):
        assert complaint.halves.first == group.multiply(key, e)
        assert complaint.halves.second == group.multiply(key, v)


# --- room -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [11, MAX_HOLDERS - 1])
def test_the_largest_messages_of_a_repair_have_room(any_suite: Suite, t: int) -> None:
    """Step 1.7.8: R1 has t commitments, two proofs, E and t frames; R2 two proofs, too."""
    group = any_suite.group
    proof = group.point_length + group.scalar_length
    assert (t + 1) * group.point_length + 2 * proof + t * (8 + 48) <= SPLIT.cap
    assert 32 + 2 * proof + group.point_length + 8 + 48 <= SUM.cap
