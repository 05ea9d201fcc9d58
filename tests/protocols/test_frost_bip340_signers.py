"""Signer sets and tweaked keys (steps 3.1.1, 3.1.2, 1.2.4, 3.4.8)."""

from __future__ import annotations

from itertools import combinations

import pytest

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1
from hsm_mpc.protocols.frost_bip340.signers import EpochKey, SignerSet, bip445_id
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.secure.arena import Arena
from tests.protocols.frost import EPOCH, Wallet, be, times_g

NOT_A_POINT = b"\x02" + b"\xff" * 32


@pytest.fixture
def wallet(protocol_arena: Arena) -> Wallet:
    return Wallet.dealt(protocol_arena, 2, 3)


def validated(wallet: Wallet, *indices: int, t: int = 2, n: int = 3, **other: object) -> SignerSet:
    shares = [wallet.epoch.public_shares[(index - 1) % 3] for index in indices]
    lists = {"public_shares": shares, "threshold_key": wallet.epoch.threshold_key} | other
    return SignerSet.validated(t, n, indices, **lists)  # type: ignore[arg-type]


def test_a_holder_has_the_id_below_its_index() -> None:
    """Step 1.2.4."""
    assert [bip445_id(index) for index in (1, 2, 255)] == [0, 1, 254]


def test_ids_are_encoded_ascending_whatever_the_order(wallet: Wallet) -> None:
    assert validated(wallet, 3, 1).encoded_ids == bytes.fromhex("0000000000000002")


@pytest.mark.parametrize(("t", "n"), [(0, 3), (4, 3)])
def test_a_threshold_outside_1_to_n_is_refused(wallet: Wallet, t: int, n: int) -> None:
    with pytest.raises(BadInput, match="a threshold of"):
        validated(wallet, 1, 2, 3, t=t, n=n)


def test_too_few_signers_are_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="1 signers where 2 to 3"):
        validated(wallet, 1)


def test_more_signers_than_holders_are_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="4 signers where 2 to 3"):
        validated(wallet, 1, 2, 3, 3)


def test_lists_of_unequal_length_are_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="3 public shares for 2 signers"):
        validated(wallet, 1, 2, public_shares=wallet.epoch.public_shares)


@pytest.mark.parametrize("index", [0, 4])
def test_an_index_outside_the_roster_is_refused(wallet: Wallet, index: int) -> None:
    with pytest.raises(BadInput, match="indices run from 1 to 3"):
        validated(wallet, 1, index)


def test_a_public_share_that_is_no_point_is_refused(wallet: Wallet) -> None:
    shares = (wallet.epoch.public_shares[0], NOT_A_POINT)
    with pytest.raises(BadInput, match="the public share of holder 2"):
        validated(wallet, 1, 2, public_shares=shares)


def test_a_threshold_key_that_is_no_point_is_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="the threshold key"):
        validated(wallet, 1, 2, threshold_key=NOT_A_POINT)


def test_a_duplicate_index_is_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="one of them twice"):
        validated(wallet, 1, 1)


def test_shares_that_do_not_make_up_the_key_are_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="do not make up the threshold key"):
        validated(wallet, 1, 2, threshold_key=wallet.epoch.public_shares[0])


def test_shares_whose_sum_is_the_identity_are_refused(wallet: Wallet) -> None:
    """Step 3.1.1: a sum O is unequal. λ over {1, 2} is 2 and −1."""
    shares = (times_g(1), times_g(2))
    with pytest.raises(BadInput, match="do not make up the threshold key"):
        validated(wallet, 1, 2, public_shares=shares)


def test_somebody_who_does_not_sign_has_no_public_share_here(wallet: Wallet) -> None:
    signers = validated(wallet, 1, 2)
    with pytest.raises(BadInput, match="holder 3 is not among the signers"):
        signers.public_share(3)


