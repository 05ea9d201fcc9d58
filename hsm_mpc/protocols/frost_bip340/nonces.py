"""Nonces: drawn in place at the signer, published as two points, added up over the signers.

Steps 3.1.3 and 3.1.4 (BIP 445), 3.3.2 and 3.3.3 (where the secrets lie).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import u8, u32be, u64be
from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.groups.secp256k1 import POINT_BYTES, SCALAR_BYTES, SECP256K1, tagged_hash_into
from hsm_mpc.secure.arena import Secret, move_bytes, move_public, opened
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.tags import Tag

SECRET_NONCE_BYTES: Final = 2 * SCALAR_BYTES
"""k_1 ‖ k_2."""
PUBLIC_NONCE_BYTES: Final = 2 * POINT_BYTES
_RANDOM_BYTES: Final = 32
_SCRATCH_BYTES: Final = 2 * _RANDOM_BYTES + 4
_IDENTITY: Final = bytes(POINT_BYTES)
"""Only in aggregate nonces (step 1.3.4)."""


class InvalidContribution(ProtocolAbort):
    """Somebody's value does not parse: `contribution` names it, `position` whose it is in the list.

    position is None where the value is the aggregator's. Whoever knows which holder stands at the
    position names it as the culprit.
    """

    def __init__(self, position: int | None, contribution: str) -> None:
        whose = "" if position is None else f" at position {position}"
        super().__init__(f"invalid {contribution}{whose}")
        self.position = position
        self.contribution = contribution


class PublicNonce(bytes):
    """N_1 ‖ N_2, 66 bytes that are known to encode two points, with both beside them."""

    first: bytes
    second: bytes

    @classmethod
    def of(cls, first: bytes, second: bytes) -> PublicNonce:
        """From two validated points."""
        nonce = cls(first + second)
        nonce.first, nonce.second = first, second
        return nonce

    @classmethod
    def parse(cls, encoded: bytes) -> PublicNonce:
        """`encoded` as a validated pair (step 3.4.5).

        Raises:
            BadEncoding: not 66 bytes, or a half is no point.
        """
        if type(encoded) is PublicNonce:
            return encoded
        if len(encoded) != PUBLIC_NONCE_BYTES:
            raise BadEncoding(f"a public nonce is {PUBLIC_NONCE_BYTES} bytes, not {len(encoded)}")
        nonce = cls(encoded)
        nonce.first, nonce.second = SECP256K1.parse_points(encoded)
        return nonce


@dataclass(frozen=True, slots=True)
class AggregateNonce:
    """R_1 and R_2, the sums over all signers; a sum may be the identity, here None."""

    first: bytes | None
    second: bytes | None

    @classmethod
    def of(cls, nonces: Sequence[PublicNonce]) -> AggregateNonce:
        """The sum of validated nonces."""
        return cls(
            SECP256K1.combine(nonce.first for nonce in nonces),
            SECP256K1.combine(nonce.second for nonce in nonces),
        )

    @classmethod
    def parse(cls, encoded: bytes) -> AggregateNonce:
        """From 66 bytes, each half a point or 33 zeros (step 1.3.4).

        Raises:
            InvalidContribution: "aggnonce".
        """
        try:
            return cls(_extended(encoded[:POINT_BYTES]), _extended(encoded[POINT_BYTES:]))
        except BadEncoding as error:
            raise InvalidContribution(None, "aggnonce") from error

    def to_bytes(self) -> bytes:
        """66 bytes."""
        return (self.first or _IDENTITY) + (self.second or _IDENTITY)


def _extended(encoded: bytes) -> bytes | None:
    return None if encoded == _IDENTITY else SECP256K1.parse_point(encoded)


def public_part(
    public_share: bytes = b"",
    x_only_key: bytes = b"",
    message: bytes | None = None,
    extra: bytes = b"",
) -> bytes:
    """What stands behind the 32 secret bytes in the hash input of a nonce (step 3.1.3).

    Product code leaves `message` out and puts its hash into `extra` (step 3.3.2).
    """
    present = b"\x00" if message is None else b"\x01" + u64be(len(message)) + message
    return (
        u8(len(public_share))
        + public_share
        + u8(len(x_only_key))
        + x_only_key
        + present
        + u32be(len(extra))
        + extra
    )


def draw_nonce(entropy: Entropy, share: Secret, public: bytes, into: Secret) -> PublicNonce:
    """A fresh secret nonce into `into` (64 bytes), hedged by the share; its public pair.

    `share` (32 bytes) is only read: its owner wipes it. `public` is made by `public_part`.

    Raises:
        BadInput: a slot of another size.
        ProtocolAbort: a scalar came out as 0 or not below q (probability 2^−128).
    """

    def draw(out: int, scratch: int) -> None:
        entropy.os_fill(scratch, _RANDOM_BYTES)
        entropy.hsm_fill(scratch + _RANDOM_BYTES, _RANDOM_BYTES)  # and four zeros behind it
        tagged_hash_into(Tag.SEED, scratch, _SCRATCH_BYTES, out)  # step 1.8.6a

    return derive_nonce(draw, share, public, into)


def derive_nonce(
    draw: Callable[[int, int], None], share: Secret | None, public: bytes, into: Secret
) -> PublicNonce:
    """`draw_nonce` from given randomness: step 3.1.3 as a function, for its vectors.

    `draw(out, scratch)` writes 32 random bytes at `out`; at `scratch` it has 68 bytes, all zero.
    Without a share nothing hedges them.

    Raises:
        BadInput, ProtocolAbort: as `draw_nonce`; `into` is wiped then.
    """
    _require_sizes(share, into)
    length = _RANDOM_BYTES + len(public) + 1
    room = into.arena.room(_RANDOM_BYTES + max(length, _SCRATCH_BYTES))
    hedge = into if share is None else share
    with room as seed, opened(into, hedge) as (nonce, scalar):
        hashed = seed + _RANDOM_BYTES
        draw(seed, hashed)
        if share is None:
            move_bytes(hashed, seed, _RANDOM_BYTES)
        else:
            tagged_hash_into(Tag.BIP445_AUX, seed, _RANDOM_BYTES, hashed)
            _exclusive_or(hashed, scalar)
        move_public(hashed + _RANDOM_BYTES, public)
        for half, out in ((b"\0", nonce), (b"\1", nonce + SCALAR_BYTES)):  # step 3.3.3
            move_public(hashed + length - 1, half)
            tagged_hash_into(Tag.BIP445_NONCE, hashed, length, out)
        try:
            return _public_nonce(nonce)
        except ProtocolAbort:
            into.wipe()
            raise


def _public_nonce(nonce: int) -> PublicNonce:
    """k_1·G and k_2·G of the 64 bytes at `nonce`."""
    return PublicNonce.of(
        SECP256K1.public_point_at(nonce), SECP256K1.public_point_at(nonce + SCALAR_BYTES)
    )


_Scalar = ctypes.c_ubyte * SCALAR_BYTES


def _exclusive_or(target: int, source: int) -> None:
    """target = target ⊕ source, 32 bytes, one at a time through the pointers (step 1.8.5)."""
    changed, other = _Scalar.from_address(target), _Scalar.from_address(source)
    for at in range(SCALAR_BYTES):
        changed[at] ^= other[at]


def _require_sizes(share: Secret | None, into: Secret) -> None:
    if into.size != SECRET_NONCE_BYTES:
        raise BadInput(f"a slot of {into.size} bytes for a nonce of {SECRET_NONCE_BYTES}")
    if share is not None and share.size != SCALAR_BYTES:
        raise BadInput(f"a share of {share.size} bytes, not {SCALAR_BYTES}")
