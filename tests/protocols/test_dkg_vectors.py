"""COCKTAIL-DKG on both curves, byte for byte as published (sections 2.2 to 2.5, 8.1)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hsm_mpc.encoding import u64le
from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.groups import proofs
from hsm_mpc.protocols import dkg, schnorr
from hsm_mpc.protocols.dealing import possession_message
from hsm_mpc.protocols.dkg_messages import transcript
from hsm_mpc.protocols.pads import static_halves
from hsm_mpc.protocols.rounds import abort, advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, publish
from tests.protocols.cocktail import Vector, interpolated, load
from tests.protocols.keygen import encoded, times_base
from tests.secure.bytes_of import at, filled

NAMES = ("2-of-3", "3-of-5", "7-of-14", "with payloads")
WITH_PAYLOADS = 3
WITHOUT_PAYLOADS = (0, 1, 2)
RECOVERIES = (0, 3)


@pytest.fixture(params=range(len(NAMES)), ids=NAMES)
def vector(request: pytest.FixtureRequest, vectors: Path, any_suite: Suite) -> Vector:
    loaded = load(vectors, any_suite)
    assert len(loaded) == len(NAMES)
    chosen: Vector = loaded[request.param]
    return chosen


def hash_input(suite: Suite, purpose: str, message: bytes) -> bytes:
    """All that is hashed: on secp256k1 both tag hashes first, on Ed25519 a prefix."""
    if b"Ed25519" in suite.suite_id:
        return f"COCKTAIL-DKG-Ed25519-SHA512-{purpose}".encode("ascii") + message
    return hashlib.sha256(f"COCKTAIL-DKG/{purpose}".encode("ascii")).digest() * 2 + message


def test_static_keys(vector: Vector) -> None:
    for index, (secret, key) in enumerate(zip(vector.statics, vector.static_keys, strict=True), 1):
        assert vector.derived_static(index) == secret
        assert times_base(vector.suite, secret) == key


def test_context(vector: Vector) -> None:
    """Step 2.4.2."""
    assert vector.setup(1).context.hex() == vector.json["context"]


def test_plaintexts_and_ciphertexts(vector: Vector, protocol_arena: Arena) -> None:
    """Steps 2.3 and 2.5.7: all n² open to share ‖ payload and are sealed to the same bytes."""
    for sender in range(1, vector.holders + 1):
        shares = []
        for receiver in range(1, vector.holders + 1):
            plaintext = vector.plaintext(protocol_arena, sender, receiver)
            assert plaintext[32:] == vector.payloads[sender - 1]
            shares.append(vector.suite.group.parse_scalar(plaintext[:32]))
            again = vector.sealed_again(protocol_arena, sender, receiver, plaintext)
            assert again == vector.dealing(sender).sealed[receiver - 1]
        coefficients = interpolated(shares, vector.suite.group.order)
        assert len(coefficients) == vector.threshold
        assert vector.dealing(sender).commitments == tuple(
            times_base(vector.suite, coefficient) for coefficient in coefficients
        )


def test_proofs_of_possession(vector: Vector, protocol_arena: Arena) -> None:
    """Steps 2.2 and 2.5.2, with every intermediate value."""
    suite, setup = vector.suite, vector.setup(1)
    for index in range(1, vector.holders + 1):
        dealing = vector.dealing(index)
        published = vector.json["round1"][index - 1]["pop_intermediate"]
        message = possession_message(setup, dealing.commitments, dealing.ephemeral)
        constant = interpolated(
            [
                suite.group.parse_scalar(vector.plaintext(protocol_arena, index, each)[:32])
                for each in range(1, vector.threshold + 1)
            ],
            suite.group.order,
        )[0]
        assert message.hex() == published["message"]
        hashed = encoded(suite, constant) + message
        assert hash_input(suite, "NONCE", hashed).hex() == published["nonce_input"]
        r = dealing.possession[: suite.group.point_length]
        assert r.hex() == published["nonce_commitment"]
        public = dealing.commitments[0]
        challenged = hash_input(suite, "H7", r + public + message)
        assert challenged.hex() == published["challenge_input"]
        assert suite.challenge(r, public, message) == vector.scalar(published["challenge"])
        with protocol_arena.scope() as take, take(32).open() as out:
            prefixed = suite.nonce_prefix + hashed
            slot = filled(take(len(prefixed)), prefixed)
            key = filled(take(32), encoded(suite, constant))
            with slot.open() as start, key.open() as secret:
                suite.nonce_scalar(start, len(prefixed), out)
                assert at(out, 32).hex() == published["nonce"]
                signed = schnorr.sign(suite, protocol_arena, secret, public, message)
        assert signed == dealing.possession
        proofs.verify(suite, signed, public, message)


def keep_of(vector: Vector, me: int, arena: Arena, static: Secret) -> dkg.Keep1to2:
    """What holder `me` kept from round 1."""
    halves = arena.take(vector.suite.group.point_length * vector.holders)
    with static.open() as own, halves.open() as half:
        static_halves(vector.suite, own, vector.static_keys, half)
    return dkg.Keep1to2(vector.setup(me), vector.dealing(me), halves)


@pytest.mark.parametrize("position", WITHOUT_PAYLOADS, ids=NAMES[:WITH_PAYLOADS])
def test_rounds_2_and_3_of_every_holder(
    vectors: Path, any_suite: Suite, protocol_arena: Arena, position: int
) -> None:
    """Steps 2.5.5 to 2.5.12: shares, public shares, group key, T, signatures."""
    vector = load(vectors, any_suite)[position]
    holders = range(1, vector.holders + 1)
    messages = {j: vector.dealing(j).to_bytes() for j in holders}
    signatures = {j: vector.signature(j) for j in holders}
    for me in holders:
        published = vector.json["round2"][me - 1]
        assert published["participant_id"] == me
        with protocol_arena.scope() as take:
            static = filled(take(32), encoded(any_suite, vector.statics[me - 1]))
            keep = keep_of(vector, me, protocol_arena, static)
            result = advance(dkg.exchange, keep, static, messages)
            assert publish(result.share).hex() == published["secret_share"]
            assert [each.hex() for each in result.public_shares] == [
                each["verification_share"] for each in vector.json["round2"]
            ]
            assert result.commitments[0].hex() == vector.json["group_public_key"]
            hashed = vector.suite.hash(result.transcript).hex()
            assert hashed == vector.json["round3"]["transcript_hash"]
            kept, outbox = advance(dkg.confirm, result, static)
            assert outbox.to_all == signatures[me]
            agreement = advance(dkg.finish, kept, signatures)
            assert agreement.signatures == tuple(signatures[j] for j in holders)


def test_transcript_and_its_signatures(vector: Vector, protocol_arena: Arena) -> None:
    """Steps 2.5.10 to 2.5.12, payloads or not."""
    suite = vector.suite
    dealings = [vector.dealing(index) for index in range(1, vector.holders + 1)]
    text = transcript(vector.setup(1), dealings).to_bytes()
    assert suite.hash(text).hex() == vector.json["round3"]["transcript_hash"]
    for index, (secret, key) in enumerate(zip(vector.statics, vector.static_keys, strict=True), 1):
        with protocol_arena.scope() as take, filled(take(32), encoded(suite, secret)).open() as own:
            signed = schnorr.sign(suite, protocol_arena, own, key, text)
        assert signed == vector.signature(index)
        proofs.verify(suite, vector.signature(index), key, text)


def test_extension_of_the_payloads(vector: Vector) -> None:
    """Section 8.1: ext = H(u64le(n) ‖ Σ u64le(len payload_j) ‖ payload_j); else it is empty."""
    if not any(vector.payloads):
        assert vector.extension == b""
        return
    listed = b"".join(u64le(len(each)) + each for each in vector.payloads)
    assert vector.suite.hash(u64le(vector.holders) + listed) == vector.extension


@pytest.mark.parametrize("position", RECOVERIES)
def test_recovery(vectors: Path, any_suite: Suite, protocol_arena: Arena, position: int) -> None:
    """Step 2.6.11: a holder with its d and the framed ciphertexts has its share again."""
    vector = load(vectors, any_suite)[position]
    recovery = vector.json["recovery"]
    me = recovery["participant_id"]
    holders, group = range(1, vector.holders + 1), any_suite.group
    total = 0
    for sender in holders:
        sealed = vector.dealing(sender).sealed[me - 1]
        assert sealed.hex() == recovery["ciphertexts"][sender - 1]
        share = group.parse_scalar(vector.plaintext(protocol_arena, sender, me)[:32])
        commitments = vector.dealing(sender).commitments
        assert times_base(any_suite, share) == group.evaluate(commitments, me)  # step 2.5.8
        total += share
    assert encoded(any_suite, total).hex() == recovery["recovered_secret_share"]
    assert times_base(any_suite, total).hex() == recovery["recovered_verification_share"]


def test_a_dealing_with_payloads_is_refused(
    vectors: Path, any_suite: Suite, protocol_arena: Arena
) -> None:
    """Step 2.3.7: exactly 48 bytes in our use."""
    vector = load(vectors, any_suite)[WITH_PAYLOADS]
    messages = {j: vector.dealing(j).to_bytes() for j in range(1, vector.holders + 1)}
    with protocol_arena.scope() as take:
        static = filled(take(32), encoded(any_suite, vector.statics[0]))
        keep = keep_of(vector, 1, protocol_arena, static)
        with pytest.raises(ProtocolAbort, match="not 48 bytes long") as caught:
            dkg.exchange(keep, static, messages)
        assert caught.value.culprits == (2, 3)
        abort(keep)
