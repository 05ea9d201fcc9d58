"""The operations of libcrypto, libsodium and the kernel."""

from __future__ import annotations

import hashlib
import os
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

    def prepared() -> Batch:
        message = os.urandom(_TAG_PREFIX_BYTES + length)
        return repeated_hash(message)

    return Operation(f"tagged hash of {length} public bytes", "SHA-256", prepared)


def repeated_hash(message: bytes) -> Batch:
    """SHA-256 of `message`, again and again."""

    def batch(repeats: int) -> None:
        for _ in range(repeats):
            hashlib.sha256(message).digest()

    return batch


RANDOM_BYTES: Final = Operation(
    "32 bytes of the system's generator",
    "randombytes",
    lambda: calls((_sodium.lib.randombytes, _sodium.ffi.new("unsigned char[32]"), 32)),
)


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


def _ed25519_sign() -> Batch:
    lib, ffi = _sodium.lib, _sodium.ffi
    public, secret = ffi.new("unsigned char[32]"), ffi.new("unsigned char[64]")
    lib.crypto_sign_keypair(public, secret)
    out, length = ffi.new("unsigned char[96]"), ffi.new("unsigned long long *")
    return calls((lib.crypto_sign, out, length, os.urandom(32), 32, secret))


def _ed25519_verify() -> Batch:
    lib, ffi = _sodium.lib, _sodium.ffi
    public, secret = ffi.new("unsigned char[32]"), ffi.new("unsigned char[64]")
    lib.crypto_sign_keypair(public, secret)
    signed, length = ffi.new("unsigned char[96]"), ffi.new("unsigned long long *")
    lib.crypto_sign(signed, length, os.urandom(32), 32, secret)
    opened = ffi.new("unsigned char[96]")
    return calls((lib.crypto_sign_open, opened, length, bytes(signed), 96, public))


ED25519_SIGN: Final = Operation("Ed25519 signature of a digest", "crypto_sign", _ed25519_sign)
ED25519_VERIFY: Final = Operation(
    "Ed25519 verification of a digest", "crypto_sign_open", _ed25519_verify
)


def durable_line(log: int, state: int) -> Operation:
    """What an audit line costs: 400 bytes written to one file, durable, and 48 to another."""
    line, end = os.urandom(400), os.urandom(48)

    def batch(repeats: int) -> None:
        for _ in range(repeats):
            os.pwrite(log, line, 0)
            os.fdatasync(log)
            os.pwrite(state, end, 0)

    return Operation("audit line", "pwrite, fdatasync, pwrite", lambda: batch)