@pytest.mark.parametrize(("t", "n"), [(1, 1), (1, 3), (2, 3), (3, 5), (5, 5)])
def test_every_set_of_an_epoch_passes_the_validation_of_any_list(
    protocol_arena: Arena, t: int, n: int
) -> None:
    """Why `EpochKey.signers` need not add up: values of one polynomial always interpolate."""
    epoch = Wallet.dealt(protocol_arena, t, n).epoch
    for size in range(t, n + 1):
        for indices in combinations(range(1, n + 1), size):
            ours = epoch.signers(indices)
            shares = [epoch.public_share(index) for index in indices]
            assert ours == SignerSet.validated(t, n, indices, shares, epoch.threshold_key)


def test_public_shares_are_those_of_the_shares(protocol_arena: Arena) -> None:
    """Step 1.6.6."""
    wallet = Wallet.dealt(protocol_arena, 3, 5)
    for index in range(1, 6):
        assert wallet.epoch.public_share(index) == times_g(wallet.share(index))


@pytest.mark.parametrize("indices", [(2, 1), (1, 1), (0, 1), (2, 4)])
def test_an_unsorted_or_impossible_set_of_an_epoch_is_refused(
    wallet: Wallet, indices: tuple[int, ...]
) -> None:
    with pytest.raises(BadInput):
        wallet.epoch.signers(indices)


def test_a_set_below_the_threshold_of_an_epoch_is_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="1 signers where 2 to 3"):
        wallet.epoch.signers((3,))


def test_an_epoch_has_no_public_share_of_a_stranger(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="indices run from 1 to 3"):
        wallet.epoch.public_share(0)


def test_an_epoch_of_commitments_that_are_no_points_is_refused() -> None:
    with pytest.raises(BadInput, match="a commitment"):
        EpochKey.of(EPOCH, 3, [NOT_A_POINT])


def test_an_epoch_whose_public_share_is_the_identity_aborts() -> None:
    with pytest.raises(ProtocolAbort, match="the public share of holder 1"):
        EpochKey.of(EPOCH, 3, [times_g(1), times_g(-1)])


# Tweaks


def test_tweaks_follow_one_another(wallet: Wallet) -> None:
    """Step 3.1.2: Q = gacc·P + tacc·G, for every order of plain and x-only tweaks."""
    secret = wallet.coefficients[0]
    for kinds in [(), (True,), (False, True), (True, False), (False, False, True), (True, True)]:
        tweaks = [(be(1000 + at), x_only) for at, x_only in enumerate(kinds)]
        key = TweakedKey.of(wallet.epoch.threshold_key, tweaks)
        assert key.point == times_g(key.gacc * secret + key.tacc)


def test_an_x_only_tweak_of_an_odd_key_turns_the_sign(protocol_arena: Arena) -> None:
    odd = next(
        key
        for key in (
            Wallet.dealt(protocol_arena, 2, 2, seed).epoch.threshold_key for seed in range(64)
        )
        if key[0] == 3
    )
    plain = TweakedKey.of(odd, [(be(7), False)])
    x_only = TweakedKey.of(odd, [(be(7), True)])
    assert (plain.gacc, x_only.gacc) == (1, -1)
    even = SECP256K1.negate_point(odd)
    assert x_only.point == SECP256K1.multiply_with_base(even, 1, 7)


def test_a_tweak_of_zero_changes_nothing(wallet: Wallet) -> None:
    key = TweakedKey.of(wallet.epoch.threshold_key, [(be(0), False)])
    assert key == TweakedKey.of(wallet.epoch.threshold_key)


def test_a_tweak_of_another_length_is_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="32 bytes"):
        TweakedKey.of(wallet.epoch.threshold_key, [(bytes(31), False)])


def test_a_tweak_equal_to_the_order_is_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="below the order"):
        TweakedKey.of(wallet.epoch.threshold_key, [(ORDER.to_bytes(32, "big"), False)])


def test_a_tweak_to_the_identity_is_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="identity"):
        TweakedKey.of(wallet.epoch.threshold_key, [(be(-wallet.coefficients[0]), False)])


def test_a_tweaked_key_that_is_no_point_is_refused() -> None:
    with pytest.raises(BadInput):
        TweakedKey.of(NOT_A_POINT)
