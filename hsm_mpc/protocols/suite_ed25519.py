"""COCKTAIL(Ed25519, SHA-512) (section 2.1).

Pads hash points in their plain encoding (step 2.3.4), as version 0.2.0 of COCKTAIL-DKG and its
published vectors do; version 0.2.1 encodes them as Ristretto255, so its peers are not ours.
"""

from __future__ import annotations

from typing import Final

from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.groups.ed25519 import hash_to_scalar_into
from hsm_mpc.groups.proofs import PublicCocktailEd25519
from hsm_mpc.protocols.suite import AEAD_KEY_BYTES, AEAD_NONCE_BYTES
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import move_bytes, publish_at

_HASH_BYTES: Final = 64


class CocktailEd25519(PublicCocktailEd25519):
    """The suite of the scheme on Ed25519."""

    __slots__ = ()

    nonce_prefix: Final = b"COCKTAIL-DKG-Ed25519-SHA512-NONCE"
    pad_prefix: Final = b"COCKTAIL-DKG-Ed25519-SHA512-H6"
    pad_room: Final = _HASH_BYTES

    def nonce_scalar(self, message: int, length: int, out: int) -> None:
        """SHA-512 of `message` modulo L, overwriting its first 64 bytes (steps 2.2.1 and 2.2.3).

        Raises:
            ProtocolAbort: it is 0; the session ends.
        """
        hash_to_scalar_into(message, length, out)
        if not self.group.is_canonical_nonzero_at(out):
            raise ProtocolAbort("a signature nonce is 0")

    def pad(self, message: int, length: int, key: int) -> bytes:
        """T = SHA-512 of `message`, behind it; K = T[0:32], N = T[32:56] (step 2.3.5)."""
        hashed = message + length
        sodium.sha512(hashed, message, length)
        move_bytes(key, hashed, AEAD_KEY_BYTES)
        return publish_at(hashed + AEAD_KEY_BYTES, AEAD_NONCE_BYTES)

    def seal(self, key: int, nonce: bytes, plaintext: int, length: int, scratch: int) -> bytes:
        """XChaCha20-Poly1305 (IETF)."""
        return sodium.xchacha20poly1305_seal(key, nonce, plaintext, length)

    def open(self, key: int, nonce: bytes, sealed: bytes, out: int, scratch: int) -> bool:
        """XChaCha20-Poly1305 (IETF)."""
        return sodium.xchacha20poly1305_open(key, nonce, sealed, out)
