"""Proofs of equal discrete logarithms (step 6.7.6)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_mpc.errors import BackendError, BadEncoding, InvalidSignature
from hsm_mpc.protocols.equal_logs import Bases, Revealed, reveal, verify
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, Take
from hsm_mpc.tags import Tag, tagged_hash
from tests.protocols.forgery import encoded, times_base
from tests.protocols.keygen import leaving_nothing, scripted
from tests.protocols.test_dkg_blame import unreduced
from tests.secure.bytes_of import filled

SESSION = b"sid of the tests".ljust(32, b".")
V, Q_1, Q_2, NONCE = 12345, 678, 90123, 4567
"""As scalars: the test knows all logarithms."""


def bases_of(suite: Suite, v: int = V) -> Bases:
    return Bases(times_base(suite, v), times_base(suite, Q_1), times_base(suite, Q_2))


def revealed(suite: Suite, take: Take, v: int = V, nonce: int = NONCE) -> Revealed:
    secret = filled(take(32), encoded(suite, v))
    return reveal(suite, SESSION, bases_of(suite, v), secret, scripted(suite, nonce))


def accepts(suite: Suite, bases: Bases, shown: Revealed, session: bytes = SESSION) -> bool:
    try:
        verify(suite, session, bases, shown)
    except InvalidSignature:
        return False
    return True


def hashed_by_hand(suite: Suite, message: bytes) -> int:
    """h2s of section 1.5 with the tag."""
    if suite.group.point_length == 33:
        return int.from_bytes(tagged_hash(Tag.DLEQ, message), "big") % suite.group.order
    digest = hashlib.sha512(b"hsm-mpc/v1/dleq" + message).digest()
    return int.from_bytes(digest, "little") % suite.group.order


def proof_by_hand(suite: Suite, v: int, first: int, second: int, nonces: tuple[int, ...]) -> bytes:
    """c ‖ z, of S_1 and S_2 and nonces of the test's choice; z answers for the first nonce."""
    scalars = (v, Q_1, first, Q_2, second, nonces[0], nonces[1] * Q_1, nonces[2] * Q_2)
    c = hashed_by_hand(suite, SESSION + b"".join(times_base(suite, each) for each in scalars))
    return encoded(suite, c) + encoded(suite, nonces[0] + c * v)


def test_a_proof_is_what_the_specification_says(any_suite: Suite, take: Take) -> None:
    shown = revealed(any_suite, take)
    assert shown.first == times_base(any_suite, V * Q_1)
    assert shown.second == times_base(any_suite, V * Q_2)
    assert shown.proof == proof_by_hand(any_suite, V, V * Q_1, V * Q_2, (NONCE,) * 3)


@settings(max_examples=10, deadline=None)
@given(v=st.integers(1, 2**252), nonce=st.integers(1, 2**252))
def test_what_was_revealed_verifies(
    any_suite: Suite, protocol_arena: Arena, v: int, nonce: int
) -> None:
    with protocol_arena.scope() as take:
        shown = revealed(any_suite, take, v, nonce)
    assert accepts(any_suite, bases_of(any_suite, v), shown)
    assert not accepts(any_suite, bases_of(any_suite, v + 1), shown)


@pytest.mark.parametrize("wrong", ["first", "second", "both"])
def test_another_multiple_is_not_proven(any_suite: Suite, wrong: str) -> None:
    """Who knows v shows S_1 or S_2 of another v, with the best proof there is for it."""
    first = (V + (wrong != "second")) * Q_1
    second = (V + (wrong != "first")) * Q_2
    proof = proof_by_hand(any_suite, V, first, second, (NONCE,) * 3)
    shown = Revealed(times_base(any_suite, first), times_base(any_suite, second), proof)
    assert not accepts(any_suite, bases_of(any_suite), shown)


@pytest.mark.parametrize("other", [1, 2])
def test_each_equation_has_the_same_nonce(any_suite: Suite, other: int) -> None:
    nonces = [NONCE] * 3
    nonces[other] += 1
    proof = proof_by_hand(any_suite, V, V * Q_1, V * Q_2, tuple(nonces))
    shown = Revealed(times_base(any_suite, V * Q_1), times_base(any_suite, V * Q_2), proof)
    assert not accepts(any_suite, bases_of(any_suite), shown)


