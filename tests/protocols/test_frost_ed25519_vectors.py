"""FROST(Ed25519, SHA-512) as published by RFC 9591 and ZF, on the product's functions (8.1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hsm_mpc.groups import sharing
from hsm_mpc.groups.ed25519 import ED25519, ORDER, hash_to_scalar, verify_ed25519
from hsm_mpc.protocols.frost_ed25519.aggregate import aggregate
from hsm_mpc.protocols.frost_ed25519.nonces import CONTEXT, PublicNonce, derive_nonce
from hsm_mpc.protocols.frost_ed25519.partial import sign_partial, verify_partial
from hsm_mpc.protocols.frost_ed25519.session import Session, binding_prefix
from hsm_mpc.protocols.frost_ed25519.signers import SignerSet, identifier
from hsm_mpc.secure.arena import Arena, Secret, copy, move_bytes, publish
from tests.protocols.frost_ed25519 import binding_factor, le, times_b
from tests.secure.bytes_of import filled

FILES = [
    "rfc9591/frost-ed25519-sha512.json",
    "zf-frost/frost-ed25519/vectors.json",
    "zf-frost/frost-ed25519/vectors-big-identifier.json",
]
FOLDER = "zf-frost/frost-ed25519"


def read(vectors: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((vectors / name).read_text("utf-8"))
    return document


def number(encoded: str) -> int:
    return ED25519.parse_scalar(bytes.fromhex(encoded))


def index_of(value: int | str) -> int:
    """An integer, or 32 bytes of scalar in hex."""
    return value if isinstance(value, int) else number(value)


def by_index(entries: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {index_of(entry["identifier"]): entry for entry in entries}


@pytest.mark.parametrize("name", FILES)
def test_every_value_of_a_signature_is_reproduced(
    vectors: Path, name: str, protocol_arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 4.3.1 to 4.3.7. Some identifiers do not fit into a byte, as no roster's index does."""
    monkeypatch.setattr(sharing, "MAX_HOLDERS", 257)
    document = read(vectors, name)
    inputs = document["inputs"]
    key = bytes.fromhex(inputs.get("group_public_key") or inputs["verifying_key_key"])
    message = bytes.fromhex(inputs["message"])
    constant = number(inputs["group_secret_key"])
    coefficients = [constant, *(number(c) for c in inputs["share_polynomial_coefficients"])]
    assert times_b(constant) == key
    shares = {
        at: number(entry["participant_share"])
        for at, entry in by_index(inputs["participant_shares"]).items()
    }
    for at, share in shares.items():
        assert share == sum(c * at**k for k, c in enumerate(coefficients)) % ORDER

    first = by_index(document["round_one_outputs"]["outputs"])
    second = by_index(document["round_two_outputs"]["outputs"])
    indices = tuple(index_of(at) for at in inputs["participant_list"])
    assert tuple(first) == indices == tuple(second)
    with protocol_arena.scope() as take:
        secrets, nonces = {}, []
        for at, entry in first.items():
            secrets[at] = take(64)
            nonces.append(derived(protocol_arena, entry, shares[at], secrets[at]))
            for half, kind in enumerate(("hiding", "binding")):
                scalar = publish(secrets[at])[32 * half : 32 * half + 32]
                assert scalar.hex() == entry[f"{kind}_nonce"]
                point = nonces[-1][32 * half : 32 * half + 32]
                assert point.hex() == entry[f"{kind}_nonce_commitment"]

        keys = tuple(ED25519.parse_point(times_b(shares[at])) for at in indices)
        signers = SignerSet(indices, keys, ED25519.parse_point(key))
        session = Session.of(signers, nonces, message)
        prefix = binding_prefix(signers, nonces, message)
        partials = {}
        for at, entry in first.items():
            assert (prefix + identifier(at)).hex() == entry["binding_factor_input"]
            assert binding_factor(session, at) == number(entry["binding_factor"])
            opened, nonce = filled(take(32), le(shares[at])), take(64)
            copy(nonce, secrets[at])
            partials[at] = sign_partial(session, at, nonce, opened)
            assert partials[at].hex() == second[at]["sig_share"]
            verify_partial(session, at, partials[at])

    signature = aggregate(session, partials)
    assert signature.hex() == document["final_output"]["sig"]
    verify_ed25519(key, message, signature)
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


def derived(arena: Arena, entry: dict[str, Any], share: int, into: Secret) -> PublicNonce:
    """Step 4.3.1 with the published randomness."""
    random = [bytes.fromhex(entry[f"{kind}_nonce_randomness"]) for kind in ("hiding", "binding")]

    def draw(half: int, out: int, _: int) -> None:
        move_bytes(out, random[half], 32)

    with arena.scope() as take:
        return derive_nonce(draw, filled(take(32), le(share)), into)


def test_every_value_of_a_key_generation_is_reproduced(vectors: Path) -> None:
    """Step 4.8.3, a key generation that we do not use: its proofs, commitments, shares and key."""
    inputs = read(vectors, f"{FOLDER}/vectors_dkg.json")["inputs"]
    parties = {int(at): entry for at, entry in inputs.items() if at.isdigit()}
    assert len(parties) == 3
    polynomials = {
        at: (number(entry["signing_key"]), number(entry["coefficient"]))
        for at, entry in parties.items()
    }

    def dealt(dealer: int, receiver: int) -> int:
        constant, slope = polynomials[dealer]
        return (constant + slope * receiver) % ORDER

    for at, entry in parties.items():
        assert [times_b(c).hex() for c in polynomials[at]] == entry["vss_commitments"]
        own = bytes.fromhex(entry["vss_commitments"][0])
        proof = bytes.fromhex(entry["proof_of_knowledge"])
        challenge = hash_to_scalar(CONTEXT + b"dkg" + identifier(at) + own + proof[:32])
        answer = ED25519.parse_scalar(proof[32:])
        assert ED25519.multiply_with_base(own, -challenge, answer) == proof[:32]
        for dealer, share in entry["signing_shares"].items():
            assert dealt(int(dealer), at) == number(share)

    key = ED25519.combine(times_b(constant) for constant, _ in polynomials.values())
    assert key is not None and key.hex() == inputs["verifying_key"]
    for at, entry in parties.items():
        total = sum(dealt(dealer, at) for dealer in parties) % ORDER
        assert total == number(entry["signing_share"])
        assert times_b(total).hex() == entry["verifying_share"]


def test_the_sums_of_a_repair_are_reproduced(vectors: Path) -> None:
    """Step 4.8.4."""
    for values in read(vectors, f"{FOLDER}/repair-share.json").values():
        numbers = {name: number(value) for name, value in values.items()}
        (total,) = [value for name, value in numbers.items() if name.endswith("_sum")]
        assert (sum(numbers.values()) - total) % ORDER == total
