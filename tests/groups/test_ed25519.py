"""Ed25519 as a group: encodings and public arithmetic (sections 1.4 and 1.8)."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl._sodium import ffi, lib

from hsm_mpc.errors import BadEncoding, BadInput, HsmMpcError, InvalidSignature
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.ed25519 import ED25519, ORDER, Point, hash_to_scalar, verify_ed25519
from hsm_mpc.groups.proofs import COCKTAIL_ED25519
from hsm_mpc.secure import sodium_ed25519 as library
from tests.groups import edwards
from tests.groups.edwards import FIELD, le
from tests.software_identity import ed25519_key

GENERATOR: Final = bytes.fromhex("58" + "66" * 31)
IDENTITY: Final = b"\1" + bytes(31)
ORDER_TWO: Final = le(FIELD - 1)

scalars = st.integers(1, ORDER - 1)
edges = st.sampled_from([1, 2, 3, (ORDER - 1) // 2, ORDER - 2, ORDER - 1])
factors = st.one_of(scalars, edges, st.just(0))


def times_b(scalar: int) -> Point:
    point = ED25519.base_multiple(scalar)
    assert point is not None
    return point


def mixed_order() -> bytes:
    """B + (0, −1): on the curve, of order 2L."""
    total = ffi.new("unsigned char[32]")
    assert lib.crypto_core_ed25519_add(total, GENERATOR, ORDER_TWO) == 0
    return bytes(ffi.buffer(total))


def test_it_is_a_group() -> None:
    group: Group = ED25519
    assert (group.order, group.scalar_length, group.point_length) == (ORDER, 32, 32)


def test_the_library_has_what_is_called() -> None:
    """PyNaCl binds a part of libsodium; these are what we need of it, and what it does not have."""
    wanted = [
        *(f"crypto_core_ed25519_{name}" for name in ("is_valid_point", "add")),
        *(f"crypto_core_ed25519_scalar_{name}" for name in ("reduce", "add", "mul", "negate")),
        *(f"crypto_scalarmult_ed25519_{name}" for name in ("noclamp", "base_noclamp")),
        *(f"crypto_aead_xchacha20poly1305_ietf_{name}" for name in ("encrypt", "decrypt")),
        *("crypto_hash_sha512", "crypto_sign_open", "sodium_memcmp", "sodium_memzero"),
    ]
    assert [name for name in wanted if not hasattr(lib, name)] == []
    absent = ["crypto_core_ed25519_scalar_is_canonical", "crypto_sign_verify_detached"]
    assert [name for name in absent if hasattr(lib, name)] == []


# --- encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(le(ORDER), id="scalar_equal_to_order"),
        pytest.param(le(ORDER + 1), id="scalar_above_order"),
        pytest.param(b"\xff" * 32, id="largest"),
        pytest.param(bytes(31), id="short_scalar"),
        pytest.param(bytes(33), id="long_scalar"),
        pytest.param(b"", id="empty"),
    ],
)
def test_what_is_no_scalar_is_refused(encoded: bytes) -> None:
    """Step 1.4.2."""
    with pytest.raises(BadEncoding):
        ED25519.parse_scalar(encoded)


@pytest.mark.parametrize("scalar", [0, 1, ORDER - 1])
def test_a_scalar_survives_its_encoding(scalar: int) -> None:
    """Step 1.4.2: 0 is a scalar."""
    assert ED25519.scalar_bytes(scalar) == le(scalar)
    assert ED25519.parse_scalar(le(scalar)) == scalar


@pytest.mark.parametrize("scalar", [-1, ORDER])
def test_only_a_reduced_scalar_is_encoded(scalar: int) -> None:
    with pytest.raises(BadInput, match="below the order"):
        ED25519.scalar_bytes(scalar)


def _not_on_curve() -> bytes:
    return next(le(y) for y in range(2, 99) if edwards.decoded(le(y)) is None)


def _non_canonical_y() -> bytes:
    """The encoding of a y as y + p; 19 of them fit into 255 bits."""
    small = next(y for y in range(2, 19) if edwards.decoded(le(y)) is not None)
    return le(small + FIELD)


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(IDENTITY, id="identity"),
        pytest.param(b"\1" + bytes(30) + b"\x80", id="identity_with_a_sign"),
        pytest.param(ORDER_TWO, id="order_two_point"),
        pytest.param(bytes(32), id="order_four_point"),
        pytest.param(mixed_order(), id="mixed_order_point"),
        pytest.param(_not_on_curve(), id="y_not_on_curve"),
        pytest.param(_non_canonical_y(), id="non_canonical_y"),
        pytest.param(le(FIELD), id="y_equal_to_field"),
        pytest.param(b"\xff" * 32, id="y_above_field"),
        pytest.param(GENERATOR[:-1], id="short_point"),
        pytest.param(GENERATOR + b"\0", id="long_point"),
        pytest.param(b"", id="empty"),
    ],
)
def test_what_is_no_point_is_refused(encoded: bytes) -> None:
    """Step 1.4.3, wherever a point is taken."""
    for take in (
        ED25519.parse_point,
        ED25519.negate_point,
        lambda point: ED25519.combine([point]),
        lambda point: ED25519.evaluate([point, GENERATOR], 1),
        lambda point: ED25519.multiply(point, 0),
        lambda point: ED25519.multiply_with_base(point, 8, 1),
    ):
        with pytest.raises(BadEncoding, match="not a point"):
            take(encoded)


def test_points_side_by_side_are_each_validated() -> None:
    """Step 1.4.3."""
    points = [times_b(k) for k in (1, 2, 3)]
    assert ED25519.parse_points(b"".join(points)) == tuple(points)
    assert ED25519.parse_points(b"") == ()
    for wrong in (b"".join(points) + b"\2", points[0] + IDENTITY + points[2]):
        with pytest.raises(BadEncoding):
            ED25519.parse_points(wrong)


def test_a_point_is_its_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A validated point compares, hashes and concatenates as bytes do, and is validated once."""
    point = ED25519.parse_point(GENERATOR)
    assert point == GENERATOR and hash(point) == hash(GENERATOR)
    assert b"" + point == GENERATOR and type(b"" + point) is bytes
    monkeypatch.setattr(library, "is_point", lambda _: False)
    assert ED25519.parse_point(point) is point


