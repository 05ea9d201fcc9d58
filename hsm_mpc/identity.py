"""Identity, client and administrator keys as others see them: exact encodings and verification.

Pure, and without any HSM: a client checks a certificate with this alone. The signing side of a
holder lives in its HSM (`hsm_mpc.hsm.identity`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidSignature as _LibraryInvalidSignature
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from hsm_mpc.encoding import Reader, lv16, u8
from hsm_mpc.errors import BadEncoding, InvalidSignature
from hsm_mpc.secure import sodium
from hsm_mpc.tags import Tag, tagged_hash


class Algorithm(IntEnum):
    """How a key signs the 32-byte digest (step 1.6.1)."""

    P256 = 1
    ED25519 = 2
    RSA3072 = 3


P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""A signature counts only with s at most half of it, so that it is unique per run (1.6.1)."""

_ED25519_PRIME: Final = 2**255 - 19
_ED25519_ORDER_EIGHT_Y: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_ED25519_SMALL_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        _ED25519_PRIME - 1,
        _ED25519_ORDER_EIGHT_Y,
        _ED25519_PRIME - _ED25519_ORDER_EIGHT_Y,
    }
)
_RSA_BYTES: Final = 384
_RSA_EXPONENT: Final = 65537
"""Of every RSA key that `holder init` makes; a long one would make each verification cost 60 times
as much."""
_PSS: Final = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
_DIGEST: Final = Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key with its algorithm, in the one encoding that step 1.6.1 allows.

    P-256: 65 bytes, uncompressed. Ed25519: 32 bytes. RSA-3072: DER RSAPublicKey.

    Raises:
        BadEncoding: from the constructor, for any other encoding, size or curve.
    """

    algorithm: Algorithm
    encoded: bytes

    def __post_init__(self) -> None:
        if self.algorithm is Algorithm.P256:
            _p256_key(self.encoded)
        elif self.algorithm is Algorithm.ED25519:
            _check_ed25519_key(self.encoded)
        else:
            _rsa_key(self.encoded)

    @classmethod
    def read(cls, reader: Reader) -> VerifyingKey:
        """`u8(alg) ‖ LV16(key)`, as rosters, cards, client lists and requests carry it."""
        number = reader.u8()
        try:
            algorithm = Algorithm(number)
        except ValueError as error:
            raise BadEncoding(f"algorithm {number} of a public key is unknown") from error
        return cls(algorithm, reader.lv16())

    def to_bytes(self) -> bytes:
        """`u8(alg) ‖ LV16(key)`."""
        return u8(self.algorithm) + lv16(self.encoded)

    def verify(self, tag: Tag, message: bytes, signature: bytes) -> None:
        """Check `IdSign(tag, message)`: a signature over `TH(tag, message)` (step 1.6.2).

        Raises:
            InvalidSignature: it does not verify, or is not in the one accepted form.
        """
        digest = tagged_hash(tag, message)
        try:
            if self.algorithm is Algorithm.P256:
                _verify_p256(self.encoded, digest, signature)
            elif self.algorithm is Algorithm.ED25519:
                _verify_ed25519(self.encoded, digest, signature)
            else:
                _verify_rsa(self.encoded, digest, signature)
        except _LibraryInvalidSignature as error:
            raise InvalidSignature(f"signature of an identity key over {tag.value}") from error


def with_low_s(signature: bytes) -> bytes:
    """r ‖ s, 64 bytes, with the one of the two s that counts (step 1.6.1)."""
    s = int.from_bytes(signature[32:], "big")
    if s > P256_ORDER // 2:
        s = P256_ORDER - s
    return signature[:32] + s.to_bytes(32, "big")


def _p256_key(encoded: bytes) -> ec.EllipticCurvePublicKey:
    if len(encoded) != 65:
        raise BadEncoding("p-256 public key: 65 bytes are wanted, uncompressed")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded)
    except ValueError as error:
        raise BadEncoding("p-256 public key: not a point of the curve") from error


def _verify_p256(encoded: bytes, digest: bytes, signature: bytes) -> None:
    if len(signature) != 64:
        raise InvalidSignature("p-256 signature: 64 bytes r ‖ s are wanted")
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if s > P256_ORDER // 2:
        raise InvalidSignature("p-256 signature: s is above half the order")
    _p256_key(encoded).verify(encode_dss_signature(r, s), digest, ec.ECDSA(_DIGEST))


def _check_ed25519_key(encoded: bytes) -> None:
    if len(encoded) != 32:
        raise BadEncoding("ed25519 public key: 32 bytes are wanted")
    y = int.from_bytes(encoded, "little") % 2**255
    if y >= _ED25519_PRIME or y in _ED25519_SMALL_ORDER_Y:
        raise BadEncoding("ed25519 public key: of small order, or not canonical")


def _verify_ed25519(encoded: bytes, digest: bytes, signature: bytes) -> None:
    """By libsodium: cofactorless and strict, and half the price of OpenSSL's (measured)."""
    if not sodium.ed25519_verifies(encoded, digest, signature):
        raise _LibraryInvalidSignature


def _rsa_key(encoded: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_der_public_key(encoded)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadEncoding("rsa public key: not the DER of an RSAPublicKey") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != 8 * _RSA_BYTES:
        raise BadEncoding("rsa public key: 3072 bits are wanted")
    if key.public_numbers().e != _RSA_EXPONENT:
        raise BadEncoding(f"rsa public key: exponent {_RSA_EXPONENT} is wanted")
    if key.public_bytes(Encoding.DER, PublicFormat.PKCS1) != encoded:
        raise BadEncoding("rsa public key: not the DER of an RSAPublicKey")
    return key


def _verify_rsa(encoded: bytes, digest: bytes, signature: bytes) -> None:
    """The library takes a signature that begins with zeros without them, too."""
    if len(signature) != _RSA_BYTES:
        raise InvalidSignature(f"rsa signature: {_RSA_BYTES} bytes are wanted")
    _rsa_key(encoded).verify(signature, digest, _PSS, _DIGEST)
