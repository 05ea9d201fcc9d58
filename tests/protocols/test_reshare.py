"""A resharing among honest holders (section 6.8)."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_mpc.errors import BackendError, BadInput, ProtocolAbort
from hsm_mpc.protocols import reshare
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, Take
from tests.protocols.keygen import encoded, leaving_nothing, random_draws, scripted, times_base
from tests.protocols.refreshing import Epoch, epoch_of, next_epoch, opened, random_epoch
from tests.protocols.repairing import opened as repaired
from tests.protocols.repairing import repairing
from tests.protocols.resharing import Resharing, before_dealing, new_epoch, reshared, resharing
from tests.protocols.test_refresh import interpolated

SIZES = (
    (2, 2, 2, 2),
    (2, 3, 2, 3),
    (2, 3, 3, 4),
    (2, 3, 2, 5),
    (3, 4, 2, 2),
    (3, 4, 3, 4),
    (3, 5, 2, 3),
    (4, 4, 3, 5),
    (2, 4, 5, 5),
)
"""t, n, t' and n': as before, growing, shrinking."""


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Resharing:
    """2-of-3, reshared by holders 1 and 3 to 3-of-4."""
    return resharing(random_epoch(any_suite, 2, 3), take, (1, 3), 3, 4)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[Secret]:
    """Every slot that is taken, so that none is wiped only because it was dropped."""
    take, slots = Arena.take, list[Secret]()

    def holding(arena: Arena, size: int) -> Secret:
        slots.append(take(arena, size))
        return slots[-1]

    monkeypatch.setattr(Arena, "take", holding)
    return slots


def is_key(epochs: tuple[Epoch, ...], quorum: tuple[int, ...]) -> bool:
    """Whether shares of these holders, each of an epoch of its own, make the key."""
    return interpolated(epochs, quorum) == epochs[0].commitments[0]


# --- properties -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("t", "n", "new_t", "new_n"), SIZES)
def test_every_t_new_holders_hold_the_same_key_whoever_dealt(
    any_suite: Suite, take: Take, t: int, n: int, new_t: int, new_n: int
) -> None:
    """Sections 6.8 and 8.3: with every set of dealers; and no t' − 1 new holders do."""
    before = random_epoch(any_suite, t, n)
    for dealers in combinations(before.shares, t):
        after = reshared(before, take, dealers, new_t, new_n)
        assert (after.t, list(after.shares)) == (new_t, list(range(1, new_n + 1)))
        assert after.commitments[0] == before.commitments[0]
        assert not set(after.commitments[1:]) & set(before.commitments)
        for size in (new_t - 1, new_t):
            for quorum in combinations(after.shares, size):
                assert is_key((after,) * size, quorum) is (size == new_t)


@pytest.mark.parametrize(("t", "n", "new_t", "new_n"), SIZES)
def test_old_and_new_shares_never_mix(
    any_suite: Suite, take: Take, t: int, n: int, new_t: int, new_n: int
) -> None:
    """Sections 6.8 and 8.3: of t or t' holders, some with an old share and some with a new one."""
    before = random_epoch(any_suite, t, n)
    after = reshared(before, take, range(n - t + 1, n + 1), new_t, new_n)
    both = before.shares.keys() & after.shares.keys()
    assert all(before.shares[index] != after.shares[index] for index in both)
    for size in {t, new_t}:
        for quorum in combinations(range(1, max(n, new_n) + 1), size):
            for epochs in product((before, after), repeat=size):
                held = all(i in epoch.shares for i, epoch in zip(quorum, epochs, strict=True))
                if held and before in epochs and after in epochs:
                    assert not is_key(epochs, quorum)


@settings(max_examples=12, deadline=None)
@given(chosen=st.data(), seed=st.integers(0, 2**32))
def test_any_epoch_is_reshared_to_any_sizes(
    protocol_arena: Arena, any_suite: Suite, chosen: st.DataObject, seed: int
) -> None:
    """Step 6.8.3: whoever deals, and whichever of the new holders make the key."""
    n, new_n = (chosen.draw(st.integers(2, 9), name) for name in ("n", "n'"))
    t, new_t = (chosen.draw(st.integers(2, most), f"t of {most}") for most in (n, new_n))
    dealers = sorted(chosen.draw(st.permutations(range(1, n + 1)), "dealers")[:t])
    quorum = sorted(chosen.draw(st.permutations(range(1, new_n + 1)), "quorum")[:new_t])
    with protocol_arena.scope() as take:
        before = random_epoch(any_suite, t, n, seed)
        after = reshared(before, take, dealers, new_t, new_n, seed)
        assert after.commitments[0] == before.commitments[0]
        assert is_key((after,) * new_t, tuple(quorum))


