"""Ed25519: secret scalars in place, and fresh ones (section 1.8)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.ed25519 import ED25519, ORDER, Point, hash_to_scalar, hash_to_scalar_into
from hsm_mpc.secure import sodium_ed25519 as library
from hsm_mpc.secure.arena import Arena, Secret, Take, move_bytes, publish
from hsm_mpc.secure.entropy import Entropy
from tests.groups.edwards import le
from tests.secure.bytes_of import at, filled

scalars = st.integers(1, ORDER - 1)
BIT_255 = 1 << 255
NO_SCALARS = [le(ORDER), le(ORDER + 5), le(5 + BIT_255), b"\xff" * 32]


def times_b(scalar: int) -> Point:
    point = ED25519.base_multiple(scalar)
    assert point is not None
    return point


# --- secrets in place -----------------------------------------------------------------------------


@given(a=scalars, b=scalars, factor=scalars)
def test_secret_arithmetic_agrees_with_integers(
    group_arena: Arena, a: int, b: int, factor: int
) -> None:
    with group_arena.scope() as take:
        scalar, other = filled(take(32), le(a)), filled(take(32), le(b))
        assert ED25519.public_point(scalar) == times_b(a)
        ED25519.multiply_public(scalar, factor)
        assert publish(scalar) == le(a * factor % ORDER)
        ED25519.negate(scalar)
        assert publish(scalar) == le(-a * factor % ORDER)
        if (b - a * factor) % ORDER:
            ED25519.add(scalar, other)
            assert publish(scalar) == le((b - a * factor) % ORDER)
        assert publish(other) == le(b)


@given(a=scalars, b=scalars, factor=scalars)
def test_secret_arithmetic_by_address_is_the_same(
    group_arena: Arena, a: int, b: int, factor: int
) -> None:
    expected = (factor * -a + b) % ORDER
    with group_arena.scope() as take:
        scalar, other = filled(take(32), le(a)), filled(take(32), le(b))
        with scalar.open() as address, other.open() as addend, take(32).open() as out:
            assert ED25519.public_point_at(address) == times_b(a)
            ED25519.diffie_hellman_at(address, times_b(b), out)
            assert at(out, 32) == times_b(a * b)
            ED25519.negate_at(address)
            ED25519.multiply_public_at(address, factor)
            if expected:
                ED25519.add_at(address, addend)
                assert at(address, 32) == le(expected)
                assert ED25519.is_canonical_nonzero_at(address)


@given(coefficients=st.lists(scalars, min_size=1, max_size=5), x=st.integers(1, 255))
def test_a_secret_polynomial_is_evaluated_by_horner(
    group_arena: Arena, coefficients: list[int], x: int
) -> None:
    """Step 1.8.8."""
    value = sum(a * x**k for k, a in enumerate(coefficients)) % ORDER
    assume(value)  # a result of 0 aborts
    with group_arena.scope() as take:
        slot = filled(take(32 * len(coefficients)), b"".join(map(le, coefficients)))
        with slot.open() as first, take(32).open() as out:
            ED25519.horner_at(first, len(coefficients), x, out)
            assert at(out, 32) == le(value)
        assert publish(slot) == b"".join(map(le, coefficients))


def test_a_polynomial_may_be_zero_on_the_way_and_not_at_the_end(take: Take) -> None:
    """Steps 1.8.4 and 1.8.8."""
    slot = filled(take(96), le(7) + le(ORDER - 3) + le(1))
    with slot.open() as first, take(32).open() as out:
        ED25519.horner_at(first, 3, 3, out)
        assert at(out, 32) == le(7)
        with pytest.raises(ProtocolAbort, match="a polynomial of a secret scalar"):
            ED25519.horner_at(first + 32, 2, 3, out)
        assert at(out, 32) == bytes(32)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("bad", NO_SCALARS)
def test_a_coefficient_that_is_no_scalar_aborts(take: Take, bad: bytes, place: int) -> None:
    """Steps 1.8.4 and 1.8.8."""
    coefficients = [le(5), le(6)]
    coefficients[place] = bad
    with (
        filled(take(64), b"".join(coefficients)).open() as first,
        take(32).open() as out,
    ):
        with pytest.raises(ProtocolAbort, match="a polynomial of a secret scalar"):
            ED25519.horner_at(first, 2, 2, out)
        assert at(out, 32) == bytes(32)


@given(
    st.one_of(
        st.integers(0, 2**256 - 1),
        st.integers(-3, 3).map(lambda off: (ORDER + off) % 2**256),
        st.integers(0, 31).map(lambda place: ORDER - (1 << 8 * place)),
        st.integers(0, 30).map(lambda place: ORDER + (1 << 8 * place)),
        st.sampled_from([0, 2**252 - 1, 2**252, 2**253, 1 + BIT_255]),
    ).filter(lambda value: value >= 0)
)
def test_a_secret_scalar_is_canonical_and_not_zero(group_arena: Arena, value: int) -> None:
    """Step 1.8.7, by comparing from the top where the step reduces and compares: the same."""
    with group_arena.scope() as take:
        slot, wide = filled(take(32), le(value)), filled(take(64), le(value) + bytes(32))
        canonical = ED25519.is_canonical_nonzero(slot)
        with wide.open() as source, take(32).open() as reduced:
            library.reduce(reduced, source)
            as_worded = at(reduced, 32) == le(value) and value != 0
        with slot.open() as address:
            assert ED25519.is_canonical_nonzero_at(address) is canonical
        assert canonical is as_worded is (0 < value < ORDER)
        assert publish(slot) == le(value)


@pytest.mark.parametrize("factor", [0, ORDER, -ORDER])
def test_a_public_factor_of_zero_never_reaches_a_secret(take: Take, factor: int) -> None:
    """Step 1.8.4."""
    scalar, out = filled(take(32), le(5)), filled(take(32), le(6))
    with pytest.raises(BadInput, match="not 0 modulo"):
        ED25519.multiply_public(scalar, factor)
    with (
        scalar.open() as first,
        out.open() as into,
        pytest.raises(BadInput, match="not 0 modulo"),
    ):
        ED25519.horner_at(first, 1, factor, into)
    assert (publish(scalar), publish(out)) == (le(5), le(6))


def test_a_zero_sum_aborts_and_wipes(take: Take) -> None:
    """Step 1.8.4; libsodium itself sees nothing wrong with it."""
    scalar = filled(take(32), le(5))
    with pytest.raises(ProtocolAbort, match="addition"):
        ED25519.add(scalar, filled(take(32), le(ORDER - 5)))
    assert publish(scalar) == bytes(32)


@pytest.mark.parametrize("bad", [bytes(32), *NO_SCALARS])
def test_what_is_no_secret_scalar_aborts_every_operation(take: Take, bad: bytes) -> None:
    """Steps 1.4.5 and 1.8.4; libsodium reduces it, or forgets its highest bit."""
    out = take(32)
    with out.open() as target:
        for operation in (
            lambda scalar: library.negate(scalar),
            lambda scalar: library.multiply(scalar, le(1)),
            lambda scalar: library.point_of(scalar),
            lambda scalar: library.diffie_hellman(target, times_b(1), scalar),
        ):
            with filled(take(32), bad).open() as scalar:
                with pytest.raises(ProtocolAbort, match="of a secret scalar") as abort:
                    operation(scalar)
                assert abort.value.culprits == ()
        assert at(target, 32) == bytes(32)
    assert bad == bytes(32) or (not _sums(take, bad, le(1)) and not _sums(take, le(1), bad))


def _sums(take: Take, left: bytes, right: bytes) -> bool:
    """Whether their sum is made; if not, nothing of it is left."""
    scalar, other = filled(take(32), left), filled(take(32), right)
    try:
        ED25519.add(scalar, other)
    except ProtocolAbort:
        assert publish(scalar) == bytes(32)
        return False
    return True


@pytest.mark.parametrize(
    "operation",
    [
        ED25519.is_canonical_nonzero,
        ED25519.negate,
        ED25519.public_point,
        lambda scalar: ED25519.multiply_public(scalar, 2),
        lambda scalar: ED25519.add(scalar, scalar),
        lambda scalar: ED25519.random_nonzero(scalar, Entropy()),
    ],
)
@pytest.mark.parametrize("size", [31, 33])
def test_a_slot_of_another_size_holds_no_scalar(
    take: Take, operation: Callable[[Secret], object], size: int
) -> None:
    with pytest.raises(BadInput, match=f"a secret of {size} bytes"):
        operation(take(size))


@given(message=st.binary(min_size=64, max_size=300))
def test_a_secret_hash_becomes_a_scalar(group_arena: Arena, message: bytes) -> None:
    """Section 1.5, in place: the hash overwrites the message's head, and nothing else."""
    with group_arena.scope() as take:
        slot = filled(take(len(message)), message)
        with slot.open() as start, take(32).open() as out:
            hash_to_scalar_into(start, len(message), out)
            assert at(out, 32) == le(hash_to_scalar(message))
        assert publish(slot) == hashlib.sha512(message).digest() + message[64:]


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


