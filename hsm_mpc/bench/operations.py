"""The C operations that floors are added up from, each called with everything prepared.

What is timed is the library's function through its foreign function interface, in ordinary memory,
with random numbers that are nobody's secret: no check of an answer, no object of ours. The product
cannot do with less.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hsm_mpc.bench.measure import Batch
from hsm_mpc.groups import libsecp256k1
from hsm_mpc.secure import libcrypto, sodium, xaes
from hsm_mpc.secure.arena import Arena
from hsm_mpc.tags import Tag

# Below the faces that the product calls lie the libraries themselves.
_curve: Final[Any] = libsecp256k1
_ffi, _lib, _context = _curve.ffi, _curve.lib, _curve._CONTEXT
_sodium: Final[Any] = sodium
_evp: Final[Any] = libcrypto
_cmac: Final[Any] = xaes

_SHARE_BYTES: Final = 32
_TAG_PREFIX_BYTES: Final = 64
_GCM_GET_TAG, _GCM_SET_TAG, _GCM_TAG_BYTES = 0x10, 0x11, 16


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; two of one name are the same."""

    name: str
    function: str
    """What does it, as its library calls it."""
    prepared: Callable[[], Batch] = field(compare=False, repr=False)


Call = tuple[Callable[..., object], *tuple[Any, ...]]
"""A function with its arguments."""


def _calls(*calls: Call) -> Batch:
    """The batch of these calls, one after another."""
    split = [(call[0], call[1:]) for call in calls]
    if len(split) == 1:
        return _one_call(*split[0])

    def batch(repeats: int) -> None:
        for _ in range(repeats):
            for function, arguments in split:
                function(*arguments)

    return batch


def _one_call(function: Callable[..., object], arguments: tuple[Any, ...]) -> Batch:
    def batch(repeats: int) -> None:
        for _ in range(repeats):
            function(*arguments)

    return batch


def _scalar() -> Any:
    return _ffi.new("unsigned char[32]", os.urandom(32))


def _point() -> Any:
    point = _ffi.new("secp256k1_pubkey *")
    _lib.secp256k1_ec_pubkey_create(_context, point, _scalar())
    return point


# libsecp256k1, on secrets

SECRET_TIMES_G: Final = Operation(
    "secret · G",
    "ec_pubkey_create",
    lambda: _calls((_lib.secp256k1_ec_pubkey_create, _context, _point(), _scalar())),
)
KEY_AGREEMENT: Final = Operation(
    "secret · point",
    "ecdh",
    lambda: _calls(
        (
            _lib.secp256k1_ecdh,
            _context,
            _ffi.new("unsigned char[33]"),
            _point(),
            _scalar(),
            _curve._compressed_point,
            _ffi.NULL,
        )
    ),
)
CHECK_SCALAR: Final = Operation(
    "check of a secret scalar",
    "ec_seckey_verify",
    lambda: _calls((_lib.secp256k1_ec_seckey_verify, _context, _scalar())),
)
MULTIPLY_SCALAR: Final = Operation(
    "secret scalar · public one",
    "ec_seckey_tweak_mul",
    lambda: _calls((_lib.secp256k1_ec_seckey_tweak_mul, _context, _scalar(), os.urandom(32))),
)
ADD_SCALAR: Final = Operation(
    "secret scalar + secret scalar",
    "ec_seckey_tweak_add",
    lambda: _calls((_lib.secp256k1_ec_seckey_tweak_add, _context, _scalar(), _scalar())),
)
NEGATE_SCALAR: Final = Operation(
    "− secret scalar",
    "ec_seckey_negate",
    lambda: _calls((_lib.secp256k1_ec_seckey_negate, _context, _scalar())),
)


def secret_hash(length: int) -> Operation:
    """A tagged hash of `length` secret bytes."""

    def prepared() -> Batch:
        tag = Tag.BIP445_NONCE.value.encode("ascii")
        digest = _ffi.new("unsigned char[32]")
        message = _ffi.new("unsigned char[]", os.urandom(length))
        return _calls(
            (_lib.secp256k1_tagged_sha256, _context, digest, tag, len(tag), message, length)
        )

    return Operation(f"tagged hash of {length} secret bytes", "tagged_sha256", prepared)


# libsecp256k1, on public values

PARSE_POINT: Final = Operation(
    "parsing a point",
    "ec_pubkey_parse",
    lambda: _calls((_lib.secp256k1_ec_pubkey_parse, _context, _point(), _encoded(_point()), 33)),
)
SERIALIZE_POINT: Final = Operation(
    "encoding a point",
    "ec_pubkey_serialize",
    lambda: _calls(
        (
            _lib.secp256k1_ec_pubkey_serialize,
            _context,
            _ffi.new("unsigned char[33]"),
            _ffi.new("size_t *", 33),
            _point(),
            _lib.SECP256K1_EC_COMPRESSED,
        )
    ),
)
POINT_PRODUCT: Final = Operation(
    "public scalar · point",
    "ec_pubkey_tweak_mul",
    lambda: _calls((_lib.secp256k1_ec_pubkey_tweak_mul, _context, _point(), os.urandom(32))),
)


