"""Signer sets of an epoch (steps 1.2.4, 1.2.5, 1.6.6, 4.4.2)."""

from __future__ import annotations

from itertools import combinations

import pytest

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.ed25519 import ED25519
from hsm_mpc.protocols.frost_ed25519.signers import EpochKey, identifier
from hsm_mpc.secure.arena import Arena
from tests.protocols.frost import EPOCH
from tests.protocols.frost_ed25519 import IDENTITY, Wallet, le, mixed, times_b


@pytest.fixture
def wallet(protocol_arena: Arena) -> Wallet:
    return Wallet.dealt(protocol_arena, 2, 3)


def test_a_holder_is_its_index_as_a_scalar() -> None:
    """Steps 1.2.4 and 4.1."""
    assert [identifier(index) for index in (1, 255, 257)] == [le(1), le(255), le(257)]


def test_public_shares_are_those_of_the_shares(protocol_arena: Arena) -> None:
    """Step 1.6.6."""
    wallet = Wallet.dealt(protocol_arena, 3, 5)
    for index in range(1, 6):
        assert wallet.epoch.public_share(index) == times_b(wallet.share(index))


@pytest.mark.parametrize(("t", "n"), [(1, 1), (1, 3), (2, 3), (3, 5), (5, 5)])
def test_every_set_of_an_epoch_makes_up_the_threshold_key(
    protocol_arena: Arena, t: int, n: int
) -> None:
    """Step 1.2.5: Σ λ_i·A(i) = A_0."""
    epoch = Wallet.dealt(protocol_arena, t, n).epoch
    for size in range(t, n + 1):
        for indices in combinations(range(1, n + 1), size):
            signers = epoch.signers(indices)
            terms = [(signers.factor(i), epoch.public_share(i)) for i in indices]
            assert ED25519.linear_combination(terms) == epoch.threshold_key
            assert [signers.position(index) for index in indices] == list(range(size))


@pytest.mark.parametrize("indices", [(2, 1), (1, 1), (0, 1), (2, 4)])
def test_an_unsorted_or_impossible_set_of_an_epoch_is_refused(
    wallet: Wallet, indices: tuple[int, ...]
) -> None:
    """Step 1.2.2: list_not_ascending, duplicates, strangers."""
    with pytest.raises(BadInput):
        wallet.epoch.signers(indices)


def test_a_set_below_the_threshold_of_an_epoch_is_refused(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="1 signers where 2 to 3"):
        wallet.epoch.signers((3,))


def test_somebody_who_does_not_sign_has_no_position(wallet: Wallet) -> None:
    with pytest.raises(BadInput, match="holder 3 is not among the signers"):
        wallet.epoch.signers((1, 2)).position(3)


@pytest.mark.parametrize("index", [0, 4])
def test_an_epoch_has_no_public_share_of_a_stranger(wallet: Wallet, index: int) -> None:
    with pytest.raises(BadInput, match="indices run from 1 to 3"):
        wallet.epoch.public_share(index)


@pytest.mark.parametrize("bad", [IDENTITY, mixed(times_b(3)), b"\xff" * 32, b""])
def test_an_epoch_of_commitments_that_are_no_points_is_refused(bad: bytes) -> None:
    """Step 1.4.3: also what is read from disk."""
    with pytest.raises(BadInput, match="a commitment"):
        EpochKey.of(EPOCH, 3, [times_b(1), bad])


def test_an_epoch_whose_public_share_is_the_identity_aborts() -> None:
    """Step 1.6.6."""
    with pytest.raises(ProtocolAbort, match="the public share of holder 1"):
        EpochKey.of(EPOCH, 3, [times_b(1), times_b(-1)])
