from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_mpc.errors import BackendError, BadEncoding, InvalidSignature, Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.cryptoki import Attribute, ffi
from hsm_mpc.hsm.identity import Identity, OwnIdentity, identities
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import P256_ORDER, Algorithm, VerifyingKey
from hsm_mpc.tags import Tag, tagged_hash
from tests.hsm.lying import Answer, lie
from tests.rsa_pairs import identity_brought_in, private_key
from tests.software_identity import DIGEST, PSS


@pytest.fixture
def identity(token: Token) -> Identity:
    return Identity(token, keys.generate_identity_key(token))


def test_the_key_is_a_p256_point_that_stays_the_same(token: Token, identity: Identity) -> None:
    pair = keys.find_identity_key(token)
    assert pair is not None
    assert identity.key.algorithm is Algorithm.P256
    assert len(identity.key.encoded) == 65
    assert Identity(token, pair).key == identity.key


def test_signatures_verify_and_have_low_s(identity: Identity) -> None:
    for number in range(24):
        message = bytes((number,))
        signature = identity.sign(Tag.CARD, message)
        assert len(signature) == 64
        assert 1 <= int.from_bytes(signature[32:], "big") <= P256_ORDER // 2
        identity.key.verify(Tag.CARD, message, signature)


@pytest.mark.parametrize("high", [True, False])
def test_a_high_s_is_negated_and_a_low_one_left(
    token: Token, identity: Identity, answer: Answer, high: bool
) -> None:
    honest = token.calls.C_Sign
    given: list[bytes] = []

    def signing(session: int, digest: bytes, length: int, out: Any, written: Any) -> int:
        code: int = honest(session, digest, length, out, written)
        s = int.from_bytes(bytes(out[32:64]), "big")
        if (s > P256_ORDER // 2) is not high:
            ffi.memmove(out + 32, (P256_ORDER - s).to_bytes(32, "big"), 32)
        given.append(bytes(out[0:64]))
        return code

    answer("C_Sign", signing)
    signature = identity.sign(Tag.CARD, b"message")
    assert (signature == given[0]) is not high
    assert signature[:32] == given[0][:32]


def test_halves_that_do_not_belong_together_are_tampering(
    token: Token, identity: Identity, answer: Answer
) -> None:
    honest = token.calls.C_Sign

    def corrupting(session: int, digest: bytes, length: int, out: Any, written: Any) -> int:
        code: int = honest(session, digest, length, out, written)
        out[0] ^= 1
        return code

    answer("C_Sign", corrupting)
    with pytest.raises(Tampered, match="halves of the identity key"):
        identity.sign(Tag.CARD, b"message")


def test_a_module_may_give_the_point_bare(token: Token, identity: Identity, answer: Answer) -> None:
    pair = keys.find_identity_key(token)
    assert pair is not None
    lie(answer, token, Attribute.EC_POINT, identity.key.encoded)
    assert Identity(token, pair).key == identity.key


def test_a_point_that_is_not_told_is_an_unavailable_identity(
    token: Token, identity: Identity, answer: Answer
) -> None:
    pair = keys.find_identity_key(token)
    assert pair is not None
    lie(answer, token, Attribute.EC_POINT, None)
    with pytest.raises(BackendError, match="point is not told") as caught:
        Identity(token, pair)
    assert not caught.value.retryable


@pytest.mark.parametrize("prefix", [b"", b"\x04\x41", b"\x04\x40"])
def test_what_is_no_point_is_refused(
    token: Token, identity: Identity, answer: Answer, prefix: bytes
) -> None:
    pair = keys.find_identity_key(token)
    assert pair is not None
    wrong = identity.key.encoded[:-1] + bytes((identity.key.encoded[-1] ^ 1,))
    lie(answer, token, Attribute.EC_POINT, prefix + wrong)
    with pytest.raises(BadEncoding, match="p-256 public key"):
        Identity(token, pair)


# RSA, for tokens without elliptic curves


@pytest.fixture
def rsa_identity(token: Token) -> Identity:
    with administration(token) as session:
        return Identity(token, identity_brought_in(session))


def test_an_rsa_key_is_named_by_its_modulus_and_exponent(rsa_identity: Identity) -> None:
    expected = private_key(0).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert rsa_identity.key == VerifyingKey(Algorithm.RSA3072, expected)


def test_rsa_signatures_are_pss_over_the_digest(rsa_identity: Identity) -> None:
    signature = rsa_identity.sign(Tag.CARD, b"message")
    assert len(signature) == 384
    assert rsa_identity.sign(Tag.CARD, b"message") != signature
    rsa_identity.key.verify(Tag.CARD, b"message", signature)
    digest = tagged_hash(Tag.CARD, b"message")
    private_key(0).public_key().verify(signature, digest, PSS, DIGEST)


def test_rsa_halves_that_do_not_belong_together_are_tampering(
    token: Token, rsa_identity: Identity, answer: Answer
) -> None:
    honest = token.calls.C_Sign

    def corrupting(session: int, digest: bytes, length: int, out: Any, written: Any) -> int:
        code: int = honest(session, digest, length, out, written)
        out[383] ^= 1
        return code

    answer("C_Sign", corrupting)
    with pytest.raises(Tampered, match="halves of the identity key"):
        rsa_identity.sign(Tag.CARD, b"message")


def test_an_rsa_signature_of_a_wrong_length_is_refused(
    token: Token, rsa_identity: Identity, answer: Answer
) -> None:
    def shorter(_: int, __: bytes, ___: int, ____: Any, written: Any) -> int:
        written[0] = 383
        return 0

    answer("C_Sign", shorter)
    with pytest.raises(BackendError, match="signature of a wrong length"):
        rsa_identity.sign(Tag.CARD, b"message")


def test_a_token_may_have_a_second_key_for_a_while(token: Token, identity: Identity) -> None:
    second = Identity(token, keys.generate_identity_key(token, label=keys.SECOND_IDENTITY))
    found = identities(token)
    assert [(name, each.key) for name, each in found.items()] == [
        ("hsm-mpc/identity", identity.key),
        ("hsm-mpc/identity/2", second.key),
    ]
    second.require_attributes()
    keys.destroy_identity_key(token, keys.IDENTITY)
    assert list(identities(token)) == ["hsm-mpc/identity/2"]
    keys.destroy_identity_key(token, keys.IDENTITY)  # a repeat finds nothing


def test_half_of_a_key_that_is_going_goes_too(token: Token, identity: Identity) -> None:
    pair = keys.find_identity_key(token)
    assert pair is not None
    keys.destroy(token, pair.private)
    keys.destroy_identity_key(token, keys.IDENTITY)
    assert keys._identity_halves(token, keys.IDENTITY) == (None, None)


def test_what_the_key_before_has_signed_counts_until_it_is_forgotten(
    token: Token, identity: Identity
) -> None:
    second = Identity(token, keys.generate_identity_key(token, label=keys.SECOND_IDENTITY))
    own = OwnIdentity(identity)
    before = own.sign(Tag.CARD, b"message")
    assert (own.key, own.before) == (identity.key, None)
    with pytest.raises(InvalidSignature):
        own.verify(Tag.CARD, b"message", second.sign(Tag.CARD, b"message"))
    own.become(second)
    assert (own.key, own.before) == (second.key, identity.key)
    after = own.sign(Tag.CARD, b"message")
    second.key.verify(Tag.CARD, b"message", after)
    for signature in (before, after):
        own.verify(Tag.CARD, b"message", signature)
    with pytest.raises(InvalidSignature):
        own.verify(Tag.CARD, b"another", before)
    own.forget_before()
    own.verify(Tag.CARD, b"message", after)
    with pytest.raises(InvalidSignature):
        own.verify(Tag.CARD, b"message", before)
