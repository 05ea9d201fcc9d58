"""XAES-256-GCM (C2SP) by pointer: a nonce of 24 bytes, half of which goes into a derived key.

The derivation (step 2.3.6) is AES-CMAC of two single blocks, done by libcrypto's CMAC, so that no
byte of a subkey passes through Python; libcrypto wipes its context when it is freed.
Every `int` argument is an address inside an open window; every `bytes` argument is public.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from cffi import FFI

from hsm_mpc.errors import BackendError, BadInput
from hsm_mpc.secure import libcrypto

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24

_LIBRARY: Final = "libcrypto.so.3"
_BLOCK_BYTES: Final = 16
_DERIVING_NONCE_BYTES: Final = 12
_PREFIXES: Final = (b"\x00\x01X\x00", b"\x00\x02X\x00")

_ffi = FFI()
_ffi.cdef("""
typedef struct CMAC_CTX_st CMAC_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
const EVP_CIPHER *EVP_aes_256_cbc(void);
CMAC_CTX *CMAC_CTX_new(void);
void CMAC_CTX_free(CMAC_CTX *);
int CMAC_Init(CMAC_CTX *, const unsigned char *, size_t, const EVP_CIPHER *, void *);
int CMAC_Update(CMAC_CTX *, const unsigned char *, size_t);
int CMAC_Final(CMAC_CTX *, unsigned char *, size_t *);
""")
_BYTES: Final = _ffi.typeof("unsigned char *")
_SIZE: Final = _ffi.typeof("size_t *")


@cache
def _lib() -> Any:
    return _ffi.dlopen(_LIBRARY)


def derive_key(key: int, nonce: bytes, out: int) -> None:
    """The AES-256-GCM key (32 bytes at `out`) of 32 bytes at `key` and half of the nonce.

    Raises:
        BackendError: libcrypto refused.
    """
    lib, null = _lib(), _ffi.NULL
    length = _ffi.new(_SIZE)
    target = _ffi.cast(_BYTES, out)
    context = lib.CMAC_CTX_new()
    done = context != null
    start = (_ffi.cast(_BYTES, key), KEY_BYTES, lib.EVP_aes_256_cbc())
    for prefix in _PREFIXES:
        block = prefix + nonce[:_DERIVING_NONCE_BYTES]
        done = (
            done
            and lib.CMAC_Init(context, *start, null)
            and lib.CMAC_Update(context, block, len(block))
            and lib.CMAC_Final(context, target, length)
        )
        start = (null, 0, null)  # again with the same key
        target += _BLOCK_BYTES
    lib.CMAC_CTX_free(context)
    if not done:
        raise BackendError("libcrypto refused an AES-CMAC", retryable=False)


class Xaes256Gcm:
    """On libcrypto's AES-256-GCM (see `aead` why). It has no state."""

    __slots__ = ()

    def seal(self, key: int, nonce: bytes, plaintext: int, length: int, scratch: int) -> bytes:
        """ciphertext ‖ tag[16], without associated data.

        At `scratch` the derived key is left, 32 bytes: whoever owns them wipes them.
        """
        _require_nonce(nonce)
        derive_key(key, nonce, scratch)
        return libcrypto.aes256gcm_seal(
            scratch, nonce[_DERIVING_NONCE_BYTES:], b"", plaintext, length
        )

    def open(self, key: int, nonce: bytes, sealed: bytes, out: int, scratch: int) -> bool:
        """Inverse of `seal` into len(sealed) − 16 bytes at `out`; False: not authentic.

        What stands at `out` after False is not authenticated: the caller wipes it.
        """
        _require_nonce(nonce)
        derive_key(key, nonce, scratch)
        return libcrypto.aes256gcm_open(scratch, nonce[_DERIVING_NONCE_BYTES:], b"", sealed, out)


def _require_nonce(nonce: bytes) -> None:
    if len(nonce) != NONCE_BYTES:
        raise BadInput(f"XAES-256-GCM takes a nonce of {NONCE_BYTES} bytes, not {len(nonce)}")
