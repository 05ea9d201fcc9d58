"""libsodium's group of Ed25519 by pointer, beside `sodium`.

Every `int` called an address lies inside an open window of protected memory; every `bytes` is
public. Points are 32 bytes; the identity is the encoding `IDENTITY`, which only `added` takes and
gives. Secrets meet only functions that are constant time in them by the library's design (step
1.8.2), and one comparison with the order that mostly needs the highest byte alone (`is_scalar`).

libsodium checks less than libsecp256k1: it reduces a scalar of any size, and forgets bit 255 of one
that multiplies a point. So each operation here looks at its operands itself (step 1.8.4).

It leaves sums, products and digits of a scalar on the stack (measured). After every operation a
public hash covers them (`_cover`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn

from nacl._sodium import ffi, lib

from hsm_mpc.errors import BackendError, HsmMpcError, ProtocolAbort

POINT_BYTES: Final = 32
SCALAR_BYTES: Final = 32
WIDE_BYTES: Final = 64
"""What `reduce` takes."""
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
IDENTITY: Final = b"\1" + bytes(31)
"""Step 1.4.4."""

_BYTES: Final = ffi.typeof("unsigned char *")
_POINT: Final = ffi.typeof(f"unsigned char[{POINT_BYTES}]")
_ZERO: Final = bytes(SCALAR_BYTES)
_ORDER: Final = ORDER.to_bytes(SCALAR_BYTES, "little")
_ONE: Final = b"\1" + bytes(31)
_COVER: Final = ffi.new(f"unsigned char[{WIDE_BYTES}]")
_MIXED: Final = bytes.fromhex("9599999999999999999999999999999999999999999999999999999999999999")
"""B and the point of order 2, added: on the curve, and not of prime order."""


def _require_sound(is_valid_point: Callable[[bytes], int]) -> None:
    """Every check of a point rests on one function (step 1.4.3); it was wrong up to 1.0.20.

    Raises:
        BackendError: this libsodium takes points of mixed order (CVE-2025-69277).
    """
    if is_valid_point(_MIXED):
        raise BackendError(
            "libsodium takes points of mixed order: PyNaCl 1.6.2 or later is wanted",
            retryable=False,
        )


_require_sound(lib.crypto_core_ed25519_is_valid_point)


def _cover() -> None:
    """A public hash, which lies deeper on the stack than everything before it."""
    lib.crypto_hash_sha512(_COVER, _ONE, 1)


def _degenerate(operation: str, result: Any = None) -> NoReturn:
    """Step 1.8.4: nothing is left where a result would be."""
    if result is not None:
        lib.sodium_memzero(result, SCALAR_BYTES)
    raise ProtocolAbort(f"{operation} of a secret scalar: an input or the result is no scalar or 0")


def _below_order(scalar: Any) -> bool:
    """Whether 32 bytes, little-endian, are below L.

    The highest byte that is not L's decides. Of a scalar made honestly that is the very highest,
    but with a probability of 2^−127: it is below 2^252, and more than that is not learned.
    """
    for place in range(SCALAR_BYTES - 1, -1, -1):
        if scalar[place] != _ORDER[place]:
            return bool(scalar[place] < _ORDER[place])
    return False


def _is_zero(scalar: Any) -> bool:
    return bool(lib.sodium_memcmp(scalar, _ZERO, SCALAR_BYTES) == 0)


# Secrets


def is_scalar(address: int) -> bool:
    """Whether the 32 bytes are a scalar other than 0 (step 1.8.7)."""
    scalar = ffi.cast(_BYTES, address)
    return _below_order(scalar) and not _is_zero(scalar)


def negate(address: int) -> None:
    """The scalar becomes its negative."""
    scalar = ffi.cast(_BYTES, address)
    below = _below_order(scalar)
    lib.crypto_core_ed25519_scalar_negate(scalar, scalar)
    _cover()
    if not below or _is_zero(scalar):
        _degenerate("negation", scalar)


def add(address: int, other: int) -> None:
    """The scalar at `other` is added to that at `address`."""
    scalar, addend = ffi.cast(_BYTES, address), ffi.cast(_BYTES, other)
    below = _below_order(scalar) and _below_order(addend)
    lib.crypto_core_ed25519_scalar_add(scalar, scalar, addend)
    _cover()
    if not below or _is_zero(scalar):
        _degenerate("addition", scalar)


def multiply(address: int, factor: bytes) -> None:
    """The scalar is multiplied by a public factor of 32 bytes."""
    scalar = ffi.cast(_BYTES, address)
    below = _below_order(scalar)
    lib.crypto_core_ed25519_scalar_mul(scalar, scalar, factor)
    _cover()
    if not below or _is_zero(scalar):
        _degenerate("multiplication", scalar)


def horner(out: int, coefficients: int, count: int, x: bytes) -> None:
    """At `out`: Σ a_k·x^k of `count` adjacent scalars a_0, a_1, … (step 1.8.8).

    A sum on the way may be 0: only the result may not.
    """
    accumulator = ffi.cast(_BYTES, out)
    coefficient = ffi.cast(_BYTES, coefficients) + SCALAR_BYTES * (count - 1)
    below = _below_order(coefficient)
    ffi.memmove(accumulator, coefficient, SCALAR_BYTES)
    for _ in range(count - 1):
        coefficient -= SCALAR_BYTES
        below = below and _below_order(coefficient)
        lib.crypto_core_ed25519_scalar_mul(accumulator, accumulator, x)
        lib.crypto_core_ed25519_scalar_add(accumulator, accumulator, coefficient)
    _cover()
    if not below or _is_zero(accumulator):
        _degenerate("a polynomial", accumulator)


def reduce(out: int, wide: int) -> None:
    """`reduce64` of 64 bytes at `wide` (step 1.4.2): 32 bytes at `out`, which may be 0."""
    lib.crypto_core_ed25519_scalar_reduce(ffi.cast(_BYTES, out), ffi.cast(_BYTES, wide))
    _cover()


def point_of(address: int) -> bytes:
    """scalar·B, constant time. During the call its result's place holds the scalar."""
    scalar, point = ffi.cast(_BYTES, address), ffi.new(_POINT)
    made = _below_order(scalar) and not lib.crypto_scalarmult_ed25519_base_noclamp(point, scalar)
    _cover()
    if not made:
        _degenerate("public point")  # step 1.4.5
    return bytes(ffi.buffer(point))