# --- public arithmetic ----------------------------------------------------------------------------


@given(st.one_of(scalars, edges))
def test_a_base_multiple_is_what_the_formulas_of_the_curve_say(scalar: int) -> None:
    assert times_b(scalar) == edwards.encoded(edwards.times(scalar, edwards.BASE))


@given(scalars, factors, factors)
def test_public_arithmetic_agrees_with_integers(a: int, b: int, c: int) -> None:
    """a·B as a point P: b·P, b·P + c·B, −P and sums are (…)·B. The identity is None."""
    point = times_b(a)
    assert ED25519.multiply(point, b) == ED25519.base_multiple(a * b)
    assert ED25519.multiply_with_base(point, b, c) == ED25519.base_multiple(a * b + c)
    assert ED25519.multiply_with_base(bytes(point), -b, c) == ED25519.base_multiple(c - a * b)
    assert ED25519.linear_combination([(b, point), (c, times_b(1)), (-b, point)]) == (
        ED25519.base_multiple(c)
    )
    assert ED25519.negate_point(point) == times_b(-a)
    assert ED25519.combine([point, times_b(1)]) == ED25519.base_multiple(a + 1)


def test_the_identity_is_none() -> None:
    """Step 1.4.4."""
    point = times_b(77)
    assert ED25519.base_multiple(0) is None
    assert ED25519.base_multiple(ORDER) is None
    assert ED25519.multiply(point, 0) is None
    assert ED25519.combine([]) is None
    assert ED25519.linear_combination([]) is None
    assert ED25519.combine([point, ED25519.negate_point(point)]) is None
    assert ED25519.combine([point, ED25519.negate_point(point), point]) == point
    assert ED25519.linear_combination([(5, point), (-5, point)]) is None
    assert ED25519.multiply_with_base(point, 2, -154) is None
    assert ED25519.multiply_with_base(point, 0, 0) is None


def test_what_comes_out_is_a_point_of_the_group() -> None:
    """It is never validated again, so it must be one."""
    for point in (
        times_b(9),
        ED25519.multiply(GENERATOR, 5),
        ED25519.combine([GENERATOR, GENERATOR]),
        ED25519.negate_point(GENERATOR),
        ED25519.evaluate([GENERATOR, GENERATOR], 3),
    ):
        assert type(point) is Point and library.is_point(point)


@given(st.lists(scalars, min_size=1, max_size=5), st.integers(1, 255))
def test_a_committed_polynomial_is_evaluated(coefficients: list[int], x: int) -> None:
    """Step 1.6.6."""
    commitments = [bytes(times_b(a)) for a in coefficients]
    value = sum(a * x**k for k, a in enumerate(coefficients))
    assert ED25519.evaluate(commitments, x) == ED25519.base_multiple(value)


@pytest.mark.parametrize("x", [0, 256, -1])
def test_a_committed_polynomial_is_evaluated_only_at_an_index(x: int) -> None:
    with pytest.raises(BadInput, match="evaluated at"):
        ED25519.evaluate([GENERATOR], x)
    with pytest.raises(BadInput, match="0 commitments"):
        ED25519.evaluate([], 1)


@pytest.mark.parametrize("x", [3, 31])
def test_a_polynomial_that_is_zero_on_the_way_or_at_the_end_is_the_identity(x: int) -> None:
    """Step 1.4.4: x·C is a sum of doublings below 16 or so, a product above."""
    assert ED25519.evaluate([times_b(-x), times_b(1)], x) is None
    assert ED25519.evaluate([times_b(7), times_b(-x), times_b(1)], x) == times_b(7)


def test_the_library_is_never_asked_for_a_multiple_that_it_refuses() -> None:
    """Step 1.4.5: every return is checked."""
    with pytest.raises(HsmMpcError, match="the factor is 0"):
        library.base_multiplied(bytes(32))
    for point, factor in ((GENERATOR, bytes(32)), (mixed_order(), le(8)), (IDENTITY, le(3))):
        with pytest.raises(HsmMpcError, match="the factor is 0 or the point is none"):
            library.multiplied(point, factor)
    with pytest.raises(HsmMpcError, match="not a point of the curve"):
        library.added([GENERATOR, _not_on_curve()])


def test_a_public_hash_becomes_a_scalar() -> None:
    """Section 1.5."""
    digest = COCKTAIL_ED25519.hash(b"m")
    assert hash_to_scalar(b"m") == int.from_bytes(digest, "little") % ORDER


def test_a_signature_of_another_message_does_not_verify() -> None:
    """Step 4.3.7."""
    key = ed25519_key(b"\x0e" * 32)
    signature = key.sign_digest(b"message")
    verify_ed25519(key.public.encoded, b"message", signature)
    with pytest.raises(InvalidSignature):
        verify_ed25519(key.public.encoded, b"massage", signature)
