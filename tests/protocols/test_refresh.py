"""A refresh among honest holders (section 6.4)."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from hsm_mpc.errors import BackendError, BadInput, ProtocolAbort
from hsm_mpc.groups.sharing import lagrange
from hsm_mpc.protocols import refresh
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, Take
from tests.protocols.keygen import leaving_nothing, random_draws, scripted, times_base
from tests.protocols.refreshing import (
    Epoch,
    Refreshing,
    epoch_of,
    next_epoch,
    opened,
    random_epoch,
    refreshing,
)

SIZES = ((2, 2), (2, 3), (3, 5), (4, 7))
TEN = 10


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Refreshing:
    """2-of-3, refreshed by holders 1 and 2."""
    return refreshing(random_epoch(any_suite, 2, 3), take, (1, 2))


def interpolated(epochs: tuple[Epoch, ...], quorum: tuple[int, ...]) -> bytes | None:
    """The key that shares of these holders, each of an epoch of its own, interpolate to."""
    group = epochs[0].suite.group
    terms = (
        lagrange(index, quorum, group.order) * epoch.shares[index]
        for index, epoch in zip(quorum, epochs, strict=True)
    )
    return group.base_multiple(sum(terms))


# --- properties -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("t", "n"), SIZES)
def test_every_t_subset_holds_the_same_key_and_no_set_that_mixes_epochs(
    any_suite: Suite, take: Take, t: int, n: int
) -> None:
    """Sections 6.4 and 8.3. The highest indices are absent, as many as may be."""
    before = random_epoch(any_suite, t, n)
    after = next_epoch(before, take, range(1, max(t, n - t + 1) + 1))
    key = before.commitments[0]
    assert after.commitments[0] == key
    assert all(
        old != new for old, new in zip(before.commitments[1:], after.commitments[1:], strict=True)
    )
    assert all(before.shares[index] != after.shares[index] for index in before.shares)
    for quorum in combinations(before.shares, t):
        for epochs in product((before, after), repeat=t):
            same = len({id(epoch) for epoch in epochs}) == 1
            assert (interpolated(epochs, quorum) == key) is same


@pytest.mark.parametrize(("t", "n"), [(2, 3), (3, 5)])
def test_whoever_was_absent_ends_with_the_others(
    any_suite: Suite, take: Take, t: int, n: int
) -> None:
    """Step 6.4.7: with every set of dealers that may be; `next_epoch` compares all results."""
    epoch = random_epoch(any_suite, t, n)
    for size in range(max(t, n - t + 1), n + 1):
        for dealers in combinations(range(1, n + 1), size):
            assert next_epoch(epoch, take, dealers).commitments[0] == epoch.commitments[0]


def test_ten_refreshes_in_a_row_keep_the_key(any_suite: Suite, take: Take) -> None:
    """Section 6.4; who is absent changes."""
    first = epoch = random_epoch(any_suite, 2, 3)
    seen = {epoch.shares[3]}
    for round_ in range(TEN):
        dealers = sorted({1, 2, 3} - {round_ % 4})
        epoch = next_epoch(epoch, take, dealers, seed=round_ + 1)
        seen.add(epoch.shares[3])
        for quorum in combinations(epoch.shares, 2):
            assert interpolated((epoch, epoch), quorum) == first.commitments[0]
    assert len(seen) == TEN + 1


def test_a_share_grows_by_all_deltas(any_suite: Suite, take: Take) -> None:
    """Steps 6.4.2, 6.4.4 and 6.4.5, with numbers: b_{i,1} = 10·i and b_{i,2} = 3."""
    epoch = epoch_of(any_suite, (7, 5, 2), (11, 12, 13))
    at_work = Refreshing(epoch, epoch.setup((1, 2, 3)), take)
    for dealer in (1, 2, 3):
        draws = scripted(any_suite, 10 * dealer, 3, 777 + dealer)
        keep, outbox = refresh.deal(at_work.setup, dealer, at_work.delivery(dealer), draws)
        at_work.keeps[dealer], at_work.messages[dealer] = keep, outbox.to_all
    renewed = at_work.combine(2)
    assert renewed.commitments == tuple(times_base(any_suite, a) for a in (7, 5 + 60, 2 + 9))
    assert renewed.public_shares == tuple(
        times_base(any_suite, 7 + 65 * index + 11 * index**2) for index in (1, 2, 3)
    )
    assert opened(any_suite, renewed) == 7 + 65 * 2 + 11 * 4


def test_a_dealer_that_lost_what_it_kept_catches_up(at_work: Refreshing) -> None:
    """Step 6.4.7: after a restart the polynomial is gone, and not needed."""
    kept, caught_up = at_work.combine(1), at_work.catch_up(1)
    assert kept.commitments == caught_up.commitments
    assert opened(at_work.suite, kept) == opened(at_work.suite, caught_up)


def test_a_holder_of_an_earlier_delivery_key_is_dealt_to(any_suite: Suite, take: Take) -> None:
    """Step 6.4.1: an absent holder may still stand at an earlier epoch, whose v it holds."""
    first = random_epoch(any_suite, 2, 3)
    second = next_epoch(first, take, (1, 2))
    stale = Epoch(
        any_suite, second.commitments, second.shares, {**second.deliveries, 3: first.deliveries[3]}
    )
    third = next_epoch(stale, take, (1, 2), seed=2)
    assert interpolated((third, third), (1, 3)) == first.commitments[0]


# --- what is left ---------------------------------------------------------------------------------


def test_dealing_leaves_only_what_it_keeps(at_work: Refreshing) -> None:
    """Step 6.4.2: coefficients, ephemeral secret, deltas and pads are wiped."""
    delivery = at_work.delivery(1)
    with leaving_nothing(delivery.arena):
        keep, _ = refresh.deal(at_work.setup, 1, delivery, random_draws(at_work.suite, 1))
        abort(keep)


def test_dealing_that_raises_wipes(at_work: Refreshing) -> None:
    """Step 1.8.4: the randomness fails, and so does a coefficient that is 0."""

    def failing(into: Secret) -> None:
        raise BackendError("no randomness")

    delivery = at_work.delivery(1)
    for draw, error in ((failing, BackendError), (scripted(at_work.suite, 0, 7), ProtocolAbort)):
        with leaving_nothing(delivery.arena), pytest.raises(error) as caught:
            refresh.deal(at_work.setup, 1, delivery, draw)
        assert caught.tb, "whose frames still hold the slots"


def test_combining_and_catching_up_leave_only_the_share(
    protocol_arena: Arena, at_work: Refreshing
) -> None:
    """Step 6.4.5: all deltas and pads are wiped. v_r and x_r are the caller's."""
    keep = at_work.keeps[2]
    dealer, absent = (
        (at_work.delivery(index), at_work.share(index), at_work.messages) for index in (2, 3)
    )
    with leaving_nothing(protocol_arena):
        renewed = [
            refresh.combine(keep, *dealer),
            refresh.catch_up(at_work.setup, 3, *absent),
        ]
        for each in renewed:
            assert each.share.size == 32
            abort(each)


def test_a_keep_serves_one_round_only(at_work: Refreshing) -> None:
    abort(at_work.combine(1))
    with pytest.raises(BackendError, match="after its release"):
        at_work.combine(1)


# --- whose round it is ----------------------------------------------------------------------------


def test_who_is_no_dealer_deals_nothing(at_work: Refreshing) -> None:
    """Step 6.4.2."""
    with pytest.raises(BadInput, match=r"holder 3 deals nothing"):
        refresh.deal(at_work.setup, 3, at_work.delivery(3), random_draws(at_work.suite, 1))


@pytest.mark.parametrize("index", [0, 4])
def test_who_is_no_holder_catches_up_with_nothing(at_work: Refreshing, index: int) -> None:
    """Step 1.2.2."""
    with pytest.raises(BadInput, match="indices run"):
        refresh.catch_up(
            at_work.setup, index, at_work.delivery(3), at_work.share(3), at_work.messages
        )
