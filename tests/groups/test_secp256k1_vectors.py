"""secp256k1: hashes, BIP 340 and key agreement against published vectors."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Final

import pytest
from coincurve import PrivateKey, PublicKey
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.errors import InvalidSignature
from hsm_mpc.groups.secp256k1 import (
    ORDER,
    SECP256K1,
    Point,
    tagged_hash_into,
    tagged_hash_public,
    verify_bip340,
)
from hsm_mpc.secure.arena import Arena, Take
from hsm_mpc.tags import Tag, tagged_hash
from tests.secure.bytes_of import at, filled, write

scalars = st.integers(1, ORDER - 1)


def be(value: int) -> bytes:
    return value.to_bytes(32, "big")


def times_g(scalar: int) -> Point:
    point = SECP256K1.base_multiple(scalar)
    assert point is not None
    return point


# --- hashes and signatures ------------------------------------------------------------------------


@given(message=st.binary(min_size=1, max_size=300))
def test_a_tagged_hash_of_a_secret_is_that_of_the_same_bytes(
    group_arena: Arena, message: bytes
) -> None:
    """Step 1.1.4."""
    expected = tagged_hash(Tag.COCKTAIL_H6, message)
    with group_arena.scope() as take:
        hashed = filled(take(len(message)), message)
        with hashed.open() as start, take(32).open() as out:
            tagged_hash_into(Tag.COCKTAIL_H6, start, len(message), out)
            assert at(out, 32) == expected
            assert tagged_hash_public(Tag.COCKTAIL_H6, start, len(message)) == expected


def test_bip340_vectors(vectors: Path) -> None:
    """Step 3.1.11: 19 vectors, messages of any length."""
    table = (vectors / "bips" / "bip-0340-test-vectors.csv").read_text("utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    assert len(rows) == 19
    for row in rows:
        key, message, signature = (
            bytes.fromhex(row[name]) for name in ("public key", "message", "signature")
        )
        if row["verification result"] == "TRUE":
            verify_bip340(key, message, signature)
        else:
            with pytest.raises(InvalidSignature):
                verify_bip340(key, message, signature)


def test_a_bip340_signature_of_another_length_does_not_verify() -> None:
    """The library reads 64 and 32 bytes whatever it is given."""
    key = PrivateKey(be(3))
    message = hashlib.sha256(b"m").digest()
    signature = key.sign_schnorr(message)
    public = key.public_key_xonly.format()
    verify_bip340(public, message, signature)
    for wrong_key, wrong_signature in (
        (public, signature + b"\0"),
        (public, signature[:-1]),
        (public + b"\0", signature),
        (public[:-1], signature),
    ):
        with pytest.raises(InvalidSignature):
            verify_bip340(wrong_key, message, wrong_signature)


# --- key agreement --------------------------------------------------------------------------------

UNCOMPRESSED: Final = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
COMPRESSED: Final = bytes.fromhex("3036301006072a8648ce3d020106052b8104000a032200")


def _public_key(encoded: bytes) -> Point | None:
    """The point in a DER SubjectPublicKeyInfo of the two forms that 8.1 names."""
    try:
        if encoded.startswith(UNCOMPRESSED) and len(encoded) == len(UNCOMPRESSED) + 65:
            return SECP256K1.parse_point(PublicKey(encoded[len(UNCOMPRESSED) :]).format())
        if encoded.startswith(COMPRESSED) and len(encoded) == len(COMPRESSED) + 33:
            return SECP256K1.parse_point(encoded[len(COMPRESSED) :])
    except ValueError:
        return None
    return None


def test_wycheproof_key_agreement(vectors: Path, take: Take) -> None:
    """Step 2.3.3: 473 valid agree, 49 invalid are refused, 230 acceptable agree or are refused."""
    cases = json.loads((vectors / "wycheproof" / "ecdh_secp256k1_test.json").read_text("utf-8"))
    secret, out = take(32), take(33)
    counts = {"valid": 0, "invalid": 0, "acceptable": 0}
    for case in (case for group in cases["testGroups"] for case in group["tests"]):
        counts[case["result"]] += 1
        point = _public_key(bytes.fromhex(case["public"]))
        if point is None:
            assert case["result"] != "valid", case
            continue
        assert case["result"] != "invalid", case
        write(secret, be(int(case["private"], 16)))
        with secret.open() as own, out.open() as shared:
            SECP256K1.diffie_hellman_at(own, point, shared)
            assert at(shared + 1, 32).hex() == case["shared"], case
    assert counts == {"valid": 473, "invalid": 49, "acceptable": 230}
