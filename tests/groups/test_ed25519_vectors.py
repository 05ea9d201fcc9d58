"""Ed25519: points and signatures against published vectors (section 8.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from nacl._sodium import ffi, lib

from hsm_mpc.errors import BadEncoding, InvalidSignature
from hsm_mpc.groups.ed25519 import ED25519, verify_ed25519
from hsm_mpc.secure.arena import Take
from tests.groups.edwards import le
from tests.secure.bytes_of import at, filled

BAD_FLAGS = ("low_order", "low_order_component", "non_canonical")


def verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify_ed25519(key, message, signature)
    except InvalidSignature:
        return False
    return True


def is_point(encoded: bytes) -> bool:
    try:
        ED25519.parse_point(encoded)
    except BadEncoding:
        return False
    return True


def cctv(vectors: Path) -> Iterator[tuple[set[str], bytes, bytes, bytes]]:
    """Flags, key, message and signature of each entry."""
    entries = json.loads((vectors / "ed25519" / "cctv-ed25519vectors.json").read_text("utf-8"))
    assert len(entries) == 914
    for entry in entries:
        key, signature = bytes.fromhex(entry["key"]), bytes.fromhex(entry["sig"])
        yield set(entry["flags"] or ()), key, entry["msg"].encode("utf-8"), signature


def test_points_of_the_edge_cases(vectors: Path) -> None:
    """Step 1.4.3: every bad one is refused, every clean one is taken."""
    refused = taken = 0
    for flags, key, _, signature in cctv(vectors):
        for name, point in (("A", key), ("R", signature[:32])):
            bad = any(f"{flag}_{name}" in flags for flag in BAD_FLAGS)
            assert is_point(point) is not bad, (flags, point.hex())
            refused, taken = refused + bad, taken + (not bad)
    assert (refused, taken) == (1752, 76)


def test_signatures_of_the_edge_cases(vectors: Path) -> None:
    """Step 4.3.7: libsodium is strict, and accepts 43."""
    accepted = [flags for flags, *signed in cctv(vectors) if verifies(*signed)]
    assert len(accepted) == 43
    for flags in accepted:
        assert not flags & {"low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R"}


def test_wycheproof_signatures(vectors: Path) -> None:
    """Step 4.3.7: all 151 as published."""
    content = json.loads((vectors / "wycheproof" / "ed25519_test.json").read_text("utf-8"))
    count = 0
    for group in content["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            count += 1
            signed = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            assert verifies(key, *signed) is (case["result"] == "valid"), case
    assert count == 151


def test_the_thousand_signatures_of_the_paper(vectors: Path) -> None:
    """Steps 1.4.3 and 4.3.7: 1024 keys, messages of 0 to 1023 bytes."""
    lines = (vectors / "ed25519" / "djb-sign.input").read_text("ascii").splitlines()
    assert len(lines) == 1024
    for line in lines:
        _, key, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        assert is_point(key) and is_point(signed[:32])
        verify_ed25519(key, message, signed[:64])
        assert not verifies(key, message + b"!", signed[:64])


def test_a_signature_of_another_length_does_not_verify(vectors: Path) -> None:
    line = (vectors / "ed25519" / "djb-sign.input").read_text("ascii").splitlines()[1]
    _, key, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
    signature = signed[:64]
    for wrong_key, wrong in (
        (key, signature + b"\0"),
        (key, signature[:-1]),
        (key[:-1], signature),
    ):
        with pytest.raises(InvalidSignature):
            verify_ed25519(wrong_key, message, wrong)


def test_the_invalid_element_of_frost_is_no_point(vectors: Path) -> None:
    """Step 1.4.3."""
    path = vectors / "zf-frost" / "frost-ed25519" / "elements.json"
    element = json.loads(path.read_text("utf-8"))["elements"]["invalid_element"]
    assert not is_point(bytes.fromhex(element))


def test_key_agreement_takes_no_bad_point(vectors: Path, take: Take) -> None:
    """Steps 1.4.5 and 2.3.3: libsodium refuses all of the bad points by itself, too."""
    out, refused = take(32), 0
    secret = filled(take(32), le(7))
    with secret.open() as scalar, out.open() as shared:
        for flags, key, *_ in cctv(vectors):
            bad = any(f"{flag}_A" in flags for flag in BAD_FLAGS)
            cast = ffi.cast("unsigned char *", scalar), ffi.cast("unsigned char *", shared)
            returned = lib.crypto_scalarmult_ed25519_noclamp(cast[1], cast[0], key)
            assert (returned != 0) is bad
            refused += bad
            if not bad:
                ED25519.diffie_hellman_at(scalar, key, shared)
                assert at(shared, 32) == ED25519.multiply(key, 7)
            else:
                with pytest.raises(BadEncoding):
                    ED25519.diffie_hellman_at(scalar, key, shared)
    assert refused == 886
