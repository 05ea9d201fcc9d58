"""libsecp256k1 by pointer: the only importer of coincurve.

Every `int` called an address lies inside an open window of protected memory; every `bytes` is
public. `Raw` is the library's parsed point. Secrets meet only functions that are constant time in
them by the library's design (step 1.8.2); multiplication of a point by a secret scalar is
`point_of` or `diffie_hellman`, never `multiplied`.

The library's own answer to a forbidden argument is to abort the process. Here it is an exception.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from coincurve._libsecp256k1 import ffi, lib

from hsm_mpc.errors import HsmMpcError, ProtocolAbort
from hsm_mpc.secure.entropy import Entropy

Raw = Any
"""A `secp256k1_pubkey *`: 64 bytes of the library's own, never the identity."""

POINT_BYTES: Final = 33
SCALAR_BYTES: Final = 32

_BYTES: Final = ffi.typeof("unsigned char *")
_RAW: Final = ffi.typeof("secp256k1_pubkey *")
_RAWS: Final = ffi.typeof("secp256k1_pubkey *[]")
_COMPRESSED: Final = ffi.typeof(f"unsigned char[{POINT_BYTES}]")
_SIZE: Final = ffi.typeof("size_t *")
_DIGEST: Final = ffi.typeof("unsigned char[32]")
_RECOVERABLE: Final = ffi.typeof("secp256k1_ecdsa_recoverable_signature *")
_X_ONLY: Final = ffi.typeof("secp256k1_xonly_pubkey *")

_ONE: Final = bytes(31) + b"\1"


class _Refusal(threading.local):
    """What the library said of the last forbidden argument on this thread."""

    text: str | None = None


_refusal: Final = _Refusal()


@ffi.callback("void(char *, void *)")  # type: ignore[untyped-decorator]
def _on_forbidden_argument(text: Any, _: Any) -> None:
    _refusal.text = ffi.string(text).decode()


@ffi.callback("int(unsigned char *, unsigned char *, unsigned char *, void *)")  # type: ignore[untyped-decorator]
def _compressed_point(out: Any, x: Any, y: Any, _: Any) -> int:
    """Hash function of ECDH: the shared point itself, compressed (step 2.3.3)."""
    ffi.memmove(out + 1, x, 32)
    out[0] = 2 | (y[31] & 1)
    return 1


def _new_context() -> Any:
    """Blinded with 32 fresh bytes (step 1.8.2). It lives as long as the process."""
    context = lib.secp256k1_context_create(lib.SECP256K1_CONTEXT_NONE)
    lib.secp256k1_context_set_illegal_callback(context, _on_forbidden_argument, ffi.NULL)
    blinding = ffi.new("unsigned char[32]")
    Entropy().os_fill(int(ffi.cast("uintptr_t", blinding)), 32)
    if not lib.secp256k1_context_randomize(context, blinding):
        raise HsmMpcError("libsecp256k1 cannot be blinded")
    ffi.memmove(blinding, bytes(32), 32)
    return context


_CONTEXT: Final = _new_context()


def _raise_if_forbidden(operation: str) -> None:
    """After every answer 0, and after the two functions that go on with a forbidden point."""
    if _refusal.text is not None:
        text, _refusal.text = _refusal.text, None
        raise HsmMpcError(f"libsecp256k1 {operation}: forbidden argument ({text})")


def _degenerate(operation: str) -> NoReturn:
    """Step 1.8.4: the library has cleared the output."""
    _raise_if_forbidden(operation)
    raise ProtocolAbort(f"{operation} of a secret scalar: an input or the result is no scalar or 0")


# Secrets


def _cover_sum() -> None:
    """The library leaves a sum on the stack (measured: tests/memory_scan); a public one covers it.

    1 + 1, by the same code in the same places.
    """
    lib.secp256k1_ec_seckey_tweak_add(_CONTEXT, ffi.new(_DIGEST, _ONE), _ONE)