def test_resharings_refreshes_and_repairs_follow_each_other(any_suite: Suite, take: Take) -> None:
    """Sections 8.3, 6.4, 6.7 and 6.8: the key stays, and no two of the epochs mix."""
    epochs = [random_epoch(any_suite, 2, 3)]
    epochs.append(next_epoch(epochs[-1], take, (1, 2), seed=1))
    epochs.append(reshared(epochs[-1], take, (2, 3), 3, 4, seed=2))
    lost = repaired(any_suite, repairing(epochs[-1], take, 2, (1, 3, 4)).recover())
    assert lost == epochs[-1].shares[2]
    epochs.append(next_epoch(epochs[-1], take, (1, 2, 4), seed=3))
    epochs.append(reshared(epochs[-1], take, (1, 2, 4), 2, 3, seed=4))
    epochs.append(reshared(epochs[-1], take, (1, 3), 2, 3, seed=5))
    epochs.append(next_epoch(epochs[-1], take, (1, 2, 3), seed=6))
    key = epochs[0].commitments[0]
    for epoch in epochs:
        assert epoch.commitments[0] == key
        for quorum in combinations(epoch.shares, epoch.t):
            assert is_key((epoch,) * epoch.t, quorum)
    for older, newer in combinations([epoch for epoch in epochs if epoch.t == 2], 2):
        for quorum in ((1, 2), (1, 3), (2, 3)):
            assert not is_key((older, newer), quorum)
            assert not is_key((newer, older), quorum)


def test_two_resharings_of_one_epoch_never_mix(any_suite: Suite, take: Take) -> None:
    """Section 6.8: two attempts, by the same dealers and by others."""
    epoch = random_epoch(any_suite, 2, 3)
    first = reshared(epoch, take, (1, 2), 2, 3, seed=1)
    for dealers in ((1, 2), (1, 3)):
        second = reshared(epoch, take, dealers, 2, 3, seed=2)
        for quorum in ((1, 2), (1, 3), (2, 3)):
            assert not is_key((first, second), quorum)


def test_a_new_share_is_the_sum_of_all_dealt_ones(any_suite: Suite, take: Take) -> None:
    """Steps 6.8.2 and 6.8.3, with numbers: 7 + 5x; λ_1 = 3/2 and λ_3 = −1/2, so 18 and −11."""
    epoch = epoch_of(any_suite, (7, 5), (11, 12, 13))
    at_work = before_dealing(epoch, take, (1, 3), 3, (21, 22, 23, 24))
    rest = {1: (10, 2), 3: (30, 3)}
    for dealer, part in ((1, 18), (3, -11)):
        draws = scripted(any_suite, 999, *rest[dealer], 777 + dealer)  # the first is not used
        own = at_work.delivery(dealer), at_work.share(dealer)
        sent = reshare.deal(at_work.setup, dealer, *own, draws).to_all
        assert sent == at_work.reference.dealing(dealer, (part, *rest[dealer]), 777 + dealer)
        at_work.messages[dealer] = sent
    renewed = at_work.receive(4)
    assert renewed.commitments == tuple(times_base(any_suite, a) for a in (7, 40, 5))
    assert renewed.public_shares == tuple(
        times_base(any_suite, 7 + 40 * k + 5 * k**2) for k in (1, 2, 3, 4)
    )
    assert opened(any_suite, renewed) == 7 + 40 * 4 + 5 * 16


def test_a_holder_of_both_rosters_acts_under_two_indices(any_suite: Suite, take: Take) -> None:
    """Step 6.8.1: holder 3 of the old roster is holder 1 of the new one, here with v' = v."""
    epoch = random_epoch(any_suite, 2, 3)
    at_work = before_dealing(epoch, take, (2, 3), 2, tuple(epoch.deliveries.values())[::-1])
    for dealer in (2, 3):
        own = at_work.delivery(dealer), at_work.share(dealer), random_draws(any_suite, dealer)
        at_work.messages[dealer] = reshare.deal(at_work.setup, dealer, *own).to_all
    after = new_epoch(at_work)
    for quorum in combinations(after.shares, 2):
        assert is_key((after,) * 2, quorum)


