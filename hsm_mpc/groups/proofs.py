"""The Schnorr signature of COCKTAIL-DKG as everybody verifies it (section 2.2): no secret here.

Proofs of possession and the signatures of the transcript. It is neither BIP 340 nor EdDSA.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum
from typing import Final, Protocol

from hsm_mpc.encoding import Reader, u32le, u64be
from hsm_mpc.errors import BadEncoding, InvalidSignature
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.ed25519 import ED25519, Ed25519, hash_to_scalar
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1, Secp256k1
from hsm_mpc.tags import Tag, tagged_hash


class PublicSuite(Protocol):
    """The half of a suite (section 2.1) that needs no secret."""

    @property
    def suite_id(self) -> bytes:
        """ASCII, verbatim."""

    @property
    def group(self) -> Group:
        """Scalars and points."""

    def hash(self, message: bytes) -> bytes:
        """H of public bytes, HL bytes."""

    def challenge(self, commitment: bytes, public_key: bytes, message: bytes) -> int:
        """chal(R, pk, m), a public scalar (step 2.2.2)."""

    def equal_logs_challenge(self, message: bytes) -> int:
        """c of a proof of equal discrete logarithms, a public scalar (step 6.7.6)."""


class PublicCocktailSecp256k1:
    """COCKTAIL(secp256k1, SHA-256)."""

    __slots__ = ()

    suite_id: Final = b"COCKTAIL(secp256k1, SHA-256)"
    group: Final[Secp256k1] = SECP256K1

    def hash(self, message: bytes) -> bytes:
        """SHA-256."""
        return hashlib.sha256(message).digest()

    def challenge(self, commitment: bytes, public_key: bytes, message: bytes) -> int:
        """int_be(TH("COCKTAIL-DKG/H7", R ‖ pk ‖ m)) mod q (step 2.2.2)."""
        digest = tagged_hash(Tag.COCKTAIL_H7, commitment + public_key + message)
        return int.from_bytes(digest, "big") % ORDER

    def equal_logs_challenge(self, message: bytes) -> int:
        """int_be(TH(tag, m)) mod q (step 6.7.6)."""
        return int.from_bytes(tagged_hash(Tag.DLEQ, message), "big") % ORDER


class PublicCocktailEd25519:
    """COCKTAIL(Ed25519, SHA-512)."""

    __slots__ = ()

    suite_id: Final = b"COCKTAIL(Ed25519, SHA-512)"
    group: Final[Ed25519] = ED25519

    def hash(self, message: bytes) -> bytes:
        """SHA-512."""
        return hashlib.sha512(message).digest()

    def challenge(self, commitment: bytes, public_key: bytes, message: bytes) -> int:
        """int_le(SHA-512("COCKTAIL-DKG-Ed25519-SHA512-H7" ‖ R ‖ pk ‖ m)) mod L (step 2.2.2)."""
        prefix = b"COCKTAIL-DKG-Ed25519-SHA512-H7"
        return hash_to_scalar(prefix + commitment + public_key + message)

    def equal_logs_challenge(self, message: bytes) -> int:
        """int_le(SHA-512(tag ‖ m)) mod L (step 6.7.6)."""
        return hash_to_scalar(Tag.DLEQ.ascii + message)


COCKTAIL_SECP256K1: Final = PublicCocktailSecp256k1()
COCKTAIL_ED25519: Final = PublicCocktailEd25519()


def signature_length(suite: PublicSuite) -> int:
    """GL = PL + SL bytes: R ‖ z."""
    return suite.group.point_length + suite.group.scalar_length


def verify(suite: PublicSuite, signature: bytes, public_key: bytes, message: bytes) -> None:
    """Check R ‖ z: z·B − c·pk has the encoding R, so R is a valid point as well (step 2.2.4).

    Raises:
        InvalidSignature: wrong length, z not canonical, or the equation fails.
    """
    group = suite.group
    reader = Reader(signature, "a signature of the key generation")
    try:
        commitment = reader.take(group.point_length)
        answer = group.parse_scalar(reader.take(group.scalar_length))
        reader.end()
    except BadEncoding as malformed:
        raise InvalidSignature(str(malformed)) from malformed
    challenge = suite.challenge(commitment, public_key, message)
    if group.multiply_with_base(public_key, -challenge, answer) != commitment:
        raise InvalidSignature("a signature of the key generation does not verify")


class ContextLabel(bytes, Enum):
    """What a context is for: ASCII, hashed first, so that no two kinds of session share one."""

    KEY_GENERATION = b"COCKTAIL-DKG-CONTEXT"
    REFRESH = b"HSM-MPC-REFRESH-CONTEXT"
    REPAIR = b"HSM-MPC-REPAIR-CONTEXT"
    RESHARE = b"HSM-MPC-RESHARE-CONTEXT"


def context_of(
    suite: PublicSuite,
    session: bytes,
    keys: Sequence[bytes],
    label: ContextLabel = ContextLabel.KEY_GENERATION,
) -> bytes:
    """What every signature and pad of the session `session` (sid) is bound to, HL bytes.

    `keys` are those that the pads join: P_1..P_n of a key generation (step 2.4.2), V_1..V_n of a
    refresh (step 6.4.1) or a repair (step 6.7.2), V_1..V_n and V'_1..V'_n' of a resharing (6.8.2).
    """
    return suite.hash(
        label.value
        + u64be(len(session))
        + session
        + u64be(len(suite.suite_id))
        + suite.suite_id
        + u32le(len(keys))
        + b"".join(keys)
    )
