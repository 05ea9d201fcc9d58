"""COCKTAIL(Ed25519, SHA-512): its Schnorr signature, its pads, its points (sections 2.2 to 2.5)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidSignature as Rejected
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add

from hsm_mpc.encoding import u64le
from hsm_mpc.errors import BadEncoding, InvalidSignature, ProtocolAbort
from hsm_mpc.groups import proofs
from hsm_mpc.groups.ed25519 import ORDER, hash_to_scalar, verify_ed25519
from hsm_mpc.groups.proofs import COCKTAIL_ED25519
from hsm_mpc.protocols import dkg, schnorr
from hsm_mpc.protocols.dkg_messages import agree
from hsm_mpc.protocols.pads import Route, sealed_length, session_pads, static_halves
from hsm_mpc.protocols.suite_ed25519 import CocktailEd25519
from hsm_mpc.secure.arena import Arena, Take
from tests.groups.edwards import le
from tests.protocols.keygen import (
    STATICS,
    deal,
    encoded,
    forged,
    leaving_nothing,
    parties,
    times_base,
)
from tests.secure.bytes_of import at, filled

SUITE = CocktailEd25519()
SECRET = 0xC0FFEE
MESSAGE = b"context, commitments and ephemeral key"
ORDER_TWO = bytes([0xEC]) + b"\xff" * 30 + b"\x7f"
IDENTITY = b"\1" + bytes(31)

scalars = st.integers(1, ORDER - 1)


def times_b(scalar: int) -> bytes:
    return times_base(SUITE, scalar)


def mixed(point: bytes) -> bytes:
    """The point and the point of order 2, added."""
    return crypto_core_ed25519_add(point, ORDER_TWO)


def sign(arena: Arena, secret: int, message: bytes) -> bytes:
    with arena.scope() as take, filled(take(32), le(secret)).open() as key:
        return schnorr.sign(SUITE, arena, key, times_b(secret), message)


def accepts(signature: bytes, suite: CocktailEd25519 = SUITE, message: bytes = MESSAGE) -> bool:
    try:
        proofs.verify(suite, signature, times_b(SECRET), message)
    except InvalidSignature:
        return False
    return True


class Fixed(CocktailEd25519):
    """The suite with a challenge that the test knows beforehand."""

    __slots__ = ("value",)

    def __init__(self, value: int = 5) -> None:
        self.value = value

    def challenge(self, commitment: bytes, public_key: bytes, message: bytes) -> int:
        return self.value


# --- the signature --------------------------------------------------------------------------------


@given(secret=scalars, message=st.binary(max_size=200))
def test_what_was_signed_verifies(protocol_arena: Arena, secret: int, message: bytes) -> None:
    """Steps 2.2.1 to 2.2.4, written out in ordinary integers."""
    signature = sign(protocol_arena, secret, message)
    assert len(signature) == proofs.signature_length(COCKTAIL_ED25519) == 64
    nonce = hash_to_scalar(b"COCKTAIL-DKG-Ed25519-SHA512-NONCE" + le(secret) + message)
    r, key = times_b(nonce), times_b(secret)
    challenge = hash_to_scalar(b"COCKTAIL-DKG-Ed25519-SHA512-H7" + r + key + message)
    assert signature == r + le((nonce + challenge * secret) % ORDER)
    proofs.verify(COCKTAIL_ED25519, signature, key, message)
    with pytest.raises(InvalidSignature):
        proofs.verify(COCKTAIL_ED25519, signature, key, message + b"\0")


@pytest.mark.parametrize("flip", range(0, 512, 11))
def test_a_flipped_bit_does_not_verify(protocol_arena: Arena, flip: int) -> None:
    """Step 2.2.4: pop_with_wrong_z, and with another R."""
    changed = bytearray(sign(protocol_arena, SECRET, MESSAGE))
    changed[flip // 8] ^= 1 << flip % 8
    assert not accepts(bytes(changed))


def test_z_is_canonical() -> None:
    """Step 2.2.4: the same z plus the order is no second signature."""
    r = times_b(3 - 5 * SECRET)
    assert accepts(r + le(3), Fixed())
    with pytest.raises(InvalidSignature, match="below the order") as refusal:
        proofs.verify(Fixed(), r + le(3 + ORDER), times_b(SECRET), MESSAGE)
    assert isinstance(refusal.value.__cause__, BadEncoding)


@pytest.mark.parametrize("challenge", [4, 5, 8])
def test_a_pop_with_torsion_r_is_refused(challenge: int) -> None:
    """Step 2.2.4: the equation holds but for a point of order 2, or after clearing the cofactor."""
    r, z = times_b(3 - challenge * SECRET), le(3)
    assert accepts(r + z, Fixed(challenge))
    assert not accepts(mixed(r) + z, Fixed(challenge))


def test_r_is_compared_as_it_is_encoded() -> None:
    """Step 2.2.4: y + p and the identity stand for no R."""
    key = times_b(SECRET)
    for r, z in ((IDENTITY, 5 * SECRET), (le(2**255 - 18), 5 * SECRET), (ORDER_TWO, 5 * SECRET)):
        with pytest.raises(InvalidSignature):
            proofs.verify(Fixed(), r + le(z), key, MESSAGE)


def test_z_and_the_challenge_may_be_zero() -> None:
    """Step 2.2.4."""
    assert accepts(times_b(-5 * SECRET) + le(0), Fixed())
    assert not accepts(times_b(1) + le(0), Fixed())
    assert accepts(times_b(9) + le(9), Fixed(0))
    assert not accepts(times_b(9) + le(8), Fixed(0))


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_a_signature_of_another_length_is_refused(protocol_arena: Arena, length: int) -> None:
    """Step 2.2.4."""
    signature = sign(protocol_arena, SECRET, MESSAGE) + b"\0"
    with pytest.raises(InvalidSignature, match="bytes"):
        proofs.verify(SUITE, signature[:length], times_b(SECRET), MESSAGE)


def test_an_eddsa_verifier_rejects_a_pop(protocol_arena: Arena) -> None:
    """Step 2.2.4: neither library takes it for a signature of the wallet."""
    signature, key = sign(protocol_arena, SECRET, MESSAGE), times_b(SECRET)
    with pytest.raises(InvalidSignature):
        verify_ed25519(key, MESSAGE, signature)
    with pytest.raises(Rejected):
        Ed25519PublicKey.from_public_bytes(key).verify(signature, MESSAGE)


def test_a_nonce_of_zero_ends_the_session(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 2.2.3."""
    monkeypatch.setattr("hsm_mpc.secure.sodium_ed25519.is_scalar", lambda address: False)
    with (
        filled(take(80), b"m" * 80).open() as start,
        take(32).open() as out,
        pytest.raises(ProtocolAbort, match="nonce is 0"),
    ):
        SUITE.nonce_scalar(start, 80, out)


