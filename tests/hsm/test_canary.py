from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BackendError, BadConfig
from hsm_mpc.hsm import canary, generation, keys
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.canary import AesCanary
from hsm_mpc.hsm.cryptoki import ffi
from hsm_mpc.hsm.token import Token
from tests.hsm.lying import Answer


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
