"""The Schnorr signature of COCKTAIL (section 2.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.errors import BadEncoding, InvalidSignature, ProtocolAbort
from hsm_mpc.groups import proofs
from hsm_mpc.groups.secp256k1 import ORDER, verify_bip340
from hsm_mpc.protocols import schnorr
from hsm_mpc.protocols.suite_secp256k1 import CocktailSecp256k1
from hsm_mpc.secure.arena import Arena, Take
from tests.protocols.keygen import be, leaving_nothing, times_g
from tests.secure.bytes_of import filled

SECRET = 0xC0FFEE
MESSAGE = b"context, commitments and ephemeral key"


def sign(suite: CocktailSecp256k1, arena: Arena, secret: int, message: bytes) -> bytes:
    with arena.scope() as take, filled(take(32), be(secret)).open() as key:
        return schnorr.sign(suite, arena, key, times_g(secret), message)


@pytest.fixture
def signature(suite: CocktailSecp256k1, protocol_arena: Arena) -> bytes:
    return sign(suite, protocol_arena, SECRET, MESSAGE)


def accepts(suite: CocktailSecp256k1, signature: bytes, secret: int, message: bytes) -> bool:
    try:
        proofs.verify(suite, signature, times_g(secret), message)
    except InvalidSignature:
        return False
    return True


@given(secret=st.integers(1, ORDER - 1), message=st.binary(max_size=200))
def test_what_was_signed_verifies(
    suite: CocktailSecp256k1, protocol_arena: Arena, secret: int, message: bytes
) -> None:
    """Steps 2.2.3 and 2.2.4."""
    signature = sign(suite, protocol_arena, secret, message)
    assert len(signature) == proofs.signature_length(suite) == 65
    assert accepts(suite, signature, secret, message)
    assert not accepts(suite, signature, secret, message + b"\0")
    assert not accepts(suite, signature, secret % (ORDER - 1) + 1, message)


@pytest.mark.parametrize("flip", [*range(0, 264, 11), *range(264, 520, 17)])
def test_a_flipped_bit_does_not_verify(
    suite: CocktailSecp256k1, signature: bytes, flip: int
) -> None:
    """Step 2.2.4: pop_with_wrong_z, and with another R."""
    changed = bytearray(signature)
    changed[flip // 8] ^= 1 << flip % 8
    assert not accepts(suite, bytes(changed), SECRET, MESSAGE)


class Fixed(CocktailSecp256k1):
    """The suite with a challenge that the test knows beforehand."""

    __slots__ = ()
    value = 5

    def challenge(self, commitment: bytes, public_key: bytes, message: bytes) -> int:
        return self.value


class Zero(Fixed):
    __slots__ = ()
    value = 0


def test_z_is_canonical(suite: CocktailSecp256k1) -> None:
    """Step 2.2.4: the same z plus the order is no second signature."""
    fixed = Fixed(suite._aead)
    r = times_g(3 - 5 * SECRET)
    assert accepts(fixed, r + be(3), SECRET, MESSAGE)
    with pytest.raises(InvalidSignature, match="below the order") as refusal:
        proofs.verify(fixed, r + (3 + ORDER).to_bytes(32, "big"), times_g(SECRET), MESSAGE)
    assert isinstance(refusal.value.__cause__, BadEncoding)


@pytest.mark.parametrize("length", [0, 33, 64, 66])
def test_a_signature_of_another_length_is_refused(
    suite: CocktailSecp256k1, signature: bytes, length: int
) -> None:
    """Step 2.2.4."""
    with pytest.raises(InvalidSignature, match="bytes"):
        proofs.verify(suite, (signature + b"\0")[:length], times_g(SECRET), MESSAGE)


def test_a_pop_whose_r_is_no_point_is_refused(suite: CocktailSecp256k1, signature: bytes) -> None:
    """Step 2.2.4; on a curve of cofactor 1 this stands for pop_with_torsion_R."""
    for r in (bytes(33), b"\x04" + signature[1:33], b"\x02" + b"\xff" * 32):
        assert not accepts(suite, r + signature[33:], SECRET, MESSAGE)


def test_z_may_be_zero(suite: CocktailSecp256k1) -> None:
    """Step 2.2.4."""
    fixed = Fixed(suite._aead)
    assert accepts(fixed, times_g(-5 * SECRET) + be(0), SECRET, MESSAGE)
    assert not accepts(fixed, times_g(1) + be(0), SECRET, MESSAGE)


def test_the_identity_is_no_r(suite: CocktailSecp256k1) -> None:
    """Steps 1.3.6 and 2.2.4: z·B = c·pk."""
    assert not accepts(Fixed(suite._aead), bytes(33) + be(5 * SECRET), SECRET, MESSAGE)


def test_a_challenge_of_zero_leaves_r_to_be_z_times_b(suite: CocktailSecp256k1) -> None:
    """Step 2.2.4."""
    zero = Zero(suite._aead)
    assert accepts(zero, times_g(9) + be(9), SECRET, MESSAGE)
    assert not accepts(zero, times_g(9) + be(8), SECRET, MESSAGE)


def test_a_nonce_of_zero_ends_the_session(
    suite: CocktailSecp256k1, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 2.2.3."""
    monkeypatch.setattr("hsm_mpc.groups.libsecp256k1.is_scalar", lambda address: False)
    message = filled(take(40), b"m" * 40)
    with (
        message.open() as start,
        take(32).open() as out,
        pytest.raises(ProtocolAbort, match="nonce is no scalar"),
    ):
        suite.nonce_scalar(start, 40, out)


def test_every_path_of_signing_wipes(suite: CocktailSecp256k1, protocol_arena: Arena) -> None:
    """Steps 1.8.4 and 1.8.9: also with a secret key that is no scalar."""
    with leaving_nothing(protocol_arena):
        sign(suite, protocol_arena, SECRET, MESSAGE)
    with (
        protocol_arena.scope() as take,
        take(32).open() as zero,
        leaving_nothing(protocol_arena),
        pytest.raises(ProtocolAbort),
    ):
        schnorr.sign(suite, protocol_arena, zero, times_g(1), MESSAGE)


def test_a_bip340_verifier_rejects_a_pop(suite: CocktailSecp256k1, signature: bytes) -> None:
    """Step 2.2.4: the counterpart of eddsa_verifier_rejects_pop on this curve."""
    with pytest.raises(InvalidSignature):
        verify_bip340(times_g(SECRET)[1:], MESSAGE, signature[1:])
