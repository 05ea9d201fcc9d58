"""How often each numbered step of signing with taproot keys needs which C operation.

Counted is what the steps say, without shortcuts: at the aggregator every partial signature is
verified when it comes (steps 3.2.5, 3.5.1). Computed once and kept, so not counted: Lagrange
factors, the key under its tweaks, the public shares of an epoch. Not counted either is what is no
operation of a library: copies, comparisons, the 32 exclusive-ors of step 3.3.2, all of Python.
"""

from __future__ import annotations

from typing import Final

from hsm_mpc.bench import curve
from hsm_mpc.bench import operations as op
from hsm_mpc.bench.floor import Count, times
from hsm_mpc.bench.operation import Operation

_POINT: Final = 33
_SCALAR: Final = 32
_HASH: Final = 32
_DRAWN: Final = 2 * 32 + 4
"""Bytes that are hashed to a random number (step 1.8.6a)."""
_HEADER: Final = 95
"""Of an envelope (step 1.7.1)."""
_COMMIT: Final = 2 + 16 + 2 * _POINT
_PARTIAL: Final = 16 + _HASH + _SCALAR
"""Payloads of steps 3.2.2 and 3.2.4."""
_NONCE_INPUT: Final = 32 + 1 + _POINT + 1 + 32 + 1 + 4 + 112 + 1
"""Of step 3.3.2."""


def signature(t: int, message_bytes: int, window: Operation) -> tuple[Count, ...]:
    """One signature of t signers with its aggregator: all parties together."""
    return (
        *_nonces(t, window),
        *_partial_signatures(t, t, message_bytes, window),
        *_aggregator(t, message_bytes),
    )


def released_partial(
    t: int, message_bytes: int, window: Operation, decryption: Operation, line: Operation
) -> tuple[Count, ...]:
    """From a SIGN list to the PARTIAL at one signer: share unsealed, audit lines durable."""
    sign_list = 4 + 2 + 2 + t * (4 + _HEADER + _COMMIT + 1 + 2 + 64)
    return (
        Count("1.7.2", op.public_hash(_HEADER + sign_list), 1),
        Count("1.7.2", op.ED25519_VERIFY, 1),
        *times(t - 1, envelope_verified(_COMMIT)),
        Count("3.2.4", op.public_hash(sign_list), 1),
        Count("1.11.4", decryption, 1),
        Count("1.11.1", op.CONTENT_OPEN, 1),
        *_partial_signatures(1, t, message_bytes, window),
        Count("3.4.15", line, 2),
        *_channel_signed(_PARTIAL),
    )


def envelope_signed(payload_bytes: int, window: Operation) -> tuple[Count, ...]:
    """A message under the channel key."""
    return (Count("1.8.1", window, 1), *_channel_signed(payload_bytes))


def envelope_verified(payload_bytes: int) -> tuple[Count, ...]:
    """The same at its receiver, who knows the channel."""
    return (
        Count("1.6.2a", op.public_hash(_HASH + _HEADER + payload_bytes), 1),
        Count("1.7.2", op.ED25519_VERIFY, 1),
    )


def _channel_signed(payload_bytes: int) -> tuple[Count, ...]:
    return (
        Count("1.6.2a", op.public_hash(_HASH + _HEADER + payload_bytes), 1),
        Count("1.7.2", op.ED25519_SIGN, 1),
    )


def _nonces(signers: int, window: Operation) -> tuple[Count, ...]:
    """Section 3.3, round 1."""
    return (
        Count("1.8.1", window, signers),
        Count("1.8.6a", op.random_bytes(32), 2 * signers),
        Count("1.8.6a", curve.secret_hash(_DRAWN), signers),
        Count("3.3.2", curve.secret_hash(_SCALAR), signers),
        Count("3.3.3", curve.secret_hash(_NONCE_INPUT), 2 * signers),
        Count("3.3.3", curve.SECRET_TIMES_G, 2 * signers),
        Count("3.3.3", curve.SERIALIZE_POINT, 2 * signers),
    )


def _partial_signatures(
    signers: int, t: int, message_bytes: int, window: Operation
) -> tuple[Count, ...]:
    """Section 3.4, round 2, at some of t signers."""
    return (
        Count("1.8.1", window, signers),
        Count("3.4.5", curve.PARSE_POINT, 2 * signers * (t - 1)),
        *_session(signers, t, message_bytes),
        Count("3.1.6", curve.CHECK_SCALAR, 3 * signers),
        Count("3.4.8", curve.SECRET_TIMES_G, signers),
        Count("3.4.8", curve.SERIALIZE_POINT, signers),
        Count("3.4.11", curve.MULTIPLY_SCALAR, 2 * signers),
        Count("3.4.11", curve.ADD_SCALAR, 2 * signers),
        Count("3.4.11", curve.NEGATE_SCALAR, signers / 2),
        Count("3.4.12", curve.CHECK_SCALAR, signers),
        Count("3.4.12", curve.SECRET_TIMES_G, signers),
        Count("3.4.12", curve.POINT_PRODUCT, 2 * signers),
        Count("3.4.12", curve.sum_of_points(3), signers),
        Count("3.4.12", curve.SERIALIZE_POINT, 2 * signers),
    )


def _aggregator(t: int, message_bytes: int) -> tuple[Count, ...]:
    return (
        Count("3.4.5", curve.PARSE_POINT, 2 * t),
        *_session(1, t, message_bytes),
        *_partials_verified(t),
        Count("3.1.11", curve.schnorr_verification(message_bytes), 1),
    )


def _session(parties: int, t: int, message_bytes: int) -> tuple[Count, ...]:
    """Steps 3.1.4 and 3.1.5 at each of some parties."""
    return (
        Count("3.1.4", curve.sum_of_points(t), 2 * parties),
        Count("3.1.4", curve.SERIALIZE_POINT, 2 * parties),
        Count("3.1.5", op.public_hash(4 * t + 2 * _POINT + 32 + message_bytes), parties),
        Count("3.1.5", curve.POINT_PRODUCT, parties),
        Count("3.1.5", curve.sum_of_points(2), parties),
        Count("3.1.5", curve.SERIALIZE_POINT, parties),
        Count("3.1.5", op.public_hash(32 + 32 + message_bytes), parties),
    )


def _partials_verified(often: int) -> tuple[Count, ...]:
    """Step 3.1.7: b · N_2, one double product, one sum."""
    return (
        Count("3.5.1", curve.POINT_PRODUCT, often),
        Count("3.5.1", curve.TWO_PRODUCTS, often),
        Count("3.5.1", curve.sum_of_points(3), often),
    )
