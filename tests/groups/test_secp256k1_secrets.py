"""secp256k1: secret scalars in place, and fresh ones (section 1.8)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.secp256k1 import (
    ORDER,
    SECP256K1,
    Point,
)
from hsm_mpc.secure.arena import Arena, Secret, Take, move_bytes, publish
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.tags import Tag, tagged_hash
from tests.secure.bytes_of import at, filled

scalars = st.integers(1, ORDER - 1)


def be(value: int) -> bytes:
    return value.to_bytes(32, "big")


def times_g(scalar: int) -> Point:
    point = SECP256K1.base_multiple(scalar)
    assert point is not None
    return point


# --- secrets in place -----------------------------------------------------------------------------


@given(a=scalars, b=scalars, factor=scalars)
def test_secret_arithmetic_agrees_with_integers(
    group_arena: Arena, a: int, b: int, factor: int
) -> None:
    with group_arena.scope() as take:
        scalar, other = filled(take(32), be(a)), filled(take(32), be(b))
        assert SECP256K1.public_point(scalar) == times_g(a)
        SECP256K1.multiply_public(scalar, factor)
        assert publish(scalar) == be(a * factor % ORDER)
        SECP256K1.negate(scalar)
        assert publish(scalar) == be(-a * factor % ORDER)
        if (b - a * factor) % ORDER:
            SECP256K1.add(scalar, other)
            assert publish(scalar) == be((b - a * factor) % ORDER)


@given(a=scalars, b=scalars, factor=scalars)
def test_secret_arithmetic_by_address_is_the_same(
    group_arena: Arena, a: int, b: int, factor: int
) -> None:
    expected = (factor * -a + b) % ORDER
    with group_arena.scope() as take:
        scalar, other = filled(take(32), be(a)), filled(take(32), be(b))
        with scalar.open() as address, other.open() as addend, take(33).open() as out:
            assert SECP256K1.public_point_at(address) == times_g(a)
            SECP256K1.diffie_hellman_at(address, times_g(b), out)
            assert at(out, 33) == times_g(a * b)
            SECP256K1.negate_at(address)
            SECP256K1.multiply_public_at(address, factor)
            if expected:
                SECP256K1.add_at(address, addend)
                assert at(address, 32) == be(expected)
                assert SECP256K1.is_canonical_nonzero_at(address)


@given(coefficients=st.lists(scalars, min_size=1, max_size=5), x=st.integers(1, 255))
def test_a_secret_polynomial_is_evaluated_by_horner(
    group_arena: Arena, coefficients: list[int], x: int
) -> None:
    """Step 1.8.8."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % ORDER
        assume(value)  # a value of 0 on the way aborts
    with group_arena.scope() as take:
        slot = filled(take(32 * len(coefficients)), b"".join(map(be, coefficients)))
        with slot.open() as first, take(32).open() as out:
            SECP256K1.horner_at(first, len(coefficients), x, out)
            assert at(out, 32) == be(value)
        assert publish(slot) == b"".join(map(be, coefficients))


@pytest.mark.parametrize(
    ("encoded", "canonical"),
    [(be(0), False), (be(1), True), (be(ORDER - 1), True), (be(ORDER), False)],
)
def test_a_secret_scalar_is_canonical_and_not_zero(
    take: Take, encoded: bytes, canonical: bool
) -> None:
    """Step 1.8.7."""
    scalar = filled(take(32), encoded)
    assert SECP256K1.is_canonical_nonzero(scalar) is canonical
    with scalar.open() as address:
        assert SECP256K1.is_canonical_nonzero_at(address) is canonical


@pytest.mark.parametrize("factor", [0, ORDER, -ORDER])
def test_a_public_factor_of_zero_never_reaches_a_secret(take: Take, factor: int) -> None:
    """Step 1.8.4."""
    scalar = filled(take(32), be(5))
    with pytest.raises(BadInput, match="not 0 modulo"):
        SECP256K1.multiply_public(scalar, factor)
    assert publish(scalar) == be(5)


def test_a_zero_sum_aborts_and_wipes(take: Take) -> None:
    """Step 1.8.4."""
    scalar = filled(take(32), be(5))
    with pytest.raises(ProtocolAbort):
        SECP256K1.add(scalar, filled(take(32), be(ORDER - 5)))
    assert publish(scalar) == bytes(32)


@pytest.mark.parametrize(
    "operation",
    [
        SECP256K1.is_canonical_nonzero,
        SECP256K1.negate,
        SECP256K1.public_point,
        lambda scalar: SECP256K1.multiply_public(scalar, 2),
        lambda scalar: SECP256K1.add(scalar, scalar),
        lambda scalar: SECP256K1.random_nonzero(scalar, Entropy()),
    ],
)
@pytest.mark.parametrize("size", [31, 33])
def test_a_slot_of_another_size_holds_no_scalar(
    take: Take, operation: Callable[[Secret], object], size: int
) -> None:
    with pytest.raises(BadInput, match=f"a secret of {size} bytes"):
        operation(take(size))


# --- randomness -----------------------------------------------------------------------------------


class Scripted(Entropy):
    """Both generators give what the test wrote down."""

    __slots__ = ()

    def __init__(self, system: list[bytes], hsm: bytes) -> None:
        super().__init__()

        def fill_from(parts: list[bytes]) -> Callable[[int, int], None]:
            def fill(pointer: int, length: int) -> None:
                part = parts.pop(0)
                assert len(part) == length
                move_bytes(pointer, part, length)

            return fill

        self.os_fill = fill_from(system)
        self.hsm_fill = fill_from([hsm])


def test_a_random_scalar_joins_both_sources(take: Take) -> None:
    """Step 1.8.6."""
    system, hsm = b"s" * 32, b"h" * 32
    into = take(32)
    SECP256K1.random_nonzero(into, Scripted([system], hsm))
    assert publish(into) == tagged_hash(Tag.RNG, system + hsm + bytes(4))


def test_random_scalars_side_by_side_are_each_drawn(take: Take) -> None:
    """Step 1.8.6: the HSM is asked once for all of them."""
    into = take(64)
    SECP256K1.random_nonzero(into, Scripted([b"1" * 32, b"2" * 32], b"a" * 32 + b"b" * 32))
    assert publish(into) == tagged_hash(Tag.RNG, b"1" * 32 + b"a" * 32 + bytes(4)) + tagged_hash(
        Tag.RNG, b"2" * 32 + b"b" * 32 + bytes(4)
    )


def test_a_draw_that_is_no_scalar_is_drawn_again(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 1.8.6: with another counter and fresh bytes of the operating system."""
    verdicts = [False, True]
    monkeypatch.setattr("hsm_mpc.groups.libsecp256k1.is_scalar", lambda address: verdicts.pop(0))
    into = take(32)
    SECP256K1.random_nonzero(into, Scripted([b"1" * 32, b"2" * 32], b"h" * 32))
    assert publish(into) == tagged_hash(Tag.RNG, b"2" * 32 + b"h" * 32 + (1).to_bytes(4, "big"))
    assert verdicts == []
