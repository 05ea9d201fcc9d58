"""The system's libcrypto by pointer: AES-256-GCM.

Every `int` argument is an address inside an open window; every `bytes` argument is public.
Each context is freed before the function returns: libcrypto wipes it then.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from cffi import FFI

from hsm_mpc.errors import BackendError

GCM_TAG_BYTES: Final = 16

_LIBRARY: Final = "libcrypto.so.3"
_GCM_GET_TAG: Final = 0x10
_GCM_SET_TAG: Final = 0x11

_ffi = FFI()
_ffi.cdef("""
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *);
int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *, int, int, void *);
const EVP_CIPHER *EVP_aes_256_gcm(void);
int EVP_EncryptInit_ex(EVP_CIPHER_CTX *, const EVP_CIPHER *, void *,
    const unsigned char *, const unsigned char *);
int EVP_EncryptUpdate(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);
int EVP_EncryptFinal_ex(EVP_CIPHER_CTX *, unsigned char *, int *);
int EVP_DecryptInit_ex(EVP_CIPHER_CTX *, const EVP_CIPHER *, void *,
    const unsigned char *, const unsigned char *);
int EVP_DecryptUpdate(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);
int EVP_DecryptFinal_ex(EVP_CIPHER_CTX *, unsigned char *, int *);
const char *OpenSSL_version(int);
""")
_BYTES: Final = _ffi.typeof("unsigned char *")
_BUFFER: Final = _ffi.typeof("unsigned char[]")
_INT: Final = _ffi.typeof("int *")


@cache
def _lib() -> Any:
    try:
        return _ffi.dlopen(_LIBRARY)
    except OSError as missing:
        raise BackendError(
            f"{_LIBRARY} is not installed (Debian and Ubuntu: `apt-get install libssl3`)",
            retryable=False,
        ) from missing


def version() -> str:
    """What the library calls itself, such as "OpenSSL 3.0.19 27 Jan 2026"."""
    text: Any = _ffi.string(_lib().OpenSSL_version(0))
    return str(text.decode())


def _at(address: int) -> Any:
    return _ffi.cast(_BYTES, address)


def _succeeded(answer: int) -> None:
    if answer != 1:
        raise BackendError("libcrypto refused an AES operation", retryable=False)


class _Cipher:
    """`with _Cipher(lib) as context`: freed, and so wiped, at the end."""

    __slots__ = ("_context", "_lib")

    def __init__(self, lib: Any) -> None:
        self._lib = lib

    def __enter__(self) -> Any:
        self._context = self._lib.EVP_CIPHER_CTX_new()
        if self._context == _ffi.NULL:
            raise BackendError("libcrypto has no memory for a cipher")
        return self._context

    def __exit__(self, *_: object) -> None:
        self._lib.EVP_CIPHER_CTX_free(self._context)


def aes256gcm_seal(key: int, nonce: bytes, associated: bytes, plaintext: int, length: int) -> bytes:
    """AES-256-GCM: ciphertext ‖ tag[16]. `nonce` is 12 bytes, `key` 32."""
    lib = _lib()
    written = _ffi.new(_INT)
    out = _ffi.new(_BUFFER, length + GCM_TAG_BYTES)
    with _Cipher(lib) as context:
        _succeeded(
            lib.EVP_EncryptInit_ex(context, lib.EVP_aes_256_gcm(), _ffi.NULL, _at(key), nonce)
        )
        if associated:
            size = len(associated)
            _succeeded(lib.EVP_EncryptUpdate(context, _ffi.NULL, written, associated, size))
        _succeeded(lib.EVP_EncryptUpdate(context, out, written, _at(plaintext), length))
        _succeeded(lib.EVP_EncryptFinal_ex(context, out + length, written))
        _succeeded(lib.EVP_CIPHER_CTX_ctrl(context, _GCM_GET_TAG, GCM_TAG_BYTES, out + length))
    return bytes(_ffi.buffer(out)[:])


def aes256gcm_open(key: int, nonce: bytes, associated: bytes, sealed: bytes, out: int) -> bool:
    """Inverse of `aes256gcm_seal` into `len(sealed) - 16` bytes at `out`; False: not authentic.

    What stands at `out` after False is not authenticated: the caller wipes it.
    """
    lib = _lib()
    written = _ffi.new(_INT)
    ciphertext, tag = sealed[:-GCM_TAG_BYTES], sealed[-GCM_TAG_BYTES:]
    with _Cipher(lib) as context:
        _succeeded(
            lib.EVP_DecryptInit_ex(context, lib.EVP_aes_256_gcm(), _ffi.NULL, _at(key), nonce)
        )
        if associated:
            size = len(associated)
            _succeeded(lib.EVP_DecryptUpdate(context, _ffi.NULL, written, associated, size))
        _succeeded(lib.EVP_DecryptUpdate(context, _at(out), written, ciphertext, len(ciphertext)))
        _succeeded(
            lib.EVP_CIPHER_CTX_ctrl(context, _GCM_SET_TAG, GCM_TAG_BYTES, _ffi.from_buffer(tag))
        )
        return bool(lib.EVP_DecryptFinal_ex(context, _ffi.NULL, written) == 1)
