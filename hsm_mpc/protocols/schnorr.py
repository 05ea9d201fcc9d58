"""Signing of COCKTAIL-DKG (section 2.2): proofs of possession and the certificate.

The nonce depends on key and message only, which is safe here because no key signs one message with
other data: it is fresh in each session, or it is v, which signs what is fresh (step 2.2.5).
`groups.proofs` verifies.
"""

from __future__ import annotations

from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, move_bytes, move_public, publish_at


def sign(suite: Suite, arena: Arena, secret_key: int, public_key: bytes, message: bytes) -> bytes:
    """R ‖ z of a public `message` under the key at the address `secret_key` (step 2.2.3).

    Args:
        arena: where the nonce and z are computed.
        public_key: the point of the secret key.

    Raises:
        ProtocolAbort: a value is degenerate; the session ends, nothing is tried again.
    """
    group, prefix, width = suite.group, suite.nonce_prefix, suite.group.scalar_length
    length = len(prefix) + width + len(message)
    with arena.room(length + 2 * width) as start:
        nonce, z = start + length, start + length + width
        move_public(start, prefix)
        move_bytes(start + len(prefix), secret_key, width)
        move_public(start + len(prefix) + width, message)
        suite.nonce_scalar(start, length, nonce)
        commitment = group.public_point_at(nonce)
        move_bytes(z, secret_key, width)
        group.multiply_public_at(z, suite.challenge(commitment, public_key, message))
        group.add_at(z, nonce)
        return commitment + publish_at(z, width)  # released by step 2.2.3