def _encoded(point: Any) -> bytes:
    return libsecp256k1.serialized(point)


def _two_products() -> Batch:
    signature = _ffi.new("secp256k1_ecdsa_recoverable_signature *")
    encoded = _encoded(_point())
    both = encoded[1:] + os.urandom(32)
    return _calls(
        (
            _lib.secp256k1_ecdsa_recoverable_signature_parse_compact,
            _context,
            signature,
            both,
            encoded[0] & 1,
        ),
        (_lib.secp256k1_ecdsa_recover, _context, _point(), signature, os.urandom(32)),
    )


TWO_PRODUCTS: Final = Operation("a · point + b · G", "ecdsa_recover", _two_products)


def sum_of_points(count: int) -> Operation:
    """The sum of `count` points."""

    def prepared() -> Batch:
        addends = _ffi.new("secp256k1_pubkey *[]", points := [_point() for _ in range(count)])
        total = _point()

        def batch(repeats: int) -> None:
            for _ in range(repeats):
                _lib.secp256k1_ec_pubkey_combine(_context, total, addends, len(points))

        return batch

    return Operation(f"sum of {count} points", "ec_pubkey_combine", prepared)


def schnorr_verification(length: int) -> Operation:
    """A BIP 340 verification of a message of `length` bytes, its key parsed first."""

    def prepared() -> Batch:
        pair = _ffi.new("secp256k1_keypair *")
        _lib.secp256k1_keypair_create(_context, pair, os.urandom(32))
        message, signature = os.urandom(length), _ffi.new("unsigned char[64]")
        _lib.secp256k1_schnorrsig_sign_custom(_context, signature, message, length, pair, _ffi.NULL)
        point, key = _ffi.new("secp256k1_pubkey *"), _ffi.new("secp256k1_xonly_pubkey *")
        _lib.secp256k1_keypair_pub(_context, point, pair)
        return _calls(
            (_lib.secp256k1_xonly_pubkey_parse, _context, key, _encoded(point)[1:]),
            (_lib.secp256k1_schnorrsig_verify, _context, signature, message, length, key),
        )

    return Operation("BIP 340 verification", "schnorrsig_verify", prepared)


# Everything else


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
    lambda: _calls((_sodium.lib.randombytes, _sodium.ffi.new("unsigned char[32]"), 32)),
)


def window(arena: Arena) -> Operation:
    """Opening the pages of protected memory and closing them again: two calls of mprotect."""
    mapping = arena._mapping
    return Operation(
        f"window of protected memory, {arena.kind}",
        "mprotect",
        lambda: _calls((mapping.set_accessible, True), (mapping.set_accessible, False)),
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
    "CMAC, AES-256-GCM",
    lambda: _calls(_key_derivation(), _gcm_seal(_SHARE_BYTES)),
)
XAES_OPEN: Final = Operation(
    "XAES-256-GCM of a share, opening",
    "CMAC, AES-256-GCM",
    lambda: _calls(_key_derivation(), _gcm_open(_SHARE_BYTES)),
)
CONTENT_OPEN: Final = Operation(
    "AES-256-GCM of a blob's content, opening", "libcrypto", lambda: _calls(_gcm_open(64))
)


def _ed25519_sign() -> Batch:
    lib, ffi = _sodium.lib, _sodium.ffi
    public, secret = ffi.new("unsigned char[32]"), ffi.new("unsigned char[64]")
    lib.crypto_sign_keypair(public, secret)
    out, length = ffi.new("unsigned char[96]"), ffi.new("unsigned long long *")
    return _calls((lib.crypto_sign, out, length, os.urandom(32), 32, secret))


def _ed25519_verify() -> Batch:
    lib, ffi = _sodium.lib, _sodium.ffi
    public, secret = ffi.new("unsigned char[32]"), ffi.new("unsigned char[64]")
    lib.crypto_sign_keypair(public, secret)
    signed, length = ffi.new("unsigned char[96]"), ffi.new("unsigned long long *")
    lib.crypto_sign(signed, length, os.urandom(32), 32, secret)
    opened = ffi.new("unsigned char[96]")
    return _calls((lib.crypto_sign_open, opened, length, bytes(signed), 96, public))


ED25519_SIGN: Final = Operation("Ed25519 signature of a digest", "crypto_sign", _ed25519_sign)
ED25519_VERIFY: Final = Operation(
    "Ed25519 verification of a digest", "crypto_sign_open", _ed25519_verify
)


def durable_line(descriptor: int) -> Operation:
    """What an audit line costs: 400 bytes and 48 bytes written to a file each, both durable."""
    line, state = os.urandom(400), os.urandom(48)

    def batch(repeats: int) -> None:
        for _ in range(repeats):
            for content in (line, state):
                os.pwrite(descriptor, content, 0)
                os.fdatasync(descriptor)

    return Operation("audit line", "pwrite and fdatasync, of two files", lambda: batch)
