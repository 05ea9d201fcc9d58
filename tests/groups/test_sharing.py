"""Indices, Lagrange factors and commitments (sections 1.2 and 2.5)."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1, Point
from hsm_mpc.groups.sharing import (
    SECRET_SHARING,
    ZERO_SHARING,
    AdditiveSharing,
    Sharing,
    evaluate_public,
    lagrange,
    require_ascending,
    require_index,
    share_is_committed,
    sum_of_commitments,
)
from hsm_mpc.secure.arena import Arena
from tests.secure.bytes_of import at, filled

index_sets = st.sets(st.integers(1, 255), min_size=1, max_size=12)
scalars = st.integers(1, ORDER - 1)


def commit(*coefficients: int) -> tuple[Point, ...]:
    points = (SECP256K1.base_multiple(a) for a in coefficients)
    return tuple(point for point in points if point is not None)


@pytest.mark.parametrize(
    "indices",
    [
        pytest.param((0, 1), id="index_zero"),
        pytest.param((-1, 1), id="negative_index"),
        pytest.param((1, 6), id="index_above_n"),
        pytest.param((1, 2, 2), id="duplicate_index"),
        pytest.param((2, 1), id="unsorted_list"),
    ],
)
def test_a_list_of_indices_that_breaks_the_rules_is_refused(indices: tuple[int, ...]) -> None:
    """Step 1.2.2."""
    with pytest.raises(BadInput):
        require_ascending(indices, 5)


def test_lists_that_keep_the_rules_pass() -> None:
    """Step 1.2.2."""
    for indices in ((), (1,), (5,), (1, 2, 5)):
        require_ascending(indices, 5)
    assert require_index(5, 5) == 5


@given(index_sets, st.lists(scalars, min_size=1, max_size=12), st.integers(0, 255))
def test_lagrange_factors_interpolate(indices: set[int], polynomial: list[int], at: int) -> None:
    """Step 1.2.5, at 0 and at a lost index."""
    if at in indices:
        return
    coefficients = polynomial[: len(indices)]

    def value(x: int) -> int:
        return sum(a * pow(x, k, ORDER) for k, a in enumerate(coefficients)) % ORDER

    total = sum(lagrange(i, indices, ORDER, at) * value(i) for i in indices)
    assert total % ORDER == value(at)


@pytest.mark.parametrize(
    ("index", "indices", "at"),
    [
        pytest.param(3, (1, 2), 0, id="index_not_in_the_set"),
        pytest.param(1, (1, 2, 2), 0, id="duplicate"),
        pytest.param(0, (0, 1), 0, id="index_zero"),
        pytest.param(1, (1, 256), 0, id="index_above_255"),
        pytest.param(1, (1, 2), 2, id="at_in_the_set"),
        pytest.param(1, (1, 2), 256, id="at_above_255"),
        pytest.param(1, (1, 2), -1, id="at_below_0"),
    ],
)
def test_a_lagrange_factor_outside_its_precondition_is_refused(
    index: int, indices: tuple[int, ...], at: int
) -> None:
    """Steps 1.2.2 and 1.2.5."""
    with pytest.raises(BadInput):
        lagrange(index, indices, ORDER, at)


def test_commitments_are_summed_coefficient_by_coefficient() -> None:
    """Step 2.5.9."""
    assert sum_of_commitments(SECP256K1, [commit(1, 2), commit(3, 4), commit(5, 6)]) == (
        commit(9, 12)
    )


def test_a_sum_that_is_the_identity_aborts_without_culprit() -> None:
    """Step 2.5.9."""
    with pytest.raises(ProtocolAbort, match="coefficient 1 is the identity") as abort:
        sum_of_commitments(SECP256K1, [commit(1, 2), commit(3, -2)])
    assert abort.value.culprits == ()


def test_polynomials_of_different_degree_are_never_summed() -> None:
    with pytest.raises(ValueError, match="shorter"):
        sum_of_commitments(SECP256K1, [commit(1, 2), commit(3)])


def test_a_public_share_is_the_committed_polynomial_at_its_index() -> None:
    """Step 1.6.6."""
    assert evaluate_public(SECP256K1, commit(7, 5, 3), 2) == commit(7 + 10 + 12)[0]


def test_a_public_share_that_is_the_identity_aborts() -> None:
    """Step 2.5.9."""
    with pytest.raises(ProtocolAbort, match="holder 2 is the identity") as abort:
        evaluate_public(SECP256K1, commit(-2, 1), 2)
    assert abort.value.culprits == ()


@pytest.mark.parametrize("index", [0, 256])
def test_a_public_share_belongs_to_an_index(index: int) -> None:
    """Step 1.2.2."""
    with pytest.raises(BadInput, match="indices run from 1 to 255"):
        evaluate_public(SECP256K1, commit(1, 2), index)


@given(coefficients=st.lists(scalars, min_size=1, max_size=5), index=st.integers(1, 255))
def test_feldman_accepts_the_committed_share_and_no_other(
    group_arena: Arena, coefficients: list[int], index: int
) -> None:
    """Step 2.5.8."""
    value = sum(a * index**k for k, a in enumerate(coefficients)) % ORDER
    if value in (0, ORDER - 1):
        return
    with group_arena.scope() as take:
        for claimed in (value, value + 1):
            with filled(take(32), claimed.to_bytes(32, "big")).open() as share:
                fits = share_is_committed(SECP256K1, share, commit(*coefficients), index)
            assert fits is (claimed == value)


@pytest.mark.parametrize(
    ("sharing", "lowest", "committed"), [(SECRET_SHARING, 0, 3), (ZERO_SHARING, 1, 2)]
)
@given(coefficients=st.lists(scalars, min_size=1, max_size=4), index=st.integers(1, 255))
def test_what_is_dealt_is_what_was_committed_and_nothing_else(
    group_arena: Arena,
    sharing: Sharing,
    lowest: int,
    committed: int,
    coefficients: list[int],
    index: int,
) -> None:
    """Steps 2.5.1, 2.5.8, 6.4.2 and 6.4.3: f begins with a constant, g with b_1·x."""
    assert sharing.committed(3) == committed
    sums = accumulate(reversed(coefficients), lambda total, a: total * index + a)
    assume(all(total % ORDER for total in sums))  # the library refuses a sum of 0 (step 1.8.4)
    value = sum(a * index**k for k, a in enumerate(coefficients, lowest)) % ORDER
    points = commit(*coefficients)
    with group_arena.scope() as take, take(96).open() as share:
        written = b"".join(a.to_bytes(32, "big") for a in coefficients)
        with filled(take(len(written)), written).open() as drawn_at:
            sharing.share_at(SECP256K1, drawn_at, len(coefficients), index, share)
        assert at(share, 32) == value.to_bytes(32, "big")
        assert sharing.is_committed(SECP256K1, share, points, index, share + 32)
        assert at(share, 32) == value.to_bytes(32, "big"), "it is only read"
        with filled(take(32), (value % (ORDER - 1) + 1).to_bytes(32, "big")).open() as wrong:
            assert not sharing.is_committed(SECP256K1, wrong, points, index, share + 32)


def test_a_summand_is_committed_to_for_one_receiver_and_no_other(group_arena: Arena) -> None:
    """Steps 6.7.3 and 6.7.4: each receiver is dealt the one in its place."""
    sharing, summands = AdditiveSharing((2, 3, 7)), (11, 12, 13)
    assert sharing.committed(3) == 3
    points = commit(*summands)
    with group_arena.scope() as take, take(64).open() as share:
        written = b"".join(each.to_bytes(32, "big") for each in summands)
        with filled(take(len(written)), written).open() as first:
            for receiver, summand in zip(sharing.receivers, summands, strict=True):
                sharing.share_at(SECP256K1, first, 3, receiver, share)
                assert at(share, 32) == summand.to_bytes(32, "big")
                fits = [
                    sharing.is_committed(SECP256K1, share, points, each, share + 32)
                    for each in sharing.receivers
                ]
                assert fits == [each == receiver for each in sharing.receivers]


def test_a_sum_of_higher_commitments_names_the_coefficient() -> None:
    """Step 6.4.4: the constant is not among them."""
    with pytest.raises(ProtocolAbort, match="coefficient 2 is the identity"):
        sum_of_commitments(SECP256K1, [commit(1, 2), commit(3, -2)], lowest=1)
