"""COCKTAIL-DKG on secp256k1, byte for byte as published (sections 2.2 to 2.5, 8.1)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hsm_mpc.encoding import u64le
from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.groups import proofs
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1
from hsm_mpc.protocols import dkg, schnorr
from hsm_mpc.protocols.dkg_messages import possession_message, transcript
from hsm_mpc.protocols.pads import static_halves
from hsm_mpc.protocols.rounds import abort, advance
from hsm_mpc.protocols.suite_secp256k1 import CocktailSecp256k1
from hsm_mpc.secure.arena import Arena, Secret, publish
from hsm_mpc.tags import Tag
from tests.protocols.cocktail import Vector, interpolated, load
from tests.protocols.keygen import be, times_g
from tests.secure.bytes_of import at, filled

NAMES = ("2-of-3", "3-of-5", "7-of-14", "with payloads")
WITH_PAYLOADS = 3
WITHOUT_PAYLOADS = (0, 1, 2)
RECOVERIES = (0, 3)


@pytest.fixture(params=range(len(NAMES)), ids=NAMES)
def vector(request: pytest.FixtureRequest, vectors: Path, suite: CocktailSecp256k1) -> Vector:
    loaded = load(vectors, suite)
    assert len(loaded) == len(NAMES)
    chosen: Vector = loaded[request.param]
    return chosen


def tag_input(tag: Tag, message: bytes) -> bytes:
    """The full hash input of a tagged hash: both tag hashes first."""
    return hashlib.sha256(tag.encode("ascii")).digest() * 2 + message


def test_static_keys(vector: Vector) -> None:
    for index, (secret, key) in enumerate(zip(vector.statics, vector.static_keys, strict=True), 1):
        assert vector.derived_static(index) == secret
        assert times_g(secret) == key


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
            shares.append(int.from_bytes(plaintext[:32], "big"))
            again = vector.sealed_again(protocol_arena, sender, receiver, plaintext)
            assert again == vector.dealing(sender).sealed[receiver - 1]
        coefficients = interpolated(shares)
        assert len(coefficients) == vector.threshold
        assert tuple(map(times_g, coefficients)) == vector.dealing(sender).commitments


def test_proofs_of_possession(vector: Vector, protocol_arena: Arena) -> None:
    """Steps 2.2 and 2.5.2, with every intermediate value."""
    suite, setup = vector.suite, vector.setup(1)
    for index in range(1, vector.holders + 1):
        dealing = vector.dealing(index)
        published = vector.json["round1"][index - 1]["pop_intermediate"]
        message = possession_message(setup, dealing.commitments, dealing.ephemeral)
        constant = interpolated(
            [
                int.from_bytes(vector.plaintext(protocol_arena, index, each)[:32], "big")
                for each in range(1, vector.threshold + 1)
            ]
        )[0]
        assert message.hex() == published["message"]
        hashed = be(constant) + message
        assert tag_input(Tag.COCKTAIL_NONCE, hashed).hex() == published["nonce_input"]
        r = dealing.possession[:33]
        assert r.hex() == published["nonce_commitment"]
        public = dealing.commitments[0]
        challenged = tag_input(Tag.COCKTAIL_H7, r + public + message)
        assert challenged.hex() == published["challenge_input"]
        assert suite.challenge(r, public, message) == int(published["challenge"], 16)
        with protocol_arena.scope() as take, take(32).open() as out:
            slot, key = filled(take(len(hashed)), hashed), filled(take(32), be(constant))
            with slot.open() as start, key.open() as secret:
                suite.nonce_scalar(start, len(hashed), out)
                assert at(out, 32).hex() == published["nonce"]
                signed = schnorr.sign(suite, protocol_arena, secret, public, message)
        assert signed == dealing.possession
        proofs.verify(suite, signed, public, message)


def keep_of(vector: Vector, me: int, arena: Arena, static: Secret) -> dkg.Keep1to2:
    """What holder `me` kept from round 1."""
    halves = arena.take(33 * vector.holders)
    with static.open() as own, halves.open() as half:
        static_halves(vector.suite, own, vector.static_keys, half)
    return dkg.Keep1to2(vector.setup(me), vector.dealing(me), halves)


@pytest.mark.parametrize("position", WITHOUT_PAYLOADS, ids=NAMES[:WITH_PAYLOADS])
def test_rounds_2_and_3_of_every_holder(
    vectors: Path, suite: CocktailSecp256k1, protocol_arena: Arena, position: int
) -> None:
    """Steps 2.5.5 to 2.5.12: shares, public shares, group key, T, signatures."""
    vector = load(vectors, suite)[position]
    holders = range(1, vector.holders + 1)
    messages = {j: vector.dealing(j).to_bytes() for j in holders}
    signatures = {j: vector.signature(j) for j in holders}
    for me in holders:
        published = vector.json["round2"][me - 1]
        assert published["participant_id"] == me
        with protocol_arena.scope() as take:
            static = filled(take(32), be(vector.statics[me - 1]))
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
        with protocol_arena.scope() as take, filled(take(32), be(secret)).open() as own:
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
def test_recovery(
    vectors: Path, suite: CocktailSecp256k1, protocol_arena: Arena, position: int
) -> None:
    """Step 2.6.11: a holder with its d and the framed ciphertexts has its share again."""
    vector = load(vectors, suite)[position]
    recovery = vector.json["recovery"]
    me = recovery["participant_id"]
    holders = range(1, vector.holders + 1)
    total = 0
    for sender in holders:
        sealed = vector.dealing(sender).sealed[me - 1]
        assert sealed.hex() == recovery["ciphertexts"][sender - 1]
        share = int.from_bytes(vector.plaintext(protocol_arena, sender, me)[:32], "big")
        commitments = vector.dealing(sender).commitments
        assert times_g(share) == SECP256K1.evaluate(commitments, me)  # step 2.5.8
        total += share
    assert be(total).hex() == recovery["recovered_secret_share"]
    assert times_g(total % ORDER).hex() == recovery["recovered_verification_share"]


def test_a_dealing_with_payloads_is_refused(
    vectors: Path, suite: CocktailSecp256k1, protocol_arena: Arena
) -> None:
    """Step 2.3.7: exactly 48 bytes in our use."""
    vector = load(vectors, suite)[WITH_PAYLOADS]
    messages = {j: vector.dealing(j).to_bytes() for j in range(1, vector.holders + 1)}
    with protocol_arena.scope() as take:
        static = filled(take(32), be(vector.statics[0]))
        keep = keep_of(vector, 1, protocol_arena, static)
        with pytest.raises(ProtocolAbort, match="not 48 bytes long") as caught:
            dkg.exchange(keep, static, messages)
        assert caught.value.culprits == (2, 3)
        abort(keep)