def test_every_path_of_signing_wipes(protocol_arena: Arena) -> None:
    """Steps 1.8.4 and 1.8.9: also with a secret key that is no scalar."""
    with leaving_nothing(protocol_arena):
        sign(protocol_arena, SECRET, MESSAGE)
    with (
        protocol_arena.scope() as take,
        take(32).open() as zero,
        leaving_nothing(protocol_arena),
        pytest.raises(ProtocolAbort),
    ):
        schnorr.sign(SUITE, protocol_arena, zero, times_b(1), MESSAGE)


# --- pads -----------------------------------------------------------------------------------------


@given(st.tuples(scalars, scalars, scalars), st.binary(min_size=32, max_size=90))
def test_the_receiver_opens_what_the_sender_sealed(
    protocol_arena: Arena, secrets: tuple[int, int, int], plaintext: bytes
) -> None:
    """Steps 2.3.1 to 2.3.7: with e_s·P_r on one side and d_r·E_s on the other."""
    static, ephemeral, receiver = secrets
    route = Route(times_b(ephemeral), times_b(static), times_b(receiver))
    size = len(plaintext)
    with protocol_arena.scope() as take:
        slots = [filled(take(32), le(secret)) for secret in secrets]
        text, back, half = filled(take(size), plaintext), take(size), take(32)
        with (
            slots[0].open() as d,
            slots[1].open() as e,
            slots[2].open() as r,
            text.open() as start,
            back.open() as out,
            half.open() as shared,
            session_pads(SUITE, b"c" * 64, protocol_arena) as pads,
        ):
            static_halves(SUITE, d, [route.receiver], shared)
            sealed = pads.seal(e, shared, route, start, size)
            static_halves(SUITE, r, [route.sender], shared)
            assert pads.open(r, shared, route, sealed, out)
            assert at(out, size) == plaintext
            other = replace(route, sender=times_b(static % (ORDER - 1) + 1))
            assert not pads.open(r, shared, other, sealed, out)
            assert at(out, size) == bytes(size)


