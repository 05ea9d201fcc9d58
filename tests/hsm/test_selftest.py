from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BackendError, Refused
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.capabilities import Capabilities, Wrapping
from hsm_mpc.hsm.cryptoki import MASK_BY, Attribute, Hash, Mechanism, ffi
from hsm_mpc.hsm.giveaways import giveaways
from hsm_mpc.hsm.profiles import STANDARD
from hsm_mpc.hsm.register_objects import DATA
from hsm_mpc.hsm.selftest import (
    _keeps_registers,
    require_capabilities,
    require_wrapping,
    self_test,
)
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import Algorithm
from tests.hsm.lying import MECHANISM_INVALID, Answer, lacking
from tests.rsa_pairs import bring_in_what_is_thrown_away


def failures(token: Token) -> dict[str, str]:
    return {f.capability.split()[0]: f.failure for f in self_test(token).findings if f.failure}


def test_softhsm_can_do_all_that_a_holder_needs(token: Token) -> None:
    tried = self_test(token)
    assert [finding.instead_of for finding in tried.findings] == [(), (), ()]
    assert tried.capabilities == Capabilities(Wrapping.AES_GCM, Algorithm.P256)
    assert tried.register_form is DATA
    assert require_capabilities(token) == tried.capabilities
    assert require_wrapping(token) is Wrapping.AES_GCM


