"""The operations of libsecp256k1."""

from __future__ import annotations

import os
from typing import Any, Final

from hsm_mpc.bench.measure import Batch
from hsm_mpc.bench.operation import Operation, calls
from hsm_mpc.groups import libsecp256k1
from hsm_mpc.tags import Tag

# Below the face that the product calls lies the library itself.
_face: Final[Any] = libsecp256k1
_ffi, _lib, _context = _face.ffi, _face.lib, _face._CONTEXT


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
    lambda: calls((_lib.secp256k1_ec_pubkey_create, _context, _point(), _scalar())),
)
KEY_AGREEMENT: Final = Operation(
    "secret · point",
    "ecdh",
    lambda: calls(
        (
            _lib.secp256k1_ecdh,
            _context,
            _ffi.new("unsigned char[33]"),
            _point(),
            _scalar(),
            _face._compressed_point,
            _ffi.NULL,
        )
    ),
)
CHECK_SCALAR: Final = Operation(
    "check of a secret scalar",
    "ec_seckey_verify",
    lambda: calls((_lib.secp256k1_ec_seckey_verify, _context, _scalar())),
)
MULTIPLY_SCALAR: Final = Operation(
    "secret scalar · public one",
    "ec_seckey_tweak_mul",
    lambda: calls((_lib.secp256k1_ec_seckey_tweak_mul, _context, _scalar(), os.urandom(32))),
)
ADD_SCALAR: Final = Operation(
    "secret scalar + secret scalar",
    "ec_seckey_tweak_add",
    lambda: calls((_lib.secp256k1_ec_seckey_tweak_add, _context, _scalar(), _scalar())),
)
NEGATE_SCALAR: Final = Operation(
    "− secret scalar",
    "ec_seckey_negate",
    lambda: calls((_lib.secp256k1_ec_seckey_negate, _context, _scalar())),
)


def secret_hash(length: int) -> Operation:
    """A tagged hash of `length` secret bytes."""

    def prepared() -> Batch:
        tag = Tag.BIP445_NONCE.ascii
        digest = _ffi.new("unsigned char[32]")
        message = _ffi.new("unsigned char[]", os.urandom(length))
        return calls(
            (_lib.secp256k1_tagged_sha256, _context, digest, tag, len(tag), message, length)
        )

    return Operation(f"tagged hash of {length} secret bytes", "tagged_sha256", prepared)


# libsecp256k1, on public values

PARSE_POINT: Final = Operation(
    "parsing a point",
    "ec_pubkey_parse",
    lambda: calls((_lib.secp256k1_ec_pubkey_parse, _context, _point(), _encoded(_point()), 33)),
)
SERIALIZE_POINT: Final = Operation(
    "encoding a point",
    "ec_pubkey_serialize",
    lambda: calls(
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
    lambda: calls((_lib.secp256k1_ec_pubkey_tweak_mul, _context, _point(), os.urandom(32))),
)


def _encoded(point: Any) -> bytes:
    return libsecp256k1.serialized(point)


def _two_products() -> Batch:
    signature = _ffi.new("secp256k1_ecdsa_recoverable_signature *")
    encoded = _encoded(_point())
    both = encoded[1:] + os.urandom(32)
    return calls(
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
        return calls(
            (_lib.secp256k1_xonly_pubkey_parse, _context, key, _encoded(point)[1:]),
            (_lib.secp256k1_schnorrsig_verify, _context, signature, message, length, key),
        )

    return Operation("BIP 340 verification", "schnorrsig_verify", prepared)