def drawn(system: bytes, hsm: bytes, counter: int = 0) -> bytes:
    """Step 1.8.6 as it is worded."""
    message = b"hsm-mpc/v1/rng" + system + hsm + counter.to_bytes(4, "big")
    return le(hash_to_scalar(message))


def test_a_random_scalar_joins_both_sources(take: Take) -> None:
    """Step 1.8.6."""
    into = take(32)
    ED25519.random_nonzero(into, Scripted([b"s" * 64], b"h" * 64))
    assert publish(into) == drawn(b"s" * 64, b"h" * 64)


def test_random_scalars_side_by_side_are_each_drawn(take: Take) -> None:
    """Step 1.8.6: the HSM is asked once for all of them."""
    into = take(64)
    ED25519.random_nonzero(into, Scripted([b"1" * 64, b"2" * 64], b"a" * 64 + b"b" * 64))
    assert publish(into) == drawn(b"1" * 64, b"a" * 64) + drawn(b"2" * 64, b"b" * 64)


def test_a_draw_that_is_zero_is_drawn_again(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 1.8.6: with another counter and fresh bytes of the operating system."""
    verdicts = [False, True]
    monkeypatch.setattr(library, "is_scalar", lambda address: verdicts.pop(0))
    into = take(32)
    ED25519.random_nonzero(into, Scripted([b"1" * 64, b"2" * 64], b"h" * 64))
    assert publish(into) == drawn(b"2" * 64, b"h" * 64, 1)
    assert verdicts == []


def test_drawing_leaves_nothing_but_the_scalar_in_memory() -> None:
    """Step 1.8.6: random bytes and the wide hash are wiped at once."""
    arena = Arena(4096)
    size = arena.free_bytes
    with arena.scope() as take, arena.open() as start:
        ED25519.random_nonzero(take(32), Scripted([b"s" * 64], b"h" * 64))
        content = at(start, size)
    arena.close()
    wide = hashlib.sha512(b"hsm-mpc/v1/rng" + b"s" * 64 + b"h" * 64 + bytes(4)).digest()
    for secret in (wide, b"s" * 64, b"h" * 64):
        assert not any(secret[place : place + 8] in content for place in range(0, 64, 8))
    assert content.count(drawn(b"s" * 64, b"h" * 64)) == 1
