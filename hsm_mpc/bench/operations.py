"""The operations of libcrypto, libsodium and the kernel."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any, Final

from hsm_mpc.bench.measure import Batch
from hsm_mpc.bench.operation import Call, Operation, calls
from hsm_mpc.secure import libcrypto, sodium, xaes
from hsm_mpc.secure.arena import Arena

# Below the faces that the product calls lie the libraries themselves.
_sodium: Final[Any] = sodium
_evp: Final[Any] = libcrypto
_cmac: Final[Any] = xaes

_SHARE_BYTES: Final = 32
_CONTENT_BYTES: Final = 64
_TAG_PREFIX_BYTES: Final = 64
_GCM_GET_TAG, _GCM_SET_TAG, _GCM_TAG_BYTES = 0x10, 0x11, 16


def public_hash(length: int) -> Operation:
    """A tagged hash of `length` public bytes: SHA-256 behind the 64 bytes of the tag."""
    return Operation(
        f"tagged hash of {length} public bytes",
        "SHA-256",
        lambda: _repeated_hash(hashlib.sha256, _TAG_PREFIX_BYTES + length),
    )


def public_sha512(length: int) -> Operation:
    """SHA-512 of `length` public bytes."""
    return Operation(
        f"SHA-512 of {length} public bytes",
        "SHA-512",
        lambda: _repeated_hash(hashlib.sha512, length),
    )


def _repeated_hash(new: Callable[[bytes], Any], length: int) -> Batch:
    message = os.urandom(length)

    def batch(repeats: int) -> None:
        for _ in range(repeats):
            new(message).digest()

    return batch


def random_bytes(length: int) -> Operation:
    """`length` bytes of the system's generator."""
    return Operation(
        f"{length} bytes of the system's generator",
        "randombytes",
        lambda: calls((_sodium.lib.randombytes, filled(length), length)),
    )


def secret_sha256(length: int) -> Operation:
    """SHA-256 of `length` secret bytes."""
    return _secret_hash("SHA-256", "crypto_hash_sha256", length)


def secret_sha512(length: int) -> Operation:
    """SHA-512 of `length` secret bytes."""
    return _secret_hash("SHA-512", "crypto_hash_sha512", length)


def _secret_hash(name: str, function: str, length: int) -> Operation:
    return Operation(
        f"{name} of {length} secret bytes",
        function,
        lambda: calls((getattr(_sodium.lib, function), filled(64), filled(length), length)),
    )


def filled(length: int) -> Any:
    """A buffer of `length` random bytes."""
    return _sodium.ffi.new(f"unsigned char[{length}]", os.urandom(length))


def window(arena: Arena) -> Operation:
    """Opening the pages of protected memory and closing them again: two calls of mprotect."""
    mapping = arena._mapping
    return Operation(
        f"window of protected memory, {arena.kind}",
        "mprotect",
        lambda: calls((mapping.set_accessible, True), (mapping.set_accessible, False)),
    )


def _key_derivation() -> Call:
    """What XAES does before AES-GCM: two blocks under CMAC. It is done anew for every key."""
    lib, ffi = _cmac._lib(), _cmac._ffi
    out, length = ffi.new("unsigned char[16]"), ffi.new("size_t *")
    key, block, cipher = os.urandom(32), os.urandom(16), lib.EVP_aes_256_cbc()

    def derive() -> None:
        context = lib.CMAC_CTX_new()
        lib.CMAC_Init(context, key, 32, cipher, ffi.NULL)
        lib.CMAC_Update(context, block, 16)
        lib.CMAC_Final(context, out, length)
        lib.CMAC_Init(context, ffi.NULL, 0, ffi.NULL, ffi.NULL)
        lib.CMAC_Update(context, block, 16)
        lib.CMAC_Final(context, out, length)
        lib.CMAC_CTX_free(context)

    return (derive,)


def _gcm_seal(length: int) -> Call:
    """AES-256-GCM of `length` bytes."""
    lib, ffi = _evp._lib(), _evp._ffi
    key, nonce, plaintext = os.urandom(32), os.urandom(12), os.urandom(length)
    out, tag = ffi.new("unsigned char[]", length), ffi.new("unsigned char[16]")
    written, cipher = ffi.new("int *"), lib.EVP_aes_256_gcm()

    def encrypt() -> None:
        context = lib.EVP_CIPHER_CTX_new()
        lib.EVP_EncryptInit_ex(context, cipher, ffi.NULL, key, nonce)
        lib.EVP_EncryptUpdate(context, out, written, plaintext, length)
        lib.EVP_EncryptFinal_ex(context, tag, written)
        lib.EVP_CIPHER_CTX_ctrl(context, _GCM_GET_TAG, _GCM_TAG_BYTES, tag)
        lib.EVP_CIPHER_CTX_free(context)

    return (encrypt,)


