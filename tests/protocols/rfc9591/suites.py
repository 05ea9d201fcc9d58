"""FROST of RFC 9591 on secp256k1, in two dialects: for its vectors alone (section 4.8).

No product path signs with it. Secrets are Python integers here. The names are those of
docs/protocols/signing.md 4.2 and 4.3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1, verify_bip340
from hsm_mpc.tags import Tag, tagged_hash


def scalar(value: int) -> bytes:
    """32 bytes big-endian; also the form of an identifier, which may exceed one byte."""
    return (value % ORDER).to_bytes(32, "big")


def times_g(value: int) -> bytes:
    point = SECP256K1.base_multiple(value)
    assert point is not None
    return bytes(point)


def is_odd(point: bytes) -> bool:
    return point[0] == 3


def even(point: bytes) -> bytes:
    return bytes(SECP256K1.negate_point(point)) if is_odd(point) else point


def expand_message_xmd(message: bytes, dst: bytes) -> bytes:
    """48 bytes (step 1.5.1)."""
    domain = dst + bytes([len(dst)])
    b0 = hashlib.sha256(bytes(64) + message + b"\0\x30" + b"\0" + domain).digest()
    b1 = hashlib.sha256(b0 + b"\1" + domain).digest()
    mixed = bytes(left ^ right for left, right in zip(b0, b1, strict=True))
    b2 = hashlib.sha256(mixed + b"\2" + domain).digest()
    return (b1 + b2)[:48]


def lagrange(identifier: int, identifiers: Sequence[int]) -> int:
    """λ at 0; identifiers may exceed 255 here."""
    numerator = denominator = 1
    for other in identifiers:
        if other != identifier:
            numerator *= other
            denominator *= other - identifier
    return numerator * pow(denominator, -1, ORDER) % ORDER


@dataclass(frozen=True)
class Commitment:
    """What a signer publishes: (i, D, E)."""

    identifier: int
    hiding: bytes
    binding: bytes


@dataclass(frozen=True)
class Signed:
    """The values of step 4.3.4 that every signer shares."""

    commitment: bytes
    challenge: int


class Frost:
    """FROST(secp256k1, SHA-256) (step 4.8.1)."""

    context = b"FROST-secp256k1-SHA256-v1"

    def hashed(self, label: bytes, message: bytes) -> int:
        """H1, H3 and HDKG: a scalar, by label."""
        expanded = expand_message_xmd(message, self.context + label)
        return int.from_bytes(expanded, "big") % ORDER

    def digest(self, label: bytes, message: bytes) -> bytes:
        """H4 and H5."""
        return hashlib.sha256(self.context + label + message).digest()

    def challenge(self, commitment: bytes, key: bytes, message: bytes) -> int:
        """H2(R ‖ Y ‖ m)."""
        return self.hashed(b"chal", commitment + key + message)

    def nonce(self, random: bytes, share: int) -> int:
        """H3(random ‖ share) (step 4.3.1)."""
        return self.hashed(b"nonce", random + scalar(share))

    def key_and_sign(self, key: bytes) -> tuple[bytes, int]:
        """Y as it is hashed, and what shares are multiplied with."""
        return key, 1

    def binding_input(
        self, key: bytes, message: bytes, listed: Sequence[Commitment], identifier: int
    ) -> bytes:
        """What H1 hashes for one signer (step 4.3.3)."""
        encoded = b"".join(
            scalar(entry.identifier) + entry.hiding + entry.binding for entry in listed
        )
        prefix = self.key_and_sign(key)[0] + self.digest(b"msg", message)
        return prefix + self.digest(b"com", encoded) + scalar(identifier)

    def binding_factors(
        self, key: bytes, message: bytes, listed: Sequence[Commitment]
    ) -> dict[int, int]:
        return {
            entry.identifier: self.hashed(
                b"rho", self.binding_input(key, message, listed, entry.identifier)
            )
            for entry in listed
        }

    def signed(self, key: bytes, message: bytes, listed: Sequence[Commitment]) -> Signed:
        """R and c (step 4.3.4)."""
        factors = self.binding_factors(key, message, listed)
        terms = [(1, entry.hiding) for entry in listed]
        terms += [(factors[entry.identifier], entry.binding) for entry in listed]
        total = SECP256K1.linear_combination(terms)
        assert total is not None
        hashed_key = self.key_and_sign(key)[0]
        return Signed(bytes(total), self.challenge(total, hashed_key, message))

    def nonce_sign(self, signed: Signed) -> int:
        return 1

    def share(
        self,
        key: bytes,
        message: bytes,
        listed: Sequence[Commitment],
        identifier: int,
        nonces: tuple[int, int],
        secret: int,
    ) -> int:
        """z_i (step 4.3.5)."""
        signed = self.signed(key, message, listed)
        factor = self.binding_factors(key, message, listed)[identifier]
        hiding, binding = nonces
        weight = lagrange(identifier, [entry.identifier for entry in listed])
        share_sign = self.key_and_sign(key)[1]
        own = self.nonce_sign(signed) * (hiding + factor * binding)
        return (own + share_sign * weight * secret * signed.challenge) % ORDER

    def signature(
        self,
        key: bytes,
        message: bytes,
        listed: Sequence[Commitment],
        shares: Mapping[int, int],
    ) -> bytes:
        """R ‖ Σ z_i (step 4.3.7)."""
        return self.signed(key, message, listed).commitment + scalar(sum(shares.values()))

    def verify(self, key: bytes, message: bytes, signature: bytes) -> None:
        """z·G = R + c·Y. Raises `InvalidSignature`."""
        commitment, z = signature[:33], int.from_bytes(signature[33:], "big")
        expected = SECP256K1.linear_combination(
            [(1, commitment), (self.challenge(commitment, key, message), key)]
        )
        if times_g(z) != expected:
            raise InvalidSignature("the RFC 9591 signature does not verify")

    def dkg_challenge(self, identifier: int, key: bytes, commitment: bytes) -> int:
        return self.hashed(b"dkg", scalar(identifier) + key + commitment)

    def dkg_proof(self, proof: bytes) -> tuple[bytes, int]:
        """(R, z) of a proof of knowledge (step 4.8.3)."""
        return proof[:33], int.from_bytes(proof[33:], "big")

    def dkg_result(self, key: bytes, share: int) -> tuple[bytes, int]:
        """The published key and a holder's share, of the sums."""
        return key, share