def test_key_and_nonce_are_parts_of_one_hash(take: Take) -> None:
    """Step 2.3.5; nothing but the room behind the message is written."""
    message = SUITE.pad_prefix + b"x" * 64 + b"E" * 32 + b"S" * 32 + b"R" * 32
    message += u64le(64) + b"c" * 64
    slot = filled(take(len(message) + SUITE.pad_room), message + bytes(SUITE.pad_room))
    hashed = hashlib.sha512(message).digest()
    with slot.open() as start, take(32).open() as key:
        nonce = SUITE.pad(start, len(message), key)
        assert at(key, 32) == hashed[:32]
        assert at(start, len(message)) == message
    assert nonce == hashed[32:56]
    assert sealed_length(SUITE) == 48


# --- points ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [IDENTITY, ORDER_TWO, mixed(times_b(12)), bytes(32)])
def test_a_static_key_that_is_no_point_names_its_holder(bad: bytes) -> None:
    """Steps 1.4.3 and 2.4.1."""
    keys = [times_b(11), bad, times_b(13)]
    with pytest.raises(ProtocolAbort, match="not a point") as caught:
        agree(SUITE, 2, keys, 1, keys[0], b"session", b"")
    assert caught.value.culprits == (2,)


@pytest.mark.parametrize("part", ["constant", "highest", "ephemeral"])
@pytest.mark.parametrize("torsion", [True, False])
def test_a_dealing_with_a_point_of_mixed_order_names_its_dealer(
    take: Take, part: str, torsion: bool
) -> None:
    """Steps 1.4.3 and 2.5.5: with the identity in its place, too."""
    dealt = deal(parties(SUITE, take, 2, STATICS))
    honest = forged(dealt.parties[1], (600, 3), 71)

    def spoilt(point: bytes) -> bytes:
        return mixed(point) if torsion else IDENTITY

    first, second = honest.commitments
    cheats = {
        "constant": replace(honest, commitments=(spoilt(first), second)),
        "highest": replace(honest, commitments=(first, spoilt(second))),
        "ephemeral": replace(honest, ephemeral=spoilt(honest.ephemeral)),
    }
    messages = {**dealt.messages, 2: cheats[part].to_bytes()}
    static = dealt.parties[0].static
    with leaving_nothing(static.arena), pytest.raises(ProtocolAbort, match="not a point") as caught:
        dkg.exchange(dealt.keeps[1], static, messages)
    assert caught.value.culprits == (2,)


def test_a_share_with_its_highest_bit_set_names_its_dealer(take: Take) -> None:
    """Step 1.8.7: libsodium would multiply by it as if the bit were not there."""
    dealt = deal(parties(SUITE, take, 2, STATICS))
    share = bytearray(encoded(SUITE, 603))
    share[31] |= 0x80
    cheat = forged(dealt.parties[1], (600, 3), 71, raw_shares={1: bytes(share)})
    messages = {**dealt.messages, 2: cheat.to_bytes()}
    with pytest.raises(ProtocolAbort, match="no scalar") as caught:
        dkg.exchange(dealt.keeps[1], dealt.parties[0].static, messages)
    assert caught.value.culprits == (2,)
