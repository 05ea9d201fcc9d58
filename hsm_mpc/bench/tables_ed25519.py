"""How often each numbered step of signing with Ed25519 keys needs which C operation.

The same as `tables` counts, and the same as section 4.9 of docs/protocols says. Not counted is the
public hash that covers what libsodium leaves on the stack: no step of section 4.3 needs it.
"""

from __future__ import annotations

from typing import Final

from hsm_mpc.bench import edwards
from hsm_mpc.bench import operations as op
from hsm_mpc.bench.floor import Count, times
from hsm_mpc.bench.operation import Operation

_SCALAR: Final = 32
_CONTEXT: Final = 23
"""Of cs (section 4.2)."""
_SEED_INPUT: Final = 64 + 2 * 32 + 4
"""Of step 1.8.6a, its tag before it."""
_NONCE_INPUT: Final = _CONTEXT + 5 + 32 + _SCALAR
_PREFIX: Final = 32 + 64 + 64
"""Of step 4.3.3."""
_ENTRY: Final = 3 * 32
"""Of the commitment list."""


def signature(t: int, message_bytes: int, window: Operation) -> tuple[Count, ...]:
    """One signature of t signers with its aggregator: all parties together."""
    signer = (
        Count("1.8.1", window, 2),
        *_nonces(),
        *_session(t, message_bytes, others=t - 1),
        Count("4.4.2", edwards.BASE, 1),
        Count("4.6", edwards.MULTIPLY_SCALAR, 2),
        Count("4.6", edwards.ADD_SCALAR, 2),
        *_partial_verified(1),
    )
    return (
        *times(t, signer),
        *_session(t, message_bytes, others=t),
        *_partial_verified(t),
        Count("4.3.7", op.ed25519_verification(message_bytes), 1),
    )


def _nonces() -> tuple[Count, ...]:
    """Section 4.5; the second source is asked once for both nonces."""
    return (
        Count("1.8.6a", op.random_bytes(32), 2),
        Count("1.8.6a", op.random_bytes(64), 1),
        Count("1.8.6a", op.secret_sha256(_SEED_INPUT), 2),
        Count("4.5", op.secret_sha512(_NONCE_INPUT), 2),
        Count("4.5", edwards.REDUCE, 2),
        Count("4.5", edwards.BASE, 2),
    )


def _session(t: int, message_bytes: int, *, others: int) -> tuple[Count, ...]:
    """Steps 4.3.2 to 4.3.4 at one party, which has the nonces of so many others to test."""
    return (
        Count("4.4.1", edwards.TEST_POINT, 2 * others),
        Count("4.3.3", op.public_sha512(_CONTEXT + 3 + message_bytes), 1),
        Count("4.3.3", op.public_sha512(_CONTEXT + 3 + t * _ENTRY), 1),
        Count("4.3.3", op.public_sha512(_CONTEXT + 3 + _PREFIX + _SCALAR), t),
        Count("4.3.4", edwards.PRODUCT, t),
        Count("4.3.4", edwards.SUM, 2 * t - 1),
        Count("4.3.4", op.public_sha512(2 * 32 + message_bytes), 1),
    )


def _partial_verified(often: int) -> tuple[Count, ...]:
    """Step 4.3.6: z · B, a product, and the sum of both."""
    return (
        Count("4.3.6", edwards.BASE, often),
        Count("4.3.6", edwards.PRODUCT, often),
        Count("4.3.6", edwards.SUM, often),
    )