def test_only_commitments_proofs_and_ciphertexts_are_dealt(at_work: Resharing) -> None:
    """Step 6.8.2: a message has room for nothing else, and no secret is in one."""
    group = at_work.suite.group
    for dealer, message in at_work.messages.items():
        proof = group.point_length + group.scalar_length
        assert len(message) == 4 * group.point_length + 3 * proof + 4 * (8 + 48)
        for secret in (at_work.epoch.shares[dealer], at_work.part(dealer)):
            assert encoded(at_work.suite, secret) not in message


def test_two_resharings_have_no_coefficient_in_common(any_suite: Suite, take: Take) -> None:
    """Step 6.8.2: only the part of the key is the same, and its commitment known beforehand."""
    epoch = random_epoch(any_suite, 2, 3)
    first, second = (resharing(epoch, take, (1, 2), 3, 3, seed) for seed in (1, 2))
    for dealer in (1, 2):
        shown = [each.dealing(dealer) for each in (first, second)]
        assert shown[0].commitments[0] == shown[1].commitments[0]
        assert not set(shown[0].commitments[1:]) & set(shown[1].commitments[1:])
        assert shown[0].ephemeral != shown[1].ephemeral


# --- what is left ---------------------------------------------------------------------------------


def test_dealing_leaves_nothing(at_work: Resharing, held: list[Secret]) -> None:
    """Step 6.8.2: coefficients, ephemeral secret, part, shares and pads. v and x are the caller's,
    and stay as they are."""
    delivery, share = at_work.delivery(1), at_work.share(1)
    with leaving_nothing(delivery.arena):
        for _ in range(2):
            draws = random_draws(at_work.suite, 101)
            sent = reshare.deal(at_work.setup, 1, delivery, share, draws)
            assert sent.to_all == at_work.messages[1]
    assert held


def test_dealing_that_raises_leaves_nothing(at_work: Resharing) -> None:
    """Step 1.8.4: the randomness fails, a coefficient or e is 0, a slot is not ours."""

    def failing(into: Secret) -> None:
        raise BackendError("no randomness")

    def draws() -> list[int]:
        return [7, 8, 9, 10]

    own = at_work.delivery(1), at_work.share(1)
    honest, zero = random_draws(at_work.suite, 1), at_work.take(32)
    for delivery, share, draw, error in (
        (*own, failing, BackendError),
        *((*own, scripted(at_work.suite, *draws()[:k], 0, 9, 9, 9), ProtocolAbort) for k in (1, 3)),
        (at_work.delivery(3), own[1], honest, ProtocolAbort),
        (own[0], at_work.share(3), honest, ProtocolAbort),
        (own[0], zero, honest, ProtocolAbort),
    ):
        with leaving_nothing(own[0].arena), pytest.raises(error) as caught:
            reshare.deal(at_work.setup, 1, delivery, share, draw)
        assert caught.tb, "whose frames still hold the slots"


def test_receiving_leaves_only_the_share(
    protocol_arena: Arena, at_work: Resharing, held: list[Secret]
) -> None:
    """Step 6.8.3: all parts and pads are wiped. v' is the caller's, and stays as it is."""
    delivery = at_work.new_delivery(2)
    with leaving_nothing(protocol_arena):
        for _ in range(2):
            renewed = reshare.receive(at_work.setup, 2, delivery, at_work.messages)
            assert any(renewed.share is each for each in held)
            abort(renewed)


def test_checking_takes_no_slot(protocol_arena: Arena, at_work: Resharing) -> None:
    """Step 6.8.3: all that an old holder looks at is public."""
    with leaving_nothing(protocol_arena):
        assert len(at_work.check()) == 3


# --- whose round it is ----------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 2, 4])
def test_who_is_no_dealer_shares_nothing(at_work: Resharing, index: int) -> None:
    """Step 6.8.2: an old holder outside of Q, and none at all."""
    own = at_work.delivery(2), at_work.share(2), random_draws(at_work.suite, 1)
    with pytest.raises(BadInput, match=rf"holder {index} deals nothing"):
        reshare.deal(at_work.setup, index, *own)


@pytest.mark.parametrize("index", [0, 5, -1])
def test_who_is_no_new_holder_receives_nothing(at_work: Resharing, index: int) -> None:
    """Step 1.2.2."""
    with pytest.raises(BadInput, match="indices run from 1 to 4"):
        reshare.receive(at_work.setup, index, at_work.new_delivery(1), at_work.messages)
