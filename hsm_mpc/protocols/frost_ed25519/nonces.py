"""Nonces: drawn in place at the signer, published as two points.

Steps 4.3.1 (RFC 9591) and 4.5 (where the secrets lie).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.ed25519 import ED25519, POINT_BYTES, SCALAR_BYTES
from hsm_mpc.secure import sodium, sodium_ed25519
from hsm_mpc.secure.arena import Secret, move_bytes, move_public, opened
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.tags import Tag

CONTEXT: Final = b"FROST-ED25519-SHA512-v1"
"""cs (section 4.2)."""
SECRET_NONCE_BYTES: Final = 2 * SCALAR_BYTES
"""d ‖ e: hiding, binding."""
PUBLIC_NONCE_BYTES: Final = 2 * POINT_BYTES
"""D ‖ E."""

_RANDOM_BYTES: Final = 32
_PREFIX: Final = CONTEXT + b"nonce"
_HASHED_BYTES: Final = len(_PREFIX) + _RANDOM_BYTES + SCALAR_BYTES
_SEED_BYTES: Final = len(Tag.SEED.prefix) + 2 * _RANDOM_BYTES + 4
_SCRATCH_BYTES: Final = _SEED_BYTES + 2 * _RANDOM_BYTES

Draw = Callable[[int, int, int], None]
"""`draw(half, out, scratch)` writes 32 random bytes at `out` for d (half 0) or e (half 1).

`scratch` is the same in every call: 196 bytes, zero at first.
"""


class PublicNonce(bytes):
    """D ‖ E, 64 bytes that are known to encode two points, with both beside them."""

    hiding: bytes
    binding: bytes

    @classmethod
    def of(cls, hiding: bytes, binding: bytes) -> PublicNonce:
        """From two validated points."""
        nonce = cls(hiding + binding)
        nonce.hiding, nonce.binding = hiding, binding
        return nonce

    @classmethod
    def parse(cls, encoded: bytes) -> PublicNonce:
        """`encoded` as a validated pair (step 4.4.1).

        Raises:
            BadEncoding: not 64 bytes, or a half is no point.
        """
        if type(encoded) is PublicNonce:
            return encoded
        if len(encoded) != PUBLIC_NONCE_BYTES:
            raise BadEncoding(f"a public nonce is {PUBLIC_NONCE_BYTES} bytes, not {len(encoded)}")
        return cls.of(*ED25519.parse_points(encoded))


def draw_nonce(entropy: Entropy, share: Secret, into: Secret) -> PublicNonce:
    """A fresh secret nonce into `into` (64 bytes), hedged by the share; its public pair.

    `share` (32 bytes) is only read: its owner wipes it.

    Raises:
        BadInput: a slot of another size.
    """

    def draw(half: int, out: int, scratch: int) -> None:
        hsm = scratch + _SEED_BYTES
        if half == 0:
            move_public(scratch, Tag.SEED.prefix)
            entropy.hsm_fill(hsm, 2 * _RANDOM_BYTES)  # one call: a device may be slow
        os = scratch + len(Tag.SEED.prefix)
        entropy.os_fill(os, _RANDOM_BYTES)
        move_bytes(os + _RANDOM_BYTES, hsm + half * _RANDOM_BYTES, _RANDOM_BYTES)
        sodium.sha256(out, scratch, _SEED_BYTES)  # step 1.8.6a

    return derive_nonce(draw, share, into)


def derive_nonce(draw: Draw, share: Secret, into: Secret) -> PublicNonce:
    """`draw_nonce` from given randomness: step 4.3.1 as a function, for its vectors.

    Raises:
        BadInput: as `draw_nonce`; whatever `draw` raises. `into` is wiped then.
    """
    if into.size != SECRET_NONCE_BYTES:
        raise BadInput(f"a slot of {into.size} bytes for a nonce of {SECRET_NONCE_BYTES}")
    if share.size != SCALAR_BYTES:
        raise BadInput(f"a share of {share.size} bytes, not {SCALAR_BYTES}")
    room = into.arena.room(_HASHED_BYTES + sodium_ed25519.WIDE_BYTES + _SCRATCH_BYTES)
    with room as hashed, opened(into, share) as (d, x):
        move_public(hashed, _PREFIX)
        move_bytes(hashed + _HASHED_BYTES - SCALAR_BYTES, x, SCALAR_BYTES)
        nonce = None
        try:
            hiding = _derived(draw, 0, hashed, d)
            nonce = PublicNonce.of(hiding, _derived(draw, 1, hashed, d + SCALAR_BYTES))
        finally:
            if nonce is None:
                into.wipe()
        return nonce


def _derived(draw: Draw, half: int, hashed: int, out: int) -> bytes:
    """One nonce at `out`, drawn again while it is 0; its point. `hashed` holds prefix and share."""
    wide = hashed + _HASHED_BYTES
    scratch = wide + sodium_ed25519.WIDE_BYTES
    while True:
        draw(half, hashed + len(_PREFIX), scratch)
        sodium.sha512(wide, hashed, _HASHED_BYTES)
        sodium_ed25519.reduce(out, wide)
        if ED25519.is_canonical_nonzero_at(out):
            return ED25519.public_point_at(out)
