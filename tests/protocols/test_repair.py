"""A repair among honest helpers (section 6.7)."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_mpc.errors import BackendError, BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.protocols import repair
from hsm_mpc.protocols.repair_checks import verify
from hsm_mpc.protocols.repair_messages import Split, Summed
from hsm_mpc.protocols.rounds import abort, advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, Take
from tests.protocols.keygen import encoded, leaving_nothing, random_draws, scripted
from tests.protocols.refreshing import Epoch, next_epoch, random_epoch
from tests.protocols.repairing import Repairing, opened, repairing, setup_of


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Repairing:
    """3-of-5: holders 1, 3 and 4 repair the share of holder 2."""
    return repairing(random_epoch(any_suite, 3, 5), take, 2, (1, 3, 4))


# --- properties -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("t", "n"), [(2, 3), (2, 4), (3, 4), (3, 5)])
def test_every_t_others_repair_every_share(any_suite: Suite, take: Take, t: int, n: int) -> None:
    """Steps 6.7.3 to 6.7.5: each index, each set of helpers."""
    epoch = random_epoch(any_suite, t, n)
    for lost in epoch.shares:
        others = [index for index in epoch.shares if index != lost]
        for helpers in combinations(others, t):
            share = repairing(epoch, take, lost, helpers).recover()
            assert opened(any_suite, share) == epoch.shares[lost]


@settings(max_examples=12, deadline=None)
@given(chosen=st.data(), seed=st.integers(0, 2**32))
def test_any_share_of_any_epoch_is_repaired(
    protocol_arena: Arena, any_suite: Suite, chosen: st.DataObject, seed: int
) -> None:
    """Step 6.7.5: the result is the share, whoever has lost it and whoever helps."""
    t = chosen.draw(st.integers(2, 6), "t")
    n = chosen.draw(st.integers(t + 1, 9), "n")
    lost = chosen.draw(st.integers(1, n), "lost")
    others = [index for index in range(1, n + 1) if index != lost]
    helpers = sorted(chosen.draw(st.permutations(others), "helpers")[:t])
    epoch = random_epoch(any_suite, t, n, seed)
    with protocol_arena.scope() as take:
        share = repairing(epoch, take, lost, helpers, seed).recover()
        assert opened(any_suite, share) == epoch.shares[lost]


def test_a_repaired_holder_refreshes_with_the_others(any_suite: Suite, take: Take) -> None:
    """Sections 8.3, 6.7 and 6.4: Y and every A(i) stay consistent, epoch after epoch."""
    epoch = first = random_epoch(any_suite, 2, 3)
    for lost, helpers in ((1, (2, 3)), (2, (1, 3)), (3, (1, 2))):
        share = opened(any_suite, repairing(epoch, take, lost, helpers).recover())
        repaired = Epoch(
            any_suite, epoch.commitments, {**epoch.shares, lost: share}, epoch.deliveries
        )
        epoch = next_epoch(repaired, take, (1, 2, 3), seed=lost)
        assert epoch.commitments[0] == first.commitments[0]


def test_a_share_is_the_sum_of_all_deltas(any_suite: Suite, take: Take) -> None:
    """Steps 6.7.3 and 6.7.5, with numbers: x_3 = −x_1 + 2·x_2, δ of helper 1 is 10, of 2 is 20."""
    at_work = repairing(random_epoch(any_suite, 2, 3), take, 3, (1, 2))
    shares, order = at_work.epoch.shares, any_suite.group.order
    deltas = {1: [10, -shares[1] - 10], 2: [20, 2 * shares[2] - 20]}
    for helper in (1, 2):
        draws = scripted(any_suite, deltas[helper][0], 999, 777 + helper)  # the second is not used
        keep, outbox = repair.split(
            at_work.setup, helper, at_work.delivery(helper), at_work.share(helper), draws
        )
        at_work.keeps[helper], at_work.messages[helper] = keep, outbox.to_all
        assert outbox.to_all == at_work.reference.split(helper, deltas[helper], 777 + helper)
    assert opened(any_suite, at_work.recover()) == (2 * shares[2] - shares[1]) % order


def test_only_commitments_proofs_and_ciphertexts_are_sent(at_work: Repairing) -> None:
    """Steps 6.7.3 and 6.7.5: a message has room for nothing else, and no secret is in one."""
    group, t = at_work.suite.group, 3
    proof = group.point_length + group.scalar_length
    sums = at_work.sums()
    for helper in at_work.setup.helpers:
        split, summed = at_work.messages[helper], sums[helper]
        assert len(split) == (t + 1) * group.point_length + 2 * proof + t * (8 + 48)
        assert len(summed) == 32 + 2 * proof + group.point_length + 8 + 48
        secrets = (at_work.epoch.shares[helper], at_work.owed(helper), at_work.epoch.shares[2])
        for secret in secrets:
            assert encoded(at_work.suite, secret) not in split + summed


def test_two_repairs_of_one_share_have_no_delta_in_common(any_suite: Suite, take: Take) -> None:
    """Steps 6.7.2 and 6.7.8: deltas are drawn anew for each order."""
    epoch = random_epoch(any_suite, 2, 3)
    first, second = (repairing(epoch, take, 3, (1, 2), seed) for seed in (1, 2))
    shown = [set(each.split(i).commitments) for each in (first, second) for i in (1, 2)]
    assert len(set.union(*shown)) == 8


# --- what is left ---------------------------------------------------------------------------------


def test_splitting_leaves_only_what_it_keeps(at_work: Repairing) -> None:
    """Step 6.7.3: deltas, ephemeral secret and pads are wiped, and none is kept."""
    delivery, share = at_work.delivery(1), at_work.share(1)
    with leaving_nothing(delivery.arena):
        keep, _ = repair.split(at_work.setup, 1, delivery, share, random_draws(at_work.suite, 1))
        assert keep.static_halves.size == 3 * at_work.suite.group.point_length
        abort(keep)


def test_splitting_that_raises_wipes(at_work: Repairing) -> None:
    """Step 1.8.4: the randomness fails; a delta is 0, the first or the last, or a sum on the way.

    ζ = δ_1 + δ_3 + δ_4, and the library refuses each 0. Nobody can choose them but the helper.
    """

    def failing(into: Secret) -> None:
        raise BackendError("no randomness")

    suite, owed = at_work.suite, at_work.owed(1)
    delivery, share = at_work.delivery(1), at_work.share(1)
    for draw, error in (
        (failing, BackendError),
        (scripted(suite, 0, 5, 1, 7), ProtocolAbort),
        (scripted(suite, owed - 5, 5, 1, 7), ProtocolAbort),
        (scripted(suite, owed, 5, 1, 7), ProtocolAbort),
    ):
        with leaving_nothing(delivery.arena), pytest.raises(error) as caught:
            repair.split(at_work.setup, 1, delivery, share, draw)
        assert caught.tb, "whose frames still hold the slots"
        assert not getattr(caught.value, "culprits", ())


def test_collecting_leaves_nothing(at_work: Repairing, protocol_arena: Arena) -> None:
    """Step 6.7.5: deltas, their sum, the ephemeral secret and pads are wiped."""
    delivery, draws = at_work.delivery(3), random_draws(at_work.suite, 1)
    with leaving_nothing(protocol_arena):
        repair.collect(at_work.keeps[3], delivery, at_work.messages, draws)


def test_recovering_leaves_only_the_share(at_work: Repairing, protocol_arena: Arena) -> None:
    """Step 6.7.5: sums and pads are wiped. v_r is the caller's."""
    splits, sums, delivery = at_work.splits(), at_work.sums(), at_work.delivery(2)
    with leaving_nothing(protocol_arena):
        share = repair.recover(splits, delivery, sums)
        assert share.size == 32
        share.release()


