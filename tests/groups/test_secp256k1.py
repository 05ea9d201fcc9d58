"""secp256k1 as a group: encodings, secrets in place, public arithmetic (sections 1.3 and 1.8)."""

from __future__ import annotations

from typing import Final

import pytest
from coincurve import PrivateKey, PublicKey
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.secp256k1 import (
    ORDER,
    SECP256K1,
    Point,
)

FIELD: Final = 2**256 - 2**32 - 977
GENERATOR: Final = bytes.fromhex(
    "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
)

scalars = st.integers(1, ORDER - 1)
edges = st.sampled_from([1, 2, 3, (ORDER - 1) // 2, ORDER - 2, ORDER - 1])
factors = st.one_of(scalars, edges, st.just(0))


def be(value: int) -> bytes:
    return value.to_bytes(32, "big")


def times_g(scalar: int) -> Point:
    point = SECP256K1.base_multiple(scalar)
    assert point is not None
    return point


# --- encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(be(ORDER), id="scalar_equal_to_order"),
        pytest.param(be(ORDER + 1), id="scalar_above_order"),
        pytest.param(b"\xff" * 32, id="largest"),
        pytest.param(bytes(31), id="short_scalar"),
        pytest.param(bytes(33), id="long_scalar"),
        pytest.param(b"", id="empty"),
    ],
)
def test_what_is_no_scalar_is_refused(encoded: bytes) -> None:
    """Step 1.3.2."""
    with pytest.raises(BadEncoding):
        SECP256K1.parse_scalar(encoded)


@pytest.mark.parametrize("scalar", [0, 1, ORDER - 1])
def test_a_scalar_survives_its_encoding(scalar: int) -> None:
    """Step 1.3.2: 0 is a scalar."""
    assert SECP256K1.parse_scalar(SECP256K1.scalar_bytes(scalar)) == scalar


@pytest.mark.parametrize("scalar", [-1, ORDER])
def test_only_a_reduced_scalar_is_encoded(scalar: int) -> None:
    with pytest.raises(BadInput, match="below the order"):
        SECP256K1.scalar_bytes(scalar)


def _not_on_curve() -> bytes:
    x = next(x for x in range(1, 99) if pow(x**3 + 7, (FIELD - 1) // 2, FIELD) == FIELD - 1)
    return b"\x02" + be(x)


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(bytes(33), id="all_zero_point"),
        pytest.param(PublicKey(GENERATOR).format(compressed=False), id="uncompressed_point"),
        pytest.param(_not_on_curve(), id="x_not_on_curve"),
        pytest.param(b"\x04" + GENERATOR[1:], id="first_byte_04"),
        pytest.param(b"\x00" + GENERATOR[1:], id="first_byte_00"),
        pytest.param(b"\x02" + be(FIELD), id="x_equal_to_field"),
        pytest.param(b"\x02" + b"\xff" * 32, id="x_above_field"),
        pytest.param(GENERATOR[:-1], id="short_point"),
        pytest.param(GENERATOR + b"\x00", id="long_point"),
        pytest.param(b"", id="empty"),
    ],
)
def test_what_is_no_point_is_refused(encoded: bytes) -> None:
    """Step 1.3.3."""
    with pytest.raises(BadEncoding, match="not a compressed point"):
        SECP256K1.parse_point(encoded)
    with pytest.raises(BadEncoding, match="not a compressed point"):
        SECP256K1.combine([encoded])


def test_points_side_by_side_are_each_validated() -> None:
    """Step 1.3.3."""
    points = [times_g(k) for k in (1, 2, 3)]
    assert SECP256K1.parse_points(b"".join(points)) == tuple(points)
    assert SECP256K1.parse_points(b"") == ()
    for wrong in (b"".join(points) + b"\x02", points[0] + bytes(33) + points[2]):
        with pytest.raises(BadEncoding):
            SECP256K1.parse_points(wrong)


def test_a_point_is_its_encoding() -> None:
    """A parsed point compares, hashes and concatenates as bytes do, and is parsed once."""
    point = SECP256K1.parse_point(GENERATOR)
    assert point == GENERATOR and hash(point) == hash(GENERATOR)
    assert b"" + point == GENERATOR and type(b"" + point) is bytes
    assert SECP256K1.parse_point(point) is point
    assert {GENERATOR: 1}[point] == 1


# --- public arithmetic ----------------------------------------------------------------------------


@given(scalars)
def test_a_base_multiple_is_what_another_face_of_the_library_says(scalar: int) -> None:
    assert times_g(scalar) == PrivateKey(be(scalar)).public_key.format()


