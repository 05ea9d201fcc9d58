"""AES-256-GCM over secrets, by the system's libcrypto.

Not by others that are faster; measured (tests/memory_scan): `cryptography` leaves the key in vector
registers and later on a stack, libsodium leaves half of it and its last round key on the stack.
"""

from __future__ import annotations

from typing import ClassVar, Final

from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.secure import libcrypto
from hsm_mpc.secure.arena import Secret, opened

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


class Aes256Gcm:
    """The cipher of blobs' contents. It has no state."""

    __slots__ = ()

    name: ClassVar = "libcrypto"

    def seal(self, key: Secret, nonce: bytes, associated: bytes, plaintext: Secret) -> bytes:
        """ciphertext ‖ tag[16]; `nonce` (12 bytes) is used once under this key."""
        _check(key, nonce)
        with key.open() as key_pointer, plaintext.open() as plain_pointer:
            return libcrypto.aes256gcm_seal(
                key_pointer, nonce, associated, plain_pointer, plaintext.size
            )

    def open(
        self, key: Secret, nonce: bytes, associated: bytes, sealed: bytes, into: Secret
    ) -> None:
        """The plaintext, which has exactly the size of `into`; zeros when decryption fails.

        Raises:
            Tampered: key, nonce, associated data, ciphertext and tag do not belong together.
            BackendError: the library refused; nothing is said about the ciphertext.
        """
        _check(key, nonce)
        if len(sealed) != into.size + TAG_BYTES:
            raise Tampered(f"a ciphertext of {len(sealed)} bytes for {into.size} of plaintext")
        authentic = False
        with opened(key, into) as (key_pointer, pointer):
            try:
                authentic = libcrypto.aes256gcm_open(
                    key_pointer, nonce, associated, sealed, pointer
                )
            finally:
                if not authentic:
                    into.wipe()
        if not authentic:
            raise Tampered("a ciphertext is not authentic")


def _check(key: Secret, nonce: bytes) -> None:
    if key.size != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise BadInput(f"AES-256-GCM takes a key of {KEY_BYTES} and a nonce of {NONCE_BYTES} bytes")