def _gcm_open(length: int) -> Call:
    """The inverse; that the tag is no right one costs nothing."""
    lib, ffi = _evp._lib(), _evp._ffi
    key, nonce, sealed = os.urandom(32), os.urandom(12), os.urandom(length)
    out, tag = ffi.new("unsigned char[]", length), ffi.new("unsigned char[16]")
    written, cipher = ffi.new("int *"), lib.EVP_aes_256_gcm()

    def decrypt() -> None:
        context = lib.EVP_CIPHER_CTX_new()
        lib.EVP_DecryptInit_ex(context, cipher, ffi.NULL, key, nonce)
        lib.EVP_DecryptUpdate(context, out, written, sealed, length)
        lib.EVP_CIPHER_CTX_ctrl(context, _GCM_SET_TAG, _GCM_TAG_BYTES, tag)
        lib.EVP_DecryptFinal_ex(context, ffi.NULL, written)
        lib.EVP_CIPHER_CTX_free(context)

    return (decrypt,)


XAES_SEAL: Final = Operation(
    "XAES-256-GCM of a share, sealing",
    "CMAC and AES-256-GCM",
    lambda: calls(_key_derivation(), _gcm_seal(_SHARE_BYTES)),
)
XAES_OPEN: Final = Operation(
    "XAES-256-GCM of a share, opening",
    "CMAC and AES-256-GCM",
    lambda: calls(_key_derivation(), _gcm_open(_SHARE_BYTES)),
)
CONTENT_OPEN: Final = Operation(
    "AES-256-GCM of a blob's content, opening",
    "AES-256-GCM",
    lambda: calls(_gcm_open(_CONTENT_BYTES)),
)


def _xchacha() -> tuple[Call, Call]:
    """Sealing a share, and opening what was sealed: of another nothing would be decrypted."""
    lib, null = _sodium.lib, _sodium.ffi.NULL
    key, nonce, share, sealed = filled(32), os.urandom(24), filled(32), filled(48)
    seal = lib.crypto_aead_xchacha20poly1305_ietf_encrypt
    encrypt: Call = (seal, sealed, null, share, 32, null, 0, null, nonce, key)
    seal(*encrypt[1:])
    decrypt = lib.crypto_aead_xchacha20poly1305_ietf_decrypt
    return encrypt, (decrypt, filled(32), null, null, sealed, 48, null, 0, nonce, key)


XCHACHA_SEAL: Final = Operation(
    "XChaCha20-Poly1305 of a share, sealing",
    "crypto_aead_xchacha20poly1305_ietf_encrypt",
    lambda: calls(_xchacha()[0]),
)
XCHACHA_OPEN: Final = Operation(
    "XChaCha20-Poly1305 of a share, opening",
    "crypto_aead_xchacha20poly1305_ietf_decrypt",
    lambda: calls(_xchacha()[1]),
)


def _ed25519_sign() -> Batch:
    lib, ffi = _sodium.lib, _sodium.ffi
    public, secret = ffi.new("unsigned char[32]"), ffi.new("unsigned char[64]")
    lib.crypto_sign_keypair(public, secret)
    out, length = ffi.new("unsigned char[96]"), ffi.new("unsigned long long *")
    return calls((lib.crypto_sign, out, length, os.urandom(32), 32, secret))


ED25519_SIGN: Final = Operation("Ed25519 signature of a digest", "crypto_sign", _ed25519_sign)


def ed25519_verification(length: int) -> Operation:
    """An Ed25519 verification of a message of `length` bytes."""

    def prepared() -> Batch:
        lib, ffi = _sodium.lib, _sodium.ffi
        public, secret, whole = filled(32), filled(64), 64 + length
        lib.crypto_sign_keypair(public, secret)
        signed, written = filled(whole), ffi.new("unsigned long long *")
        lib.crypto_sign(signed, written, os.urandom(length), length, secret)
        opened = filled(whole)
        return calls((lib.crypto_sign_open, opened, written, bytes(signed), whole, public))

    return Operation(f"Ed25519 verification of {length} bytes", "crypto_sign_open", prepared)


ED25519_VERIFY: Final = ed25519_verification(32)
"""Of a digest."""


def durable_line(log: int, state: int) -> Operation:
    """What an audit line costs: 400 bytes written to one file, durable, and 48 to another."""
    line, end = os.urandom(400), os.urandom(48)

    def batch(repeats: int) -> None:
        for _ in range(repeats):
            os.pwrite(log, line, 0)
            os.fdatasync(log)
            os.pwrite(state, end, 0)

    return Operation("audit line", "pwrite, fdatasync, pwrite", lambda: batch)
