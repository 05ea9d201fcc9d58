"""COCKTAIL(secp256k1, SHA-256) (section 2.1)."""

from __future__ import annotations

from typing import Final

from hsm_mpc.encoding import u64le
from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.groups.proofs import PublicCocktailSecp256k1
from hsm_mpc.groups.secp256k1 import tagged_hash_into, tagged_hash_public
from hsm_mpc.protocols.suite import AEAD_NONCE_BYTES
from hsm_mpc.secure.arena import move_public
from hsm_mpc.secure.xaes import Xaes256Gcm
from hsm_mpc.tags import Tag

_KEY_LABEL: Final = u64le(3) + b"key"
_NONCE_LABEL: Final = u64le(5) + b"nonce"


class CocktailSecp256k1(PublicCocktailSecp256k1):
    """The suite of the schemes on secp256k1."""

    __slots__ = ("_aead",)

    nonce_prefix: Final = b""
    pad_prefix: Final = b""
    pad_room: Final = len(_NONCE_LABEL)

    def __init__(self, aead: Xaes256Gcm) -> None:
        self._aead = aead

    def nonce_scalar(self, message: int, length: int, out: int) -> None:
        """TH("COCKTAIL-DKG/NONCE", sk ‖ m) (steps 2.2.1 and 2.2.3).

        Raises:
            ProtocolAbort: it is 0 or not below the order; the session ends.
        """
        tagged_hash_into(Tag.COCKTAIL_NONCE, message, length, out)
        if not self.group.is_canonical_nonzero_at(out):
            raise ProtocolAbort("a signature nonce is no scalar or 0")

    def pad(self, message: int, length: int, key: int) -> bytes:
        """H6 with the labels "key" and "nonce" behind `message` (step 2.3.5)."""
        end = message + length
        move_public(end, _KEY_LABEL)
        tagged_hash_into(Tag.COCKTAIL_H6, message, length + len(_KEY_LABEL), key)
        move_public(end, _NONCE_LABEL)
        hashed = tagged_hash_public(Tag.COCKTAIL_H6, message, length + len(_NONCE_LABEL))
        return hashed[:AEAD_NONCE_BYTES]

    def seal(self, key: int, nonce: bytes, plaintext: int, length: int, scratch: int) -> bytes:
        """XAES-256-GCM (step 2.3.6)."""
        return self._aead.seal(key, nonce, plaintext, length, scratch)

    def open(self, key: int, nonce: bytes, sealed: bytes, out: int, scratch: int) -> bool:
        """XAES-256-GCM (step 2.3.6)."""
        return self._aead.open(key, nonce, sealed, out, scratch)