@given(scalars, factors, factors)
def test_public_arithmetic_agrees_with_integers(a: int, b: int, c: int) -> None:
    """a·G as a point P: b·P, b·P + c·G, −P and sums are (…)·G. The identity is None."""
    point = times_g(a)
    assert SECP256K1.multiply(point, b) == SECP256K1.base_multiple(a * b)
    assert SECP256K1.multiply_with_base(point, b, c) == SECP256K1.base_multiple(a * b + c)
    assert SECP256K1.multiply_with_base(bytes(point), -b, c) == SECP256K1.base_multiple(c - a * b)
    assert SECP256K1.linear_combination([(b, point), (c, times_g(1)), (-b, point)]) == (
        SECP256K1.base_multiple(c)
    )
    assert SECP256K1.negate_point(point) == times_g(-a)
    assert SECP256K1.combine([point, times_g(1)]) == SECP256K1.base_multiple(a + 1)


@given(scalars, scalars, scalars, scalars, factors)
def test_sums_of_products_agree_with_integers(a: int, b: int, c: int, d: int, e: int) -> None:
    """Points a·G and b·G and a key d·G; `factors` include 0 and 1, for which recovery is no way."""
    point, other, key = times_g(a), times_g(b), times_g(d)
    assert SECP256K1.add_multiple(point, other, c) == SECP256K1.base_multiple(a + b * c)
    rest = -(a + b * c + d * e)
    assert SECP256K1.sums_to_identity(point, other, c, key, e, rest)
    assert not SECP256K1.sums_to_identity(point, other, c, key, e, rest + 1)
    assert not SECP256K1.sums_to_identity(point, other, c, key, e, -rest) or rest % ORDER == 0


def test_sums_that_vanish_on_the_way() -> None:
    point, opposite = times_g(6), times_g(-3)
    assert SECP256K1.add_multiple(point, opposite, 2) is None
    assert SECP256K1.sums_to_identity(point, opposite, 2, point, 5, -30)
    assert not SECP256K1.sums_to_identity(point, opposite, 2, point, 5, -31)
    for use in (
        lambda: SECP256K1.add_multiple(point, opposite, ORDER),
        lambda: SECP256K1.sums_to_identity(point, opposite, 0, point, 5, 1),
    ):
        with pytest.raises(BadInput):
            use()


def test_the_identity_is_none() -> None:
    """Step 1.3.6."""
    point = times_g(77)
    assert SECP256K1.base_multiple(0) is None
    assert SECP256K1.base_multiple(ORDER) is None
    assert SECP256K1.multiply(point, 0) is None
    assert SECP256K1.combine([]) is None
    assert SECP256K1.linear_combination([]) is None
    assert SECP256K1.combine([point, SECP256K1.negate_point(point)]) is None
    assert SECP256K1.linear_combination([(5, point), (-5, point)]) is None
    assert SECP256K1.multiply_with_base(point, 2, -154) is None
    assert SECP256K1.multiply_with_base(point, 0, 0) is None


def test_a_point_that_recovery_cannot_take_is_multiplied_all_the_same() -> None:
    """x(P) ≥ q: the abscissa is no scalar, so key recovery is not the way."""
    x = next(x for x in range(ORDER, FIELD) if pow(x**3 + 7, (FIELD - 1) // 2, FIELD) == 1)
    point = SECP256K1.parse_point(b"\x03" + be(x))
    threefold = SECP256K1.combine([point] * 3)
    assert SECP256K1.multiply_with_base(point, 3, 5) == SECP256K1.combine(
        [threefold or b"", times_g(5)]
    )


@given(st.lists(scalars, min_size=1, max_size=6), st.integers(1, 40))
def test_a_committed_polynomial_is_evaluated(coefficients: list[int], x: int) -> None:
    """Step 1.6.6."""
    commitments = [bytes(times_g(a)) for a in coefficients]
    value = sum(a * x**k for k, a in enumerate(coefficients))
    assert SECP256K1.evaluate(commitments, x) == SECP256K1.base_multiple(value)


@pytest.mark.parametrize("x", [0, 256, -1])
def test_a_committed_polynomial_is_evaluated_only_at_an_index(x: int) -> None:
    with pytest.raises(BadInput, match="evaluated at"):
        SECP256K1.evaluate([GENERATOR], x)
    with pytest.raises(BadInput, match="0 commitments"):
        SECP256K1.evaluate([], 1)


def test_a_polynomial_that_is_zero_on_the_way_or_at_the_end_is_the_identity() -> None:
    """Step 1.3.6."""
    assert SECP256K1.evaluate([times_g(-3), times_g(1)], 3) is None
    assert SECP256K1.evaluate([times_g(7), times_g(-3), times_g(1)], 3) == times_g(7)
