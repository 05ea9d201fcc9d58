from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from asn1crypto.keys import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadEncoding, InvalidSignature
from hsm_mpc.identity import P256_ORDER, Algorithm, VerifyingKey
from hsm_mpc.tags import Tag, tagged_hash
from tests.software_identity import (
    DIGEST,
    SoftwareKey,
    ed25519_key,
    p256_key,
    rs_bytes,
    rsa_encoded,
    rsa_key,
    rsa_private_key,
)

MESSAGE = b"what must prove something later"
KEYS: list[Callable[[], SoftwareKey]] = [p256_key, lambda: ed25519_key(bytes(32)), rsa_key]
ED25519_PRIME = 2**255 - 19


@pytest.mark.parametrize("make", KEYS, ids=["p256", "ed25519", "rsa3072"])
def test_a_signature_verifies_under_its_key_tag_and_message_only(
    make: Callable[[], SoftwareKey],
) -> None:
    """Steps 1.6.1 and 1.6.2."""
    key = make()
    signature = key.sign(Tag.CARD, MESSAGE)
    key.public.verify(Tag.CARD, MESSAGE, signature)
    changed = signature[:-1] + bytes([signature[-1] ^ 1])
    for tag, message, shown in [
        (Tag.ACK, MESSAGE, signature),
        (Tag.CARD, MESSAGE + b"\0", signature),
        (Tag.CARD, MESSAGE, changed),
        (Tag.CARD, MESSAGE, signature + b"\0"),
        (Tag.CARD, MESSAGE, b"\0" + signature),
        (Tag.CARD, MESSAGE, signature[:-1]),
        (Tag.CARD, MESSAGE, b""),
    ]:
        with pytest.raises(InvalidSignature):
            key.public.verify(tag, message, shown)


@pytest.mark.parametrize("make", KEYS, ids=["p256", "ed25519", "rsa3072"])
def test_a_foreign_identity_key_verifies_nothing(make: Callable[[], SoftwareKey]) -> None:
    signature = make().sign(Tag.CARD, MESSAGE)
    for foreign in (p256_key(7), ed25519_key(b"\7" * 32)):
        with pytest.raises(InvalidSignature):
            foreign.public.verify(Tag.CARD, MESSAGE, signature)


def test_a_high_s_identity_signature_is_refused() -> None:
    """Step 1.6.1: of s and −s only the lower one counts, so a signature is unique per run."""
    key = p256_key()
    signature = key.sign(Tag.CARD, MESSAGE)
    high = rs_bytes(
        int.from_bytes(signature[:32], "big"),
        P256_ORDER - int.from_bytes(signature[32:], "big"),
    )
    with pytest.raises(InvalidSignature, match="half the order"):
        key.public.verify(Tag.CARD, MESSAGE, high)


def test_an_s_of_exactly_half_the_order_is_accepted() -> None:
    """For a chosen nonce k and s the private key is (s·k − e)/r."""
    s, k = P256_ORDER // 2, 12345
    nonce_point = ec.derive_private_key(k, ec.SECP256R1()).public_key().public_numbers()
    r = nonce_point.x % P256_ORDER
    e = int.from_bytes(tagged_hash(Tag.CARD, MESSAGE), "big")
    private = (s * k - e) * pow(r, -1, P256_ORDER) % P256_ORDER
    p256_key(private).public.verify(Tag.CARD, MESSAGE, rs_bytes(r, s))


@pytest.mark.parametrize("r, s", [(0, 1), (1, 0), (0, 0), (P256_ORDER, 1), (P256_ORDER + 1, 1)])
def test_p256_numbers_outside_of_their_range_are_refused(r: int, s: int) -> None:
    with pytest.raises(InvalidSignature):
        p256_key(3).public.verify(Tag.CARD, MESSAGE, rs_bytes(r, s))


def test_a_der_encoded_p256_signature_is_refused() -> None:
    private = ec.derive_private_key(5, ec.SECP256R1())
    der = private.sign(tagged_hash(Tag.CARD, MESSAGE), ec.ECDSA(DIGEST))
    with pytest.raises(InvalidSignature, match="64 bytes"):
        p256_key(5).public.verify(Tag.CARD, MESSAGE, der)


def test_an_rsa_signature_of_another_padding_is_refused() -> None:
    private, public = rsa_private_key(3072), rsa_key().public
    digest = tagged_hash(Tag.CARD, MESSAGE)
    other_salt = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=20)
    for signature in (
        private.sign(digest, other_salt, DIGEST),
        private.sign(digest, padding.PKCS1v15(), DIGEST),
    ):
        with pytest.raises(InvalidSignature):
            public.verify(Tag.CARD, MESSAGE, signature)


def test_an_rsa_signature_without_its_leading_zeros_is_refused() -> None:
    """Step 1.6.1: 384 bytes. Else everybody could make a second request_id of one request."""
    key = rsa_key()
    signatures = (key.sign(Tag.CARD, MESSAGE) for _ in range(10_000))  # PSS: each is another
    padded = next(signature for signature in signatures if signature[0] == 0)
    key.public.verify(Tag.CARD, MESSAGE, padded)
    with pytest.raises(InvalidSignature, match="384 bytes"):
        key.public.verify(Tag.CARD, MESSAGE, padded[1:])


