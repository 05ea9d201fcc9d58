from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BackendError, BadConfig
from hsm_mpc.hsm import canary, generation, keys
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.canary import AesCanary, RsaCanary
from hsm_mpc.hsm.cryptoki import MASK_BY, Hash, address_of, ffi
from hsm_mpc.hsm.direct import CiphertextRefused
from hsm_mpc.hsm.failures import GENERAL_ERROR
from hsm_mpc.hsm.profiles import STANDARD
from hsm_mpc.hsm.rsa import decrypt_oaep_into
from hsm_mpc.hsm.token import Token
from tests.hsm.lying import Answer
from tests.rsa_pairs import brought_in


@pytest.fixture
def armed(token: Token) -> AesCanary:
    assert isinstance(token.canary, AesCanary)
    return token.canary


def test_a_token_that_works_decrypts_its_canary(token: Token, armed: AesCanary) -> None:
    assert armed.is_decrypted_by(token)


@pytest.mark.parametrize("function", ["C_OpenSession", "C_DecryptInit", "C_Decrypt"])
def test_a_token_that_fails_does_not(
    token: Token, armed: AesCanary, answer: Answer, function: str
) -> None:
    token.pool._idle.clear()
    answer(function, 0x30)
    assert not armed.is_decrypted_by(token)


def test_a_token_that_refuses_its_canary_is_broken(token: Token, armed: AesCanary) -> None:
    flipped = bytes((armed.ciphertext[0] ^ 1, *armed.ciphertext[1:]))
    assert not replace(armed, ciphertext=flipped).is_decrypted_by(token)


def test_a_token_that_decrypts_it_to_something_else_is_broken(
    token: Token, armed: AesCanary, answer: Answer
) -> None:
    honest = token.calls.C_Decrypt

    def corrupting(session: int, source: Any, length: int, target: Any, written: Any) -> int:
        code: int = honest(session, source, length, target, written)
        ffi.cast("CK_BYTE *", target)[0] ^= 1
        return code

    answer("C_Decrypt", corrupting)
    assert not armed.is_decrypted_by(token)


def test_a_token_whose_canary_key_was_destroyed_cannot_tell(token: Token, armed: AesCanary) -> None:
    keys.destroy(token, armed.key)
    assert not armed.is_decrypted_by(token)


def test_each_start_has_a_canary_of_its_own(token: Token, armed: AesCanary) -> None:
    assert canary.arm(token)
    assert isinstance(token.canary, AesCanary)
    assert token.canary.iv != armed.iv


def test_a_token_without_canary_key_is_not_armed(token: Token, armed: AesCanary) -> None:
    keys.destroy(token, armed.key)
    token.canary = None
    assert not canary.arm(token)
    assert token.canary is None


def test_two_canary_keys_are_a_refusal(token: Token) -> None:
    with administration(token) as session:
        generation.aes_key(session, keys.CANARY.encode(), keys.CANARY)
    with pytest.raises(BadConfig, match="2 keys"):
        canary.arm(token)


def test_a_token_that_does_not_encrypt_cannot_be_armed(token: Token, answer: Answer) -> None:
    answer("C_Encrypt", 0x30)
    with pytest.raises(BackendError, match="C_Encrypt answered CKR_DEVICE_ERROR"):
        canary.arm(token)


# RSA, for tokens without AES-GCM


def rsa_armed(token: Token, armed: AesCanary) -> RsaCanary:
    """The token's only canary is RSA's now."""
    token.canary = None
    keys.destroy(token, armed.key)
    with administration(token) as session:
        brought_in(session, 0, keys.CANARY.encode(), keys.CANARY)
    assert canary.arm(token)
    assert isinstance(token.canary, RsaCanary)
    return token.canary


def test_a_token_that_works_decrypts_its_rsa_canary(token: Token, armed: AesCanary) -> None:
    made = rsa_armed(token, armed)
    assert made.hash_ is Hash.SHA1  # SoftHSM lacks OAEP with SHA-256
    assert made.is_decrypted_by(token)
    flipped = bytes((*made.ciphertext[:-1], made.ciphertext[-1] ^ 1))
    assert not replace(made, ciphertext=flipped).is_decrypted_by(token)
    keys.destroy(token, made.key)
    assert not made.is_decrypted_by(token)


