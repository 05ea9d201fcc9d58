"""RFC 9591 and ZF's files for secp256k1: test-only suites on the product's curve (section 4.8)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hsm_mpc.errors import InvalidSignature
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1
from tests.protocols.rfc9591.suites import Commitment, Frost, FrostTaproot, is_refused, times_g

FILES = [
    ("rfc9591/frost-secp256k1-sha256.json", Frost()),
    ("zf-frost/frost-secp256k1/vectors.json", Frost()),
    ("zf-frost/frost-secp256k1/vectors-big-identifier.json", Frost()),
    ("zf-frost/frost-secp256k1-tr/vectors.json", FrostTaproot()),
    ("zf-frost/frost-secp256k1-tr/vectors-big-identifier.json", FrostTaproot()),
]
FOLDERS = [("zf-frost/frost-secp256k1", Frost()), ("zf-frost/frost-secp256k1-tr", FrostTaproot())]


def read(vectors: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((vectors / name).read_text())
    return document


def identifier(value: int | str) -> int:
    """An integer, or 32 bytes of scalar in hex."""
    return value if isinstance(value, int) else int(value, 16)


def by_identifier(entries: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {identifier(entry["identifier"]): entry for entry in entries}


@pytest.mark.parametrize(("name", "suite"), FILES)
def test_every_value_of_a_signature_is_reproduced(vectors: Path, name: str, suite: Frost) -> None:
    document = read(vectors, name)
    inputs = document["inputs"]
    key = bytes.fromhex(inputs.get("group_public_key") or inputs["verifying_key_key"])
    message = bytes.fromhex(inputs["message"])
    secret = int(inputs["group_secret_key"], 16)
    coefficients = [secret, *(int(c, 16) for c in inputs["share_polynomial_coefficients"])]
    assert times_g(secret) == key
    shares = {}
    for at, entry in by_identifier(inputs["participant_shares"]).items():
        shares[at] = int(entry["participant_share"], 16)
        dealt = sum(c * pow(at, k, ORDER) for k, c in enumerate(coefficients)) % ORDER
        assert dealt == shares[at]

    first = by_identifier(document["round_one_outputs"]["outputs"])
    second = by_identifier(document["round_two_outputs"]["outputs"])
    assert list(first) == [identifier(at) for at in inputs["participant_list"]] == list(second)
    nonces, listed = {}, []
    for at, entry in first.items():
        for kind in ("hiding", "binding"):
            random = bytes.fromhex(entry[f"{kind}_nonce_randomness"])
            nonce = suite.nonce(random, shares[at])
            assert nonce == int(entry[f"{kind}_nonce"], 16)
            assert times_g(nonce).hex() == entry[f"{kind}_nonce_commitment"]
        nonces[at] = int(entry["hiding_nonce"], 16), int(entry["binding_nonce"], 16)
        listed.append(Commitment(at, times_g(nonces[at][0]), times_g(nonces[at][1])))

    factors = suite.binding_factors(key, message, listed)
    signed = {}
    for at, entry in first.items():
        preimage = suite.binding_input(key, message, listed, at)
        assert preimage.hex() == entry["binding_factor_input"]
        assert factors[at] == int(entry["binding_factor"], 16)
        signed[at] = suite.share(key, message, listed, at, nonces[at], shares[at])
        assert signed[at] == int(second[at]["sig_share"], 16)

    signature = suite.signature(key, message, listed, signed)
    assert signature.hex() == document["final_output"]["sig"]
    suite.verify(key, message, signature)
    with pytest.raises(InvalidSignature):
        suite.verify(key, message + b"!", signature)


@pytest.mark.parametrize(("folder", "suite"), FOLDERS)
def test_every_value_of_a_key_generation_is_reproduced(
    vectors: Path, folder: str, suite: Frost
) -> None:
    """Step 4.8.3. We do not use this key generation."""
    inputs = read(vectors, f"{folder}/vectors_dkg.json")["inputs"]
    parties = {int(at): entry for at, entry in inputs.items() if at.isdigit()}
    assert len(parties) == 3
    polynomials = {
        at: (int(entry["signing_key"], 16), int(entry["coefficient"], 16))
        for at, entry in parties.items()
    }

    def dealt(dealer: int, receiver: int) -> int:
        constant, slope = polynomials[dealer]
        return (constant + slope * receiver) % ORDER

    for at, entry in parties.items():
        assert [times_g(c).hex() for c in polynomials[at]] == entry["vss_commitments"]
        own = bytes.fromhex(entry["vss_commitments"][0])
        commitment, z = suite.dkg_proof(bytes.fromhex(entry["proof_of_knowledge"]))
        challenge = suite.dkg_challenge(at, own, commitment)
        expected = SECP256K1.linear_combination([(1, commitment), (challenge, own)])
        assert times_g(z) == expected
        for dealer, share in entry["signing_shares"].items():
            assert dealt(int(dealer), at) == int(share, 16)

    key = SECP256K1.combine(times_g(constant) for constant, _ in polynomials.values())
    assert key is not None
    for at, entry in parties.items():
        total = sum(dealt(dealer, at) for dealer in parties)
        published, share = suite.dkg_result(key, total)
        assert published.hex() == inputs["verifying_key"]
        assert share % ORDER == int(entry["signing_share"], 16)
        assert times_g(share).hex() == entry["verifying_share"]


@pytest.mark.parametrize("folder", [folder for folder, _ in FOLDERS])
def test_the_sums_of_a_repair_are_reproduced(vectors: Path, folder: str) -> None:
    """Step 4.8.4."""
    for values in read(vectors, f"{folder}/repair-share.json").values():
        numbers = {name: int(value, 16) for name, value in values.items()}
        (total,) = [value for name, value in numbers.items() if name.endswith("_sum")]
        assert (sum(numbers.values()) - total) % ORDER == total


@pytest.mark.parametrize("folder", [folder for folder, _ in FOLDERS])
def test_the_invalid_element_is_no_point(vectors: Path, folder: str) -> None:
    """Step 1.3.3."""
    element = read(vectors, f"{folder}/elements.json")["elements"]["invalid_element"]
    assert is_refused(bytes.fromhex(element))