def is_scalar(address: int) -> bool:
    """Whether the 32 bytes are a scalar other than 0."""
    return bool(lib.secp256k1_ec_seckey_verify(_CONTEXT, ffi.cast(_BYTES, address)))


def negate(address: int) -> None:
    """The scalar becomes its negative."""
    if not lib.secp256k1_ec_seckey_negate(_CONTEXT, ffi.cast(_BYTES, address)):
        _degenerate("negation")


def add(address: int, other: int) -> None:
    """The scalar at `other` is added to that at `address`."""
    if not lib.secp256k1_ec_seckey_tweak_add(
        _CONTEXT, ffi.cast(_BYTES, address), ffi.cast(_BYTES, other)
    ):
        _degenerate("addition")
    _cover_sum()


def multiply(address: int, factor: bytes) -> None:
    """The scalar is multiplied by a public factor of 32 bytes."""
    if not lib.secp256k1_ec_seckey_tweak_mul(_CONTEXT, ffi.cast(_BYTES, address), factor):
        _degenerate("multiplication")


def horner(out: int, coefficients: int, count: int, x: bytes) -> None:
    """At `out`: Σ a_k·x^k of `count` adjacent scalars a_0, a_1, … (step 1.8.8)."""
    accumulator = ffi.cast(_BYTES, out)
    coefficient = ffi.cast(_BYTES, coefficients) + SCALAR_BYTES * (count - 1)
    ffi.memmove(accumulator, coefficient, SCALAR_BYTES)
    for _ in range(count - 1):
        coefficient -= SCALAR_BYTES
        if not lib.secp256k1_ec_seckey_tweak_mul(_CONTEXT, accumulator, x):
            _degenerate("multiplication")
        if not lib.secp256k1_ec_seckey_tweak_add(_CONTEXT, accumulator, coefficient):
            _degenerate("addition")
    _cover_sum()


def point_of(address: int) -> Raw:
    """scalar·G, constant time."""
    point = ffi.new(_RAW)
    if not lib.secp256k1_ec_pubkey_create(_CONTEXT, point, ffi.cast(_BYTES, address)):
        _degenerate("public point")
    return point


def diffie_hellman(out: int, point: Raw, address: int) -> None:
    """The compressed encoding of scalar·point, 33 secret bytes at `out`, constant time."""
    if not lib.secp256k1_ecdh(
        _CONTEXT,
        ffi.cast(_BYTES, out),
        point,
        ffi.cast(_BYTES, address),
        _compressed_point,
        ffi.NULL,
    ):
        _degenerate("key agreement")
    _raise_if_forbidden("key agreement")


def tagged_sha256(out: int, tag: bytes, message: int, length: int) -> None:
    """`TH(tag, message)` of `length` secret bytes (step 1.1.4), 32 bytes at `out`."""
    lib.secp256k1_tagged_sha256(
        _CONTEXT,
        ffi.cast(_BYTES, out),
        tag,
        len(tag),
        ffi.cast(_BYTES, message),
        length,
    )


def tagged_sha256_public(tag: bytes, message: int, length: int) -> bytes:
    """`TH(tag, message)` of `length` secret bytes where a protocol step makes it public."""
    digest = ffi.new(_DIGEST)
    lib.secp256k1_tagged_sha256(_CONTEXT, digest, tag, len(tag), ffi.cast(_BYTES, message), length)
    return bytes(ffi.buffer(digest)[:])


# Public values, variable time


def parsed(encoded: bytes) -> Raw | None:
    """The point that 33 bytes encode; None if they encode none (step 1.3.3)."""
    point = ffi.new(_RAW)
    if len(encoded) == POINT_BYTES and lib.secp256k1_ec_pubkey_parse(
        _CONTEXT, point, encoded, POINT_BYTES
    ):
        return point
    return None