def test_an_rsa_canary_tells_a_refused_ciphertext_from_a_token_that_is_away(
    token: Token, armed: AesCanary, answer: Answer
) -> None:
    made = rsa_armed(token, armed)
    out = ffi.new("CK_BYTE[384]")
    flipped = bytes((*made.ciphertext[:-1], made.ciphertext[-1] ^ 1))

    def decrypt() -> None:
        decrypt_oaep_into(token, made.key, Hash.SHA1, flipped, address_of(out), len(out))

    with pytest.raises(CiphertextRefused):
        decrypt()
    answer("C_Decrypt", GENERAL_ERROR)
    with pytest.raises(BackendError) as away:
        decrypt()
    assert away.value.retryable


def taking_sha256(token: Token, name: str) -> Callable[[int, Any, int], int]:
    """What begins an operation, of a module that takes SHA-256 for SHA-1."""
    honest = getattr(token.calls, name)

    def begin(session: int, mechanism: Any, key: int) -> int:
        given = ffi.cast("CK_RSA_PKCS_OAEP_PARAMS *", mechanism.pParameter)
        given.hashAlg, given.mgf = Hash.SHA1, MASK_BY[Hash.SHA1]
        code: int = honest(session, mechanism, key)
        return code

    return begin


def test_sha256_is_used_where_the_module_also_decrypts_with_it(
    token: Token, armed: AesCanary, answer: Answer
) -> None:
    """The module takes SHA-256 for SHA-1, and so seems to know it."""
    decrypt_init = taking_sha256(token, "C_DecryptInit")
    answer("C_EncryptInit", taking_sha256(token, "C_EncryptInit"))
    assert rsa_armed(token, armed).hash_ is Hash.SHA1  # it only encrypts so
    assert token.canary is not None
    answer("C_DecryptInit", decrypt_init)
    assert canary.arm(token)
    assert isinstance(token.canary, RsaCanary)
    assert token.canary.hash_ is Hash.SHA256


def test_a_profile_with_one_hash_for_oaep_has_no_canary_of_another(
    token: Token, armed: AesCanary, monkeypatch: pytest.MonkeyPatch
) -> None:
    rsa_armed(token, armed)
    monkeypatch.setattr(token.module, "profile", replace(STANDARD, oaep_hash=Hash.SHA256))
    with pytest.raises(BackendError, match="C_EncryptInit answered CKR_ARGUMENTS_BAD"):
        canary.arm(token)


def test_a_token_that_is_away_is_not_armed_with_sha1(
    token: Token, armed: AesCanary, answer: Answer
) -> None:
    rsa_armed(token, armed)
    answer("C_EncryptInit", 0x30)
    with pytest.raises(BackendError, match="C_EncryptInit answered CKR_DEVICE_ERROR"):
        canary.arm(token)


def test_a_fault_that_passes_does_not_make_the_canary_a_weaker_one(
    token: Token, armed: AesCanary, answer: Answer
) -> None:
    rsa_armed(token, armed)
    answer("C_EncryptInit", 0)
    answer("C_Encrypt", lambda _, __, ___, ____, length: length[0] * 0)
    answer("C_DecryptInit", 0x30)
    with pytest.raises(BackendError, match="C_DecryptInit answered CKR_DEVICE_ERROR"):
        canary.arm(token)


def test_a_token_that_decrypts_wrongly_with_sha256_is_not_armed_with_sha1(
    token: Token, armed: AesCanary, answer: Answer
) -> None:
    rsa_armed(token, armed)
    for function in ("C_EncryptInit", "C_DecryptInit"):
        answer(function, taking_sha256(token, function))
    honest = token.calls.C_Decrypt

    def corrupting(session: int, source: Any, length: int, target: Any, written: Any) -> int:
        code: int = honest(session, source, length, target, written)
        ffi.cast("CK_BYTE *", target)[0] ^= 1
        return code

    answer("C_Decrypt", corrupting)
    with pytest.raises(BackendError, match="does not give back what it encrypted") as caught:
        canary.arm(token)
    assert not caught.value.retryable


def test_a_token_that_learnt_aes_is_armed_with_it(token: Token, armed: AesCanary) -> None:
    rsa_armed(token, armed)
    keys.generate_canary_key(token)
    assert canary.arm(token)
    assert isinstance(token.canary, AesCanary)