def test_a_keep_serves_one_round_only(at_work: Repairing) -> None:
    draws = random_draws(at_work.suite, 1)
    arguments = (at_work.delivery(1), at_work.messages, draws)
    advance(repair.collect, at_work.keeps[1], *arguments)
    with pytest.raises(BackendError, match="after its release"):
        advance(repair.collect, at_work.keeps[1], *arguments)


# --- after a restart ------------------------------------------------------------------------------


def test_a_helper_goes_on_from_its_message(at_work: Repairing, protocol_arena: Arena) -> None:
    """Step 6.7.3: the message is all that it needs, and it sends no other."""
    delivery, draws = at_work.delivery(1), random_draws(at_work.suite, 501)
    with leaving_nothing(protocol_arena):
        keep = repair.resume(at_work.setup, 1, delivery, at_work.messages[1])
        summed = advance(repair.collect, keep, delivery, at_work.messages, draws)
    assert summed == at_work.collect(1)


def test_a_helper_goes_on_from_no_other_message(at_work: Repairing) -> None:
    """Step 6.7.3."""
    delivery = at_work.delivery(1)
    with pytest.raises(BadEncoding):
        repair.resume(at_work.setup, 1, delivery, at_work.messages[1][:-1])
    keep = repair.resume(at_work.setup, 1, delivery, at_work.messages[3])
    with pytest.raises(ProtocolAbort, match="came back altered"):
        repair.collect(keep, delivery, at_work.messages, random_draws(at_work.suite, 1))


# --- whose round it is ----------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 2, 5, 6])
def test_who_is_no_helper_splits_nothing(at_work: Repairing, index: int) -> None:
    """Step 6.7.3: r and who is not asked, too."""
    own, draws = (at_work.delivery(1), at_work.share(1)), random_draws(at_work.suite, 1)
    with pytest.raises(BadInput, match="none of the helpers"):
        repair.split(at_work.setup, index, *own, draws)
    with pytest.raises(BadInput, match="none of the helpers"):
        repair.resume(at_work.setup, index, own[0], at_work.messages[1])


def test_anybody_verifies_what_the_helpers_split(at_work: Repairing) -> None:
    """Step 6.7.4: without a secret."""
    splits = verify(at_work.setup, at_work.messages)
    group = at_work.suite.group
    assert list(splits.messages) == [1, 3, 4]
    assert splits.digest == at_work.reference.digest(at_work.messages)
    points = [splits.sum_for(helper) or b"" for helper in (1, 3, 4)]
    assert group.combine(points) == at_work.setup.public_share(2)


def test_messages_survive_their_encoding(at_work: Repairing) -> None:
    for message in at_work.messages.values():
        assert Split.from_bytes(message, at_work.setup).to_bytes() == message
    for message in at_work.sums().values():
        assert Summed.from_bytes(message, at_work.setup).to_bytes() == message


def test_a_helper_of_two_repairs_is_bound_to_each(any_suite: Suite, take: Take) -> None:
    """Step 6.7.2: the context names the session."""
    epoch = random_epoch(any_suite, 2, 4)
    setups = [
        setup_of(epoch, 4, (1, 2)),
        setup_of(epoch, 4, (1, 2), b"another".ljust(32, b".")),
    ]
    assert setups[0].context != setups[1].context
    at_work = repairing(epoch, take, 4, (1, 2))
    with pytest.raises(ProtocolAbort) as caught:
        verify(setups[1], at_work.messages)
    assert caught.value.culprits == (1, 2)
