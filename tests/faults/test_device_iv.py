"""HSMs that encrypt by AES-GCM only under an IV of their own: what they made is kept, and opens."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BackendError, BadInput, Refused, Tampered
from hsm_mpc.hsm import canary, gcm
from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.cryptoki import address_of, ffi
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.profiles import AWS_CLOUDHSM, LUNA_FIPS, STANDARD, IvMaker, Profile
from hsm_mpc.hsm.selftest import require_wrapping
from hsm_mpc.hsm.token import Token
from hsm_mpc.sealing.cms import authenticated, binding
from hsm_mpc.secure.arena import Arena, publish
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key
from hsm_mpc.wrapping.recipients import KeyRecipient, Mechanism, RecipientFields
from tests.faults.shim import OwnIv, Shim
from tests.sealing.blobs import CONTEXT, NOW
from tests.wrapping.software import write

DATA_KEY = bytes(range(32))
MAKERS = pytest.mark.parametrize(
    ("where", "profile", "iv_bytes"),
    [
        ("over the caller's", AWS_CLOUDHSM, 12),
        ("over zeros", AWS_CLOUDHSM, 12),
        ("behind the output", LUNA_FIPS, 16),
    ],
)
Choose = Callable[[Profile | None], None]


@pytest.fixture
def choose(ordered: Token, monkeypatch: pytest.MonkeyPatch) -> Choose:
    """The profile of the token, until the test ends."""
    return lambda profile: monkeypatch.setattr(ordered.module, "profile", profile)


def bind(fields: RecipientFields) -> bytes:
    return binding(authenticated(CONTEXT, NOW), fields)


def wrapped(arena: Arena, token: Token, key: Key) -> KeyRecipient:
    with arena.scope() as take:
        data_key = take(32)
        write(data_key, DATA_KEY)
        recipient = Pkcs11Key(token, key).wrap(data_key, bind)
    assert isinstance(recipient, KeyRecipient)
    return recipient


def unwrapped(arena: Arena, token: Token, key: Key, recipient: KeyRecipient) -> bytes:
    with arena.scope() as take:
        into = take(32)
        Pkcs11Key(token, key).unwrap(recipient, bind(recipient.fields), into)
        return publish(into)


@MAKERS
def test_the_iv_that_the_hsm_made_is_kept_and_opens(
    ordered: Token,
    key: Key,
    pin_arena: Arena,
    shim: Shim,
    choose: Choose,
    where: OwnIv,
    profile: Profile,
    iv_bytes: int,
) -> None:
    shim.make_own_iv(where)
    choose(profile)
    once, again = (wrapped(pin_arena, ordered, key) for _ in range(2))
    assert once.fields.mechanism is Mechanism.AES_GCM_DEVICE_IV
    assert (len(once.fields.iv), len(once.wrapped)) == (iv_bytes, 48)
    assert once.fields.iv != again.fields.iv
    assert unwrapped(pin_arena, ordered, key, once) == DATA_KEY
    choose(None)  # what is sealed stays readable, whatever is configured later
    assert unwrapped(pin_arena, ordered, key, again) == DATA_KEY


@MAKERS
def test_under_another_iv_nothing_opens(
    ordered: Token,
    key: Key,
    pin_arena: Arena,
    shim: Shim,
    choose: Choose,
    where: OwnIv,
    profile: Profile,
    iv_bytes: int,
) -> None:
    """The IV is not among what is bound: AES-GCM itself holds the ciphertext to it."""
    canary.arm(ordered)
    shim.make_own_iv(where)
    choose(profile)
    recipient = wrapped(pin_arena, ordered, key)
    iv = bytes((recipient.fields.iv[0] ^ 1, *recipient.fields.iv[1:]))
    for fields in (
        replace(recipient.fields, iv=iv),
        replace(recipient.fields, mechanism=Mechanism.AES_GCM),
    ):
        with pytest.raises((Tampered, BackendError)):
            unwrapped(pin_arena, ordered, key, replace(recipient, fields=fields))


@MAKERS
def test_such_a_token_wraps_by_aes_and_has_its_canary(
    ordered: Token,
    shim: Shim,
    choose: Choose,
    where: OwnIv,
    profile: Profile,
    iv_bytes: int,
) -> None:
    shim.make_own_iv(where)
    choose(profile)
    assert require_wrapping(ordered) is Wrapping.AES_GCM
    assert canary.arm(ordered)
    assert ordered.canary is not None
    assert ordered.canary.is_decrypted_by(ordered)


@pytest.mark.parametrize(
    ("maker", "reason"),
    [
        (IvMaker.HSM_IN_PARAMETER, "C_Encrypt made no IV"),
        (IvMaker.HSM_BEHIND_TAG, "C_Encrypt wrote a wrong length"),
    ],
)
def test_a_token_that_makes_no_iv_though_its_profile_says_so_seals_nothing(
    ordered: Token, key: Key, choose: Choose, maker: IvMaker, reason: str
) -> None:
    choose(replace(STANDARD, iv_maker=maker))
    plaintext = ffi.new("CK_BYTE[32]")
    with pytest.raises(BackendError, match=reason) as caught:
        gcm.encrypt_gcm_afresh(ordered, key, b"", address_of(plaintext), 32)
    assert not caught.value.retryable


def test_nothing_is_not_encrypted(ordered: Token, key: Key, choose: Choose) -> None:
    choose(AWS_CLOUDHSM)
    with pytest.raises(BadInput, match="0 bytes of plaintext"):
        gcm.encrypt_gcm_afresh(ordered, key, b"", address_of(ffi.new("CK_BYTE *")), 0)


def test_a_token_that_uses_an_iv_twice_is_refused(
    ordered: Token, choose: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(AWS_CLOUDHSM)
    honest, iv = ordered.calls.C_EncryptInit, os.urandom(12)

    def constant(session: int, mechanism: Any, key: int) -> int:
        parameter = ffi.cast("CK_GCM_PARAMS *", mechanism.pParameter)
        ffi.memmove(parameter.pIv, iv, len(iv))
        code: int = honest(session, mechanism, key)
        return code

    monkeypatch.setattr(ordered.calls, "C_EncryptInit", constant)
    with pytest.raises(Refused, match="uses an IV twice"):
        require_wrapping(ordered)