class FrostTaproot(Frost):
    """ZF's "-tr": RFC 9591 whose result is a BIP 340 signature (step 4.8.2)."""

    context = b"FROST-secp256k1-SHA256-TR-v1"

    def challenge(self, commitment: bytes, key: bytes, message: bytes) -> int:
        preimage = commitment[1:] + key[1:] + message
        return int.from_bytes(tagged_hash(Tag.BIP340_CHALLENGE, preimage), "big") % ORDER

    def key_and_sign(self, key: bytes) -> tuple[bytes, int]:
        return even(key), -1 if is_odd(key) else 1

    def nonce_sign(self, signed: Signed) -> int:
        return -1 if is_odd(signed.commitment) else 1

    def signature(
        self,
        key: bytes,
        message: bytes,
        listed: Sequence[Commitment],
        shares: Mapping[int, int],
    ) -> bytes:
        return super().signature(key, message, listed, shares)[1:]

    def verify(self, key: bytes, message: bytes, signature: bytes) -> None:
        verify_bip340(key[1:], message, signature)

    def dkg_proof(self, proof: bytes) -> tuple[bytes, int]:
        return b"\2" + proof[:32], int.from_bytes(proof[32:], "big")

    def dkg_result(self, key: bytes, share: int) -> tuple[bytes, int]:
        """even(Y) + h·G, and the share with the same sign and tweak."""
        tweak = int.from_bytes(tagged_hash(Tag.TAP_TWEAK, key[1:]), "big") % ORDER
        tweaked = SECP256K1.multiply_with_base(even(key), 1, tweak)
        assert tweaked is not None
        return bytes(tweaked), (-share if is_odd(key) else share) + tweak


def is_refused(point: bytes) -> bool:
    """Whether the group takes these bytes for no point."""
    try:
        SECP256K1.parse_point(point)
    except (BadEncoding, BadInput):
        return True
    return False
