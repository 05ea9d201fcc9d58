"""How often each numbered step of key generation (section 2) needs which C operation.

Counted is what the steps say, without shortcuts: each dealt share is checked against its own
dealer's commitments (step 2.5.8). Not counted is what is no operation of a library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hsm_mpc.bench import curve, edwards
from hsm_mpc.bench import operations as op
from hsm_mpc.bench.floor import Count, Needs, counts
from hsm_mpc.bench.operation import Operation
from hsm_mpc.groups.proofs import (
    COCKTAIL_ED25519,
    COCKTAIL_SECP256K1,
    PublicSuite,
    signature_length,
)
from hsm_mpc.tags import Tag

_SCALAR: Final = 32


@dataclass(frozen=True, slots=True)
class Curve:
    """What the parts of the steps need on one curve. Points come out encoded."""

    suite: PublicSuite
    parsed: Needs
    """A point that came."""
    base: Needs
    """A secret times B."""
    agreed: Needs
    """A secret times a point."""
    product: Needs
    """A public scalar times a point."""
    scalars: Callable[[int], Needs]
    """So many random scalars; the second source is asked once for all of them (step 1.8.6)."""
    checked: Needs
    """Whether a secret is a scalar."""
    multiplied: Needs
    added: Needs
    nonce: Callable[[int], Needs]
    """nonce_scalar of a message of so many bytes (step 2.2.1)."""
    challenge: Callable[[int], Needs]
    """chal of a message of so many bytes (step 2.2.2)."""
    equation: Needs
    """z·B − c·pk (step 2.2.4)."""
    pad: Needs
    """Key and nonce of a ciphertext (step 2.3.5)."""
    sealed: Needs
    opened: Needs
    summed: Callable[[int], Needs]
    """The sum of so many points."""
    horner: Callable[[int], Needs]
    """x·Q + C for an index x, in the cheapest way."""
    encoded: Needs
    """The last point of a polynomial by Horner."""


# libsecp256k1

_DRAWN: Final = 2 * 32 + 4
_H6: Final = 5 * 33 + 8 + 32 + 8
"""Of step 2.3.5, but for the label."""

ON_SECP256K1: Final = Curve(
    suite=COCKTAIL_SECP256K1,
    parsed=((curve.PARSE_POINT, 1),),
    base=((curve.SECRET_TIMES_G, 1), (curve.SERIALIZE_POINT, 1)),
    agreed=((curve.KEY_AGREEMENT, 1),),
    product=((curve.POINT_PRODUCT, 1), (curve.SERIALIZE_POINT, 1)),
    scalars=lambda count: (
        (op.random_bytes(32), count),
        (op.random_bytes(32 * count), 1),
        (curve.secret_hash(_DRAWN), count),
        (curve.CHECK_SCALAR, count),
    ),
    checked=((curve.CHECK_SCALAR, 1),),
    multiplied=((curve.MULTIPLY_SCALAR, 1),),
    added=((curve.ADD_SCALAR, 1),),
    nonce=lambda message: ((curve.secret_hash(_SCALAR + message), 1), (curve.CHECK_SCALAR, 1)),
    challenge=lambda message: ((op.public_hash(2 * 33 + message), 1),),
    equation=((curve.TWO_PRODUCTS, 1), (curve.SERIALIZE_POINT, 1)),
    pad=((curve.secret_hash(_H6 + len("key")), 1), (curve.secret_hash(_H6 + len("nonce")), 1)),
    sealed=((op.XAES_SEAL, 1),),
    opened=((op.XAES_OPEN, 1),),
    summed=lambda count: ((curve.sum_of_points(count), 1), (curve.SERIALIZE_POINT, 1)),
    horner=lambda x: ((curve.sum_of_points(x + 1), 1),),  # cheapest for x ≤ 32
    encoded=((curve.SERIALIZE_POINT, 1),),
)

# libsodium

_LABEL: Final = len("COCKTAIL-DKG-Ed25519-SHA512-H6")
_NONCE_LABEL: Final = len("COCKTAIL-DKG-Ed25519-SHA512-NONCE")
_WIDE: Final = 64
_WIDE_DRAWN: Final = len(Tag.RNG.ascii) + 2 * _WIDE + 4


def _doubling(x: int) -> int:
    """Sums of two points for x·Q, by doubling: cheaper than a product for x ≤ 22."""
    return x.bit_length() + x.bit_count() - 2


ON_ED25519: Final = Curve(
    suite=COCKTAIL_ED25519,
    parsed=((edwards.TEST_POINT, 1),),
    base=((edwards.BASE, 1),),
    agreed=((edwards.PRODUCT, 1),),
    product=((edwards.PRODUCT, 1),),
    scalars=lambda count: (
        (op.random_bytes(_WIDE), count),
        (op.random_bytes(_WIDE * count), 1),
        (op.secret_sha512(_WIDE_DRAWN), count),
        (edwards.REDUCE, count),
    ),
    checked=(),
    multiplied=((edwards.MULTIPLY_SCALAR, 1),),
    added=((edwards.ADD_SCALAR, 1),),
    nonce=lambda message: (
        (op.secret_sha512(_NONCE_LABEL + _SCALAR + message), 1),
        (edwards.REDUCE, 1),
    ),
    challenge=lambda message: ((op.public_sha512(_LABEL + 2 * 32 + message), 1),),
    equation=((edwards.BASE, 1), (edwards.PRODUCT, 1), (edwards.SUM, 1)),
    pad=((op.secret_sha512(_LABEL + 5 * 32 + 8 + 64), 1),),
    sealed=((op.XCHACHA_SEAL, 1),),
    opened=((op.XCHACHA_OPEN, 1),),
    summed=lambda count: ((edwards.SUM, count - 1),),
    horner=lambda x: ((edwards.SUM, _doubling(x) + 1),),
    encoded=(),
)


def key_generation(
    on: Curve, t: int, n: int, ext_bytes: int, window: Operation
) -> tuple[Count, ...]:
    """The share of one holder, averaged over holders (the price of step 2.5.8 grows with i)."""
    proved = len(on.suite.hash(b"")) + on.suite.group.point_length * (t + 1)
    transcript = transcript_bytes(on.suite, t, n, ext_bytes)
    return (
        Count("1.8.1", window, 3),
        *counts("2.4.1", on.parsed, n - 1),
        *counts("1.8.6", on.scalars(t + 1)),
        *counts("2.5.1", on.base, t + 1),
        *signed(on, "2.5.2", proved),
        *counts("2.5.3", on.multiplied, n * (t - 1)),
        *counts("2.5.3", on.added, n * (t - 1)),
        *pads(on, n),
        *counts("2.5.5", on.parsed, (n - 1) * (t + 1)),
        *verified(on, "2.5.6", proved, n - 1),
        *counts("2.5.7", on.checked, n),
        *counts("2.5.8", on.base, n),
        *evaluations(on, "2.5.8", t, n),
        *_summed(on, t, n),
        *signed(on, "2.5.11", transcript),
        *verified(on, "2.5.12", transcript, n - 1),
    )


def transcript_bytes(suite: PublicSuite, t: int, n: int, ext_bytes: int) -> int:
    """Of T (step 2.5.10)."""
    fixed = 8 + len(suite.suite_id) + 8 + len(suite.hash(b"")) + 4 + 4 + 8
    return fixed + n * ((t + 2) * suite.group.point_length + signature_length(suite)) + ext_bytes


def signed(on: Curve, step: str, message: int) -> tuple[Count, ...]:
    """Step 2.2.3."""
    return (
        *counts(step, on.nonce(message)),
        *counts(step, on.base),
        *counts(step, on.challenge(message)),
        *counts(step, on.multiplied),
        *counts(step, on.added),
    )


def verified(on: Curve, step: str, message: int, often: int) -> tuple[Count, ...]:
    """Step 2.2.4: R is what the equation gives."""
    return (*counts(step, on.challenge(message), often), *counts(step, on.equation, often))


def pads(on: Curve, n: int) -> tuple[Count, ...]:
    """Both directions; the static half of a pair serves both (step 2.3.3)."""
    return (
        *counts("2.3.3", on.agreed, 3 * n),
        *counts("2.3.5", on.pad, 2 * n),
        *counts("2.3.6", on.sealed, n),
        *counts("2.3.6", on.opened, n),
    )


def evaluations(on: Curve, step: str, t: int, n: int) -> tuple[Count, ...]:
    """n polynomials, on average over holders, or one polynomial at all of 1..n: by Horner."""
    at = (count for x in range(1, n + 1) for count in counts(step, on.horner(x), t - 1))
    return (*at, *counts(step, on.encoded, n))


def _summed(on: Curve, t: int, n: int) -> tuple[Count, ...]:
    """Step 2.5.9."""
    return (
        *counts("2.5.9", on.added, n - 1),
        *counts("2.5.9", on.summed(n), t),
        *evaluations(on, "2.5.9", t, n),
        *counts("2.5.9", on.base),
    )