def test_a_proof_belongs_to_its_session_and_its_points(any_suite: Suite, take: Take) -> None:
    shown, bases = revealed(any_suite, take), bases_of(any_suite)
    assert accepts(any_suite, bases, shown)
    assert not accepts(any_suite, bases, shown, b"another sid".ljust(32, b"."))
    other = times_base(any_suite, 5)
    for name in ("public_key", "first", "second"):
        assert not accepts(any_suite, replace(bases, **{name: other}), shown)
    for name in ("first", "second"):
        assert not accepts(any_suite, bases, replace(shown, **{name: other}))
    swapped = Revealed(shown.second, shown.first, shown.proof)
    assert not accepts(any_suite, bases, swapped)


def test_a_flipped_bit_does_not_verify(any_suite: Suite, take: Take) -> None:
    shown = revealed(any_suite, take)
    for flip in range(0, 512, 19):
        changed = bytearray(shown.proof)
        changed[flip // 8] ^= 1 << flip % 8
        assert not accepts(any_suite, bases_of(any_suite), replace(shown, proof=bytes(changed)))


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_a_proof_of_another_length_is_refused(any_suite: Suite, take: Take, length: int) -> None:
    shown = revealed(any_suite, take)
    with pytest.raises(InvalidSignature, match=r"bytes|left"):
        proof = (shown.proof + b"\0")[:length]
        verify(any_suite, SESSION, bases_of(any_suite), replace(shown, proof=proof))


def test_both_scalars_are_canonical(any_suite: Suite, take: Take) -> None:
    """No second proof of the same thing."""
    shown, order = revealed(any_suite, take), any_suite.group.order
    for start in (0, 32):
        scalar = any_suite.group.parse_scalar(shown.proof[start : start + 32])
        if scalar + order < 2**256:
            higher = unreduced(any_suite, scalar)
            proof = shown.proof[:start] + higher + shown.proof[start + 32 :]
            with pytest.raises(InvalidSignature, match="below the order") as refusal:
                verify(any_suite, SESSION, bases_of(any_suite), replace(shown, proof=proof))
            assert isinstance(refusal.value.__cause__, BadEncoding)
    largest = b"\xff" * 64
    with pytest.raises(InvalidSignature, match="below the order"):
        verify(any_suite, SESSION, bases_of(any_suite), replace(shown, proof=largest))


def test_a_nonce_of_zero_is_refused(any_suite: Suite) -> None:
    """Steps 1.3.6 and 1.4.4: z = c·v makes each R the identity, which has no encoding."""
    c = 5
    shown = Revealed(
        times_base(any_suite, V * Q_1),
        times_base(any_suite, V * Q_2),
        encoded(any_suite, c) + encoded(any_suite, c * V),
    )
    with pytest.raises(InvalidSignature, match="nonce is 0"):
        verify(any_suite, SESSION, bases_of(any_suite), shown)


def test_a_challenge_of_zero_is_no_proof(any_suite: Suite, take: Take) -> None:
    shown = revealed(any_suite, take)
    zero = encoded(any_suite, 0) + encoded(any_suite, 7)
    assert not accepts(any_suite, bases_of(any_suite), replace(shown, proof=zero))


def test_what_was_revealed_survives_its_encoding(any_suite: Suite, take: Take) -> None:
    shown, group = revealed(any_suite, take), any_suite.group
    encoded_ = shown.to_bytes()
    assert Revealed.from_bytes(encoded_, group) == shown
    for wrong in (encoded_[:-1], encoded_ + b"\0", b""):
        with pytest.raises(BadEncoding):
            Revealed.from_bytes(wrong, group)
    width = group.point_length
    for start in (0, width):
        with pytest.raises(BadEncoding, match="point"):
            spoilt = encoded_[:start] + bytes(width) + encoded_[start + width :]
            Revealed.from_bytes(spoilt, group)


def test_revealing_wipes_its_nonce(any_suite: Suite, protocol_arena: Arena, take: Take) -> None:
    """Step 1.8.9: also when the randomness fails."""

    def failing(into: Secret) -> None:
        raise BackendError("no randomness")

    secret, bases = filled(take(32), encoded(any_suite, V)), bases_of(any_suite)
    with leaving_nothing(protocol_arena):
        reveal(any_suite, SESSION, bases, secret, scripted(any_suite, NONCE))
    with leaving_nothing(protocol_arena), pytest.raises(BackendError) as caught:
        reveal(any_suite, SESSION, bases, secret, failing)
    assert caught.tb, "whose frames still hold the slot"
