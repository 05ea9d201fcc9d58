from __future__ import annotations

from typing import Any

import pytest

from hsm_mpc.errors import BackendError, Refused
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import Attribute, ffi
from hsm_mpc.hsm.selftest import _keeps_registers, require_capabilities, self_test
from hsm_mpc.hsm.token import Token
from tests.hsm.lying import Answer


def failures(token: Token) -> dict[str, str]:
    return {f.capability.split()[0]: f.failure for f in self_test(token) if f.failure}


def test_softhsm_can_do_all_that_a_holder_needs(token: Token) -> None:
    assert len(self_test(token)) == 3
    require_capabilities(token)


def test_the_self_test_leaves_nothing_in_the_token(token: Token) -> None:
    before = objects.matching(token, {Attribute.TOKEN: objects.TRUE})
    self_test(token)
    assert objects.matching(token, {Attribute.TOKEN: objects.TRUE}) == before
    assert objects.matching(token, {Attribute.ID: b"hsm-mpc/self-test"}) == ()


@pytest.mark.parametrize(
    ("function", "capability"),
    [
        ("C_EncryptInit", "AES-256-GCM"),
        ("C_DecryptInit", "AES-256-GCM"),
        ("C_SignInit", "ECDSA"),
        ("C_CreateObject", "registers"),
    ],
)
def test_what_the_token_cannot_do_is_found_by_doing_it(
    token: Token, answer: Answer, function: str, capability: str
) -> None:
    token.canary = None  # a token that never decrypted has none
    answer(function, 0x70)
    assert list(failures(token)) == [capability]
    with pytest.raises(Refused, match=f"{capability}.*CKR_MECHANISM_INVALID") as caught:
        require_capabilities(token)
    assert caught.value.rule == "hsm-capability"


def test_a_token_that_decrypts_wrongly_is_found(token: Token, answer: Answer) -> None:
    honest = token.calls.C_Decrypt

    def corrupting(session: int, source: Any, length: int, target: Any, written: Any) -> int:
        code: int = honest(session, source, length, target, written)
        ffi.cast("CK_BYTE *", target)[0] ^= 1
        return code

    answer("C_Decrypt", corrupting)
    assert "does not give back what it encrypted" in failures(token)["AES-256-GCM"]


@pytest.mark.parametrize("tampered", ["ciphertext", "associated data"])
def test_a_token_that_decrypts_what_was_tampered_with_is_found(
    token: Token, answer: Answer, tampered: str
) -> None:
    honest = token.calls.C_Decrypt
    honest_sealed: list[bytes] = []

    def accepting(session: int, source: bytes, length: int, target: Any, written: Any) -> int:
        code: int = honest(session, source, length, target, written)
        honest_sealed.append(source)
        same_ciphertext = source == honest_sealed[0]
        if code and same_ciphertext == (tampered == "associated data"):
            written[0] = length - 16
            return 0
        return code

    answer("C_Decrypt", accepting)
    assert "decrypts what was tampered with" in failures(token)["AES-256-GCM"]


def test_a_token_that_makes_no_keys_is_found(token: Token, answer: Answer, flags: Any) -> None:
    answer("C_GetTokenInfo", 0x30)
    assert set(failures(token)) == {"AES-256-GCM", "ECDSA", "registers"}


def test_a_token_that_forgets_a_data_object_is_found(token: Token, answer: Answer) -> None:
    """Step 6.2.1a. What it shows while it writes is right; whoever looks later finds nothing."""
    honest = token.calls.C_FindObjects
    finds = 0

    def forgetting(session: int, batch: Any, room: int, count: Any) -> int:
        nonlocal finds
        code: int = honest(session, batch, room, count)
        finds += 1
        if finds > 3:
            count[0] = 0
        return code

    answer("C_FindObjects", forgetting)
    findings: list[str] = []
    _keeps(token, findings)
    assert findings == ["it does not give back what it stored"]


def _keeps(token: Token, findings: list[str]) -> None:
    try:
        _keeps_registers(token)
    except BackendError as failure:
        findings.append(str(failure))