def test_another_encoding_of_a_p256_key_is_refused() -> None:
    """Step 1.6.1: 65 bytes, uncompressed, on the curve."""
    point = p256_key(9).public.encoded
    compressed = bytes([2 + (point[-1] & 1)]) + point[1:33]
    hybrid = bytes([6 + (point[-1] & 1)]) + point[1:]
    off_the_curve = point[:-1] + bytes([point[-1] ^ 1])
    secp256k1 = (
        ec.derive_private_key(9, ec.SECP256K1())
        .public_key()
        .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    )
    wrong = (b"", b"\0", compressed, hybrid, off_the_curve, secp256k1, point + b"\0", point[:-1])
    for encoded in wrong:
        with pytest.raises(BadEncoding, match="p-256"):
            VerifyingKey(Algorithm.P256, encoded)


def small_order_encodings() -> list[bytes]:
    """All eight points of order 1, 2, 4 and 8, found by multiplying out of the curve equation."""
    p = ED25519_PRIME
    d = -121665 * pow(121666, -1, p) % p
    ys = {0, 1, p - 1}
    # A point of order 8 doubles to one with y = 0, so x² = −y² there: −2y² = 1 − d·(−y⁴)·(−1).
    # With u = y²: d·u² + 2·u − 1 = 0, hence u = (−1 ± √(1 + d)) / d.
    root = _square_root(1 + d)
    for sign in (1, -1):
        u = (-1 + sign * root) * pow(d, -1, p) % p
        if pow(u, (p - 1) // 2, p) == 1:
            y = _square_root(u)
            ys |= {y, p - y}
    assert len(ys) == 5
    return [(y + (x_bit << 255)).to_bytes(32, "little") for y in ys for x_bit in (0, 1)]


def _square_root(square: int) -> int:
    p = ED25519_PRIME
    root = pow(square, (p + 3) // 8, p)
    if root * root % p != square % p:
        root = root * pow(2, (p - 1) // 4, p) % p
    assert root * root % p == square % p
    return root


@pytest.mark.parametrize("encoded", small_order_encodings(), ids=bytes.hex)
def test_an_ed25519_key_of_small_order_is_refused(encoded: bytes) -> None:
    """Under such a key one signature verifies for many messages."""
    with pytest.raises(BadEncoding, match="small order"):
        VerifyingKey(Algorithm.ED25519, encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\x09" * 31,
        b"\x09" * 33,
        ED25519_PRIME.to_bytes(32, "little"),
        (ED25519_PRIME + 3).to_bytes(32, "little"),
    ],
)
def test_an_ed25519_key_that_is_not_canonical_is_refused(encoded: bytes) -> None:
    with pytest.raises(BadEncoding, match="ed25519"):
        VerifyingKey(Algorithm.ED25519, encoded)


def test_an_ed25519_key_off_the_curve_verifies_nothing() -> None:
    key = VerifyingKey(Algorithm.ED25519, (2).to_bytes(32, "little"))
    with pytest.raises(InvalidSignature):
        key.verify(Tag.CARD, MESSAGE, bytes(64))


def test_an_ed25519_signature_with_the_identity_as_its_nonce_is_refused() -> None:
    """Step 1.6.1: r = 0, which gives the key away. OpenSSL would take it."""
    seed = b"\5" * 32
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes_raw()
    hashed = bytearray(hashlib.sha512(seed).digest()[:32])
    hashed[0] &= 248
    hashed[31] = hashed[31] & 127 | 64
    order = 2**252 + 27742317777372353535851937790883648493
    identity, digest = b"\1" + bytes(31), tagged_hash(Tag.CARD, MESSAGE)
    challenge = int.from_bytes(hashlib.sha512(identity + public + digest).digest(), "little")
    s = challenge * int.from_bytes(hashed, "little") % order
    signature = identity + s.to_bytes(32, "little")
    key.public_key().verify(signature, digest)
    with pytest.raises(InvalidSignature):
        VerifyingKey(Algorithm.ED25519, public).verify(Tag.CARD, MESSAGE, signature)


def test_an_rsa_key_of_another_size_or_encoding_is_refused() -> None:
    """Step 1.6.1: 3072 bits, DER RSAPublicKey."""
    private = rsa_private_key(3072)
    encoded = rsa_encoded(private)
    wrapped = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ec_key = ec.derive_private_key(5, ec.SECP256R1()).public_key()
    other_kind = ec_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    without_size = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    ed25519_key_der = without_size.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    others = (wrapped, other_kind, ed25519_key_der)
    small = rsa_encoded(rsa_private_key(2048))
    for wrong in (b"", encoded[:-1], encoded + b"\0", *others, small):
        with pytest.raises(BadEncoding, match="rsa"):
            VerifyingKey(Algorithm.RSA3072, wrong)


@pytest.mark.parametrize("exponent", [3, 65539, 2**3071 + 1], ids=["3", "65539", "3072 bits"])
def test_an_rsa_key_of_another_exponent_is_refused(exponent: int) -> None:
    """Step 1.6.1; a long one would make each verification cost 60 times as much."""
    modulus = rsa_private_key(3072).public_key().public_numbers().n
    encoded = RSAPublicKey({"modulus": modulus, "public_exponent": exponent}).dump()
    with pytest.raises(BadEncoding, match="exponent 65537 is wanted"):
        VerifyingKey(Algorithm.RSA3072, encoded)


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(BadEncoding, match="algorithm 4"):
        VerifyingKey.read(Reader(b"\4\0\0", "key"))


@pytest.mark.parametrize("make", KEYS, ids=["p256", "ed25519", "rsa3072"])
def test_a_key_is_read_back_as_it_was_written(make: Callable[[], SoftwareKey]) -> None:
    key = make().public
    reader = Reader(key.to_bytes(), "key")
    assert VerifyingKey.read(reader) == key
    reader.end()
