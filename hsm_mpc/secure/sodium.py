"""libsodium by pointer; with `sodium_ed25519` the only importer of PyNaCl.

Every `int` argument is an address inside an open window; every `bytes` argument is public.
Lengths are in bytes. The functions are constant time in the secret by libsodium's design
(step 1.8.2); that was not measured here.
"""

from __future__ import annotations

from typing import Any, Final

from nacl._sodium import ffi, lib

from hsm_mpc.errors import BackendError

if lib.sodium_init() < 0:
    raise BackendError("libsodium cannot be initialised on this machine", retryable=False)

ED25519_SIGNATURE_BYTES: Final = 64
AEAD_TAG_BYTES: Final = 16

_BYTES: Final = ffi.typeof("unsigned char *")

_ZEROS: Final = bytes(512)
_EMPTIED: Final = ffi.new("unsigned char[]", len(_ZEROS))
"""memmove leaves what it moved in vector registers (measured: tests/memory_scan). Moving zeros
after it, eight of the widest registers full, empties those that any length uses."""


def _at(address: int) -> Any:
    return ffi.cast(_BYTES, address)


# Memory. These keep the interpreter lock: they take nanoseconds.


def move(target: int, source: int | bytes, length: int) -> None:
    """memmove of secret bytes to the address `target`; no register keeps any of them."""
    ffi.memmove(_at(target), source if isinstance(source, bytes) else _at(source), length)
    ffi.memmove(_EMPTIED, _ZEROS, len(_ZEROS))


def move_public(target: int, content: bytes) -> None:
    """All of `content`, which is nobody's secret, to the address `target`."""
    ffi.memmove(_at(target), content, len(content))


def holds(address: int, content: bytes) -> bool:
    """Whether `content` stands at `address`; what stands there instead is not copied."""
    return bool(lib.sodium_memcmp(_at(address), content, len(content)) == 0)


def bytes_at(address: int, length: int) -> bytes:
    """A copy of what is public there, on the heap."""
    return bytes(ffi.buffer(_at(address), length)[:])


# Functions of libsodium


def sha256(out: int, message: int, length: int) -> None:
    """SHA-256 of `length` bytes at `message` into 32 bytes at `out`; they may overlap."""
    lib.crypto_hash_sha256(_at(out), _at(message), length)


def sha512(out: int, message: int, length: int) -> None:
    """SHA-512 of `length` bytes at `message` into 64 bytes at `out`; they may overlap."""
    lib.crypto_hash_sha512(_at(out), _at(message), length)


def equal(one: int, other: int, length: int) -> bool:
    """Whether both memories are equal, in constant time."""
    return bool(lib.sodium_memcmp(_at(one), _at(other), length) == 0)


def random_bytes(out: int, length: int) -> None:
    """`length` bytes of the operating system's generator at `out`."""
    lib.randombytes(_at(out), length)


def ed25519_keypair(seed: int, secret_key: int) -> bytes:
    """The public key of the 32 bytes at `seed`; 64 for `ed25519_sign` go to `secret_key`."""
    public = ffi.new("unsigned char[32]")
    lib.crypto_sign_seed_keypair(public, _at(secret_key), _at(seed))
    return bytes(ffi.buffer(public))


def ed25519_sign(secret_key: int, message: bytes) -> bytes:
    """The Ed25519 signature (64 bytes) of a public message under the 64 bytes at `secret_key`."""
    signed = ffi.new("unsigned char[]", ED25519_SIGNATURE_BYTES + len(message))
    length = ffi.new("unsigned long long *")
    lib.crypto_sign(signed, length, message, len(message), _at(secret_key))
    return bytes(ffi.buffer(signed, ED25519_SIGNATURE_BYTES))


def ed25519_verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the 64-byte `signature` of `message` is good under the 32-byte `public_key`."""
    if len(public_key) != 32 or len(signature) != ED25519_SIGNATURE_BYTES:
        return False
    opened = ffi.new("unsigned char[]", ED25519_SIGNATURE_BYTES + len(message))
    length = ffi.new("unsigned long long *")
    signed = signature + message
    return bool(lib.crypto_sign_open(opened, length, signed, len(signed), public_key) == 0)


def x25519_public(secret: int) -> bytes:
    """The X25519 public key (32 bytes) of the 32 secret bytes at `secret`."""
    public = ffi.new("unsigned char[32]")
    lib.crypto_scalarmult_base(public, _at(secret))
    return bytes(ffi.buffer(public))


def xchacha20poly1305_seal(key: int, nonce: bytes, plaintext: int, length: int) -> bytes:
    """ciphertext ‖ tag[16] of `length` bytes, without associated data.

    The key has 32 bytes; the public nonce has 24 and is used once under this key.
    """
    sealed = ffi.new("unsigned char[]", length + AEAD_TAG_BYTES)
    lib.crypto_aead_xchacha20poly1305_ietf_encrypt(
        sealed, ffi.NULL, _at(plaintext), length, ffi.NULL, 0, ffi.NULL, nonce, _at(key)
    )
    return bytes(ffi.buffer(sealed))


def xchacha20poly1305_open(key: int, nonce: bytes, sealed: bytes, out: int) -> bool:
    """Inverse of `xchacha20poly1305_seal` into len(sealed) − 16 bytes at `out`.

    False: not authentic; nothing of the plaintext stands there.
    """
    opened = lib.crypto_aead_xchacha20poly1305_ietf_decrypt(
        _at(out), ffi.NULL, ffi.NULL, sealed, len(sealed), ffi.NULL, 0, nonce, _at(key)
    )
    return bool(opened == 0)