def test_one_session_of_a_worker_is_enough(token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a token has that allows three in all: one logged in, and one makes the keys."""
    monkeypatch.setattr(token.pool, "most", 1)
    assert failures(token) == {}
    assert giveaways(token) == ()


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
    """One that is away for a moment is not taken for one that lacks the first choice."""
    token.canary = None  # a token that never decrypted has none
    answer(function, 0x30)
    assert list(failures(token)) == [capability]
    with pytest.raises(BackendError, match=f"{capability}.*CKR_DEVICE_ERROR") as caught:
        require_capabilities(token)
    assert caught.value.retryable


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


def test_a_token_that_uses_an_iv_of_its_own_is_found(token: Token, answer: Answer) -> None:
    """One that never tells would encrypt two data keys under one."""
    token.canary = None  # which was made before it was so
    for function in ("C_EncryptInit", "C_DecryptInit"):
        honest = getattr(token.calls, function)

        def always_the_same(
            session: int, mechanism: Any, key: int, honest: Callable[..., int] = honest
        ) -> int:
            given = ffi.cast("CK_GCM_PARAMS *", mechanism.pParameter)
            callers = given.pIv
            given.pIv = own
            code: int = honest(session, mechanism, key)
            given.pIv = callers
            return code

        answer(function, always_the_same)
    own = ffi.new("CK_BYTE[12]")
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


# Tokens that lack the first choice


@pytest.fixture
def without(token: Token, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`without(Mechanism.ECDSA)`: the module lacks it. RSA pairs are brought in, which is quick."""

    def lack(*mechanisms: Mechanism) -> None:
        token.canary = None  # of what the module never did there is none
        lacks = lacking(token.calls, *mechanisms)
        for function in ("C_EncryptInit", "C_DecryptInit", "C_SignInit"):
            answer(function, getattr(lacks, function))

    bring_in_what_is_thrown_away(monkeypatch)
    return lack


@pytest.mark.parametrize(
    ("mechanisms", "wrapping", "identity"),
    [
        ([Mechanism.AES_GCM], Wrapping.RSA_OAEP_SHA1, Algorithm.P256),
        ([Mechanism.ECDSA], Wrapping.AES_GCM, Algorithm.RSA3072),
        ([Mechanism.AES_GCM, Mechanism.ECDSA], Wrapping.RSA_OAEP_SHA1, Algorithm.RSA3072),
    ],
)
def test_what_the_module_lacks_is_replaced_and_told(
    token: Token,
    without: Callable[..., None],
    mechanisms: list[Mechanism],
    wrapping: Wrapping,
    identity: Algorithm,
) -> None:
    without(*mechanisms)
    assert require_capabilities(token) == Capabilities(wrapping, identity)
    assert require_wrapping(token) is wrapping
    told = " ".join(reason for found in self_test(token).findings for reason in found.instead_of)
    assert ("AES-256-GCM" in told) is (Mechanism.AES_GCM in mechanisms)
    assert ("OAEP with SHA-256" in told) is (Mechanism.AES_GCM in mechanisms)
    assert ("ECDSA" in told) is (Mechanism.ECDSA in mechanisms)


def test_a_token_that_lacks_both_choices_is_refused_with_all_reasons(
    token: Token, without: Callable[..., None]
) -> None:
    without(Mechanism.AES_GCM, Mechanism.RSA_PKCS_OAEP)
    with pytest.raises(Refused, match=r"AES-256-GCM.*OAEP with SHA-256.*OAEP with SHA-1") as caught:
        require_wrapping(token)
    assert caught.value.rule == "hsm-capability"
    assert str(caught.value).endswith("(profile softhsm: docs/hsm/softhsm.md)")
    assert self_test(token).capabilities is None


def test_a_token_that_says_once_that_it_lacks_what_its_canary_shows_is_not_believed(
    token: Token, without: Callable[..., None], answer: Answer
) -> None:
    shown, honest, calls = token.canary, token.calls.C_EncryptInit, iter(range(1 << 10))
    without()
    token.canary = shown

    def no_at_first(session: int, mechanism: Any, key: int) -> int:
        return honest(session, mechanism, key) if next(calls) else MECHANISM_INVALID

    answer("C_EncryptInit", no_at_first)
    with pytest.raises(BackendError, match="its canary is under aes-gcm") as caught:
        require_wrapping(token)
    assert caught.value.retryable
    assert require_wrapping(token) is Wrapping.AES_GCM


def test_a_token_that_answers_wrongly_is_not_one_that_lacks_it(
    token: Token, without: Callable[..., None], answer: Answer
) -> None:
    without()
    honest = token.calls.C_Encrypt

    def short(session: int, source: Any, length: int, target: Any, written: Any) -> int:
        code: int = honest(session, source, length, target, written)
        written[0] -= 1
        return code

    answer("C_Encrypt", short)
    with pytest.raises(Refused, match="C_Encrypt wrote a wrong length"):
        require_wrapping(token)


def test_a_token_that_takes_one_hash_for_another_is_found(
    token: Token, without: Callable[..., None], answer: Answer
) -> None:
    """Its blobs would name SHA-256, and no other device would open them."""
    without(Mechanism.AES_GCM)
    for function in ("C_EncryptInit", "C_DecryptInit"):
        honest = getattr(token.calls, function)

        def by_sha1(
            session: int, mechanism: Any, key: int, honest: Callable[..., int] = honest
        ) -> int:
            if mechanism.mechanism == Mechanism.RSA_PKCS_OAEP:
                given = ffi.cast("CK_RSA_PKCS_OAEP_PARAMS *", mechanism.pParameter)
                given.hashAlg, given.mgf = Hash.SHA1, MASK_BY[Hash.SHA1]
            code: int = honest(session, mechanism, key)
            return code

        answer(function, by_sha1)
    with pytest.raises(Refused, match="its OAEP is not what others call so"):
        require_wrapping(token)


def test_a_profile_with_one_hash_for_oaep_never_falls_back_to_another(
    token: Token, without: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(Mechanism.AES_GCM)
    monkeypatch.setattr(token.module, "profile", replace(STANDARD, oaep_hash=Hash.SHA256))
    with pytest.raises(Refused, match="OAEP with SHA-256") as caught:
        require_wrapping(token)
    assert "SHA-1" not in str(caught.value)


@pytest.mark.parametrize("tampered", [False, True])
def test_a_token_that_does_oaep_wrongly_is_found(
    token: Token, without: Callable[..., None], answer: Answer, tampered: bool
) -> None:
    without(Mechanism.AES_GCM)
    honest = token.calls.C_Decrypt

    def wrong(session: int, source: Any, length: int, target: Any, written: Any) -> int:
        code: int = honest(session, source, length, target, written)
        if code and tampered:
            written[0] = 32
            return 0
        ffi.cast("CK_BYTE *", target)[0] ^= not tampered
        return code

    answer("C_Decrypt", wrong)
    expected = "decrypts what was tampered with" if tampered else "does not give back"
    with pytest.raises(Refused, match=expected):
        require_wrapping(token)