def diffie_hellman(out: int, point: bytes, address: int) -> None:
    """The encoding of scalar·point, 32 secret bytes at `out`, constant time (step 2.3.3)."""
    scalar, shared = ffi.cast(_BYTES, address), ffi.cast(_BYTES, out)
    made = _below_order(scalar) and not lib.crypto_scalarmult_ed25519_noclamp(shared, scalar, point)
    _cover()
    if not made:
        _degenerate("key agreement", shared)  # step 1.4.5


# Public values, variable time


def is_point(encoded: bytes) -> bool:
    """Whether they encode a point of the group (step 1.4.3); the identity is none."""
    return len(encoded) == POINT_BYTES and bool(lib.crypto_core_ed25519_is_valid_point(encoded))


def base_multiplied(factor: bytes) -> bytes:
    """factor·B for a public factor, 0 < factor < L, of 32 bytes."""
    product = ffi.new(_POINT)
    if lib.crypto_scalarmult_ed25519_base_noclamp(product, factor):
        raise HsmMpcError("libsodium base multiplication: the factor is 0")
    return bytes(ffi.buffer(product))


def multiplied(point: bytes, factor: bytes) -> bytes:
    """factor·point for a public factor, 0 < factor < L, of 32 bytes."""
    product = ffi.new(_POINT)
    if lib.crypto_scalarmult_ed25519_noclamp(product, factor, point):
        raise HsmMpcError("libsodium multiplication: the factor is 0 or the point is none")
    return bytes(ffi.buffer(product))


def added(points: Iterable[bytes]) -> bytes:
    """The sum of points, which may be the identity; of none it is."""
    iterator = iter(points)
    first = next(iterator, IDENTITY)
    total = ffi.new(_POINT, first)
    for point in iterator:
        if lib.crypto_core_ed25519_add(total, total, point):
            raise HsmMpcError("libsodium addition: not a point of the curve")
    return bytes(ffi.buffer(total))
