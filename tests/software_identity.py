"""Identity keys of the tests alone: ordinary software keys that sign as an HSM would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_mpc.identity import P256_ORDER, Algorithm, VerifyingKey
from hsm_mpc.tags import Tag, tagged_hash

PSS = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
DIGEST = Prehashed(SHA256())


@dataclass(frozen=True)
class SoftwareKey:
    public: VerifyingKey
    sign_digest: Callable[[bytes], bytes]

    def sign(self, tag: Tag, message: bytes) -> bytes:
        """`IdSign(tag, message)`."""
        return self.sign_digest(tagged_hash(tag, message))


def rs_bytes(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def p256_key(number: int = 0) -> SoftwareKey:
    """The same key for the same number above 0, else a fresh one."""
    curve = ec.SECP256R1()
    private = ec.derive_private_key(number, curve) if number else ec.generate_private_key(curve)

    def sign(digest: bytes) -> bytes:
        r, s = decode_dss_signature(private.sign(digest, ec.ECDSA(DIGEST)))
        return rs_bytes(r, min(s, P256_ORDER - s))

    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return SoftwareKey(VerifyingKey(Algorithm.P256, point), sign)


def ed25519_key(seed: bytes) -> SoftwareKey:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    return SoftwareKey(VerifyingKey(Algorithm.ED25519, public), private.sign)


@cache
def rsa_private_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def rsa_encoded(private: rsa.RSAPrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)


def rsa_key() -> SoftwareKey:
    private = rsa_private_key(3072)
    return SoftwareKey(
        VerifyingKey(Algorithm.RSA3072, rsa_encoded(private)),
        lambda digest: private.sign(digest, PSS, DIGEST),
    )