def serialized(point: Raw) -> bytes:
    """33 bytes."""
    out = ffi.new(_COMPRESSED)
    if not lib.secp256k1_ec_pubkey_serialize(
        _CONTEXT, out, ffi.new(_SIZE, POINT_BYTES), point, lib.SECP256K1_EC_COMPRESSED
    ):
        _raise_if_forbidden("serialization")
    return bytes(ffi.buffer(out)[:])


def base_multiplied(factor: bytes) -> Raw:
    """factor·G for a public factor, 0 < factor < q, of 32 bytes."""
    product = ffi.new(_RAW)
    if not lib.secp256k1_ec_pubkey_create(_CONTEXT, product, factor):
        _raise_if_forbidden("base multiplication")
        raise HsmMpcError("libsecp256k1 base multiplication: the factor is no scalar or 0")
    return product


def multiplied(point: Raw, factor: bytes) -> Raw:
    """factor·point for a public factor, 0 < factor < q, of 32 bytes."""
    product = ffi.new(_RAW, point[0])
    if not lib.secp256k1_ec_pubkey_tweak_mul(_CONTEXT, product, factor):
        _raise_if_forbidden("point multiplication")
        raise HsmMpcError("libsecp256k1 point multiplication: the factor is no scalar or 0")
    return product


def negated(point: Raw) -> Raw:
    """−point."""
    opposite = ffi.new(_RAW, point[0])
    if not lib.secp256k1_ec_pubkey_negate(_CONTEXT, opposite):
        _raise_if_forbidden("point negation")
    return opposite


def combined(points: Sequence[Raw]) -> Raw | None:
    """The sum of one or more points; None is the identity (step 1.3.6)."""
    total = ffi.new(_RAW)
    is_point = lib.secp256k1_ec_pubkey_combine(_CONTEXT, total, ffi.new(_RAWS, points), len(points))
    _raise_if_forbidden("point addition")
    return total if is_point else None


def evaluated(points: Sequence[Raw], x: int) -> Raw | None:
    """Σ x^k·P_k for a small x ≥ 1, by Horner: x·Q + P is one sum of x + 1 points.

    Below x = 20 or so that is cheaper than product and sum (measured). Two accumulators take
    turns, because the library forbids a sum into one of its addends.
    """
    *rest, highest = points
    now, then = ffi.new(_RAW, highest[0]), ffi.new(_RAW)
    addends_now, addends_then = ffi.new(_RAWS, [now] * (x + 1)), ffi.new(_RAWS, [then] * (x + 1))
    is_point = True
    for point in reversed(rest):
        if is_point:
            addends_now[x] = point
            is_point = lib.secp256k1_ec_pubkey_combine(_CONTEXT, then, addends_now, x + 1)
            _raise_if_forbidden("point addition")
        else:
            then[0], is_point = point[0], True
        now, then = then, now
        addends_now, addends_then = addends_then, addends_now
    return now if is_point else None


def recovered(r: bytes, y_is_odd: int, s: bytes, digest: bytes) -> Raw | None:
    """r⁻¹·(s·R − digest·G), R having abscissa r; None: no such point, or the identity."""
    signature = ffi.new(_RECOVERABLE)
    point = ffi.new(_RAW)
    if lib.secp256k1_ecdsa_recoverable_signature_parse_compact(
        _CONTEXT, signature, r + s, y_is_odd
    ) and lib.secp256k1_ecdsa_recover(_CONTEXT, point, signature, digest):
        return point
    _raise_if_forbidden("key recovery")
    return None


def schnorr_verified(x_only: bytes, message: bytes, signature: bytes) -> bool:
    """Whether 64 bytes are a BIP 340 signature of `message` (any length) under a 32-byte key."""
    if len(x_only) != 32 or len(signature) != 64:
        return False
    key = ffi.new(_X_ONLY)
    return bool(
        lib.secp256k1_xonly_pubkey_parse(_CONTEXT, key, x_only)
        and lib.secp256k1_schnorrsig_verify(_CONTEXT, signature, message, len(message), key)
    )
