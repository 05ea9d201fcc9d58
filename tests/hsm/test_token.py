from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hsm_mpc.errors import BackendError, PinRefused
from hsm_mpc.hsm import direct, gcm, keys, sessions, uri
from hsm_mpc.hsm.cryptoki import BYTES, TokenFlag, User, address_of, ffi
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import PinState, Token
from hsm_mpc.secure.arena import Arena
from tests.hsm.lying import WALLET_LABEL, Answer
from tests.named_steps import changes_seen
from tests.softhsm import SO_PIN, USER_PIN, secret_of

Flags = Callable[..., None]


@pytest.fixture
def logins(locked_token: Token, answer: Answer) -> list[int]:
    """One entry for every C_Login that reaches the module."""
    honest = locked_token.calls.C_Login
    seen: list[int] = []

    def counted(*arguments: Any) -> int:
        code: int = honest(*arguments)
        seen.append(code)
        return code

    answer("C_Login", counted)
    return seen


@pytest.fixture
def closed(locked_token: Token, answer: Answer) -> list[int]:
    """The handles of all sessions that are closed."""
    honest = locked_token.calls.C_CloseSession
    seen: list[int] = []

    def noted(handle: int) -> int:
        seen.append(handle)
        code: int = honest(handle)
        return code

    answer("C_CloseSession", noted)
    return seen


def test_the_right_pin_logs_in_for_good(
    locked_token: Token, pin_arena: Arena, closed: list[int]
) -> None:
    assert not locked_token.logged_in
    locked_token.login(secret_of(pin_arena, USER_PIN))
    assert locked_token.logged_in
    assert closed == []


def test_a_second_login_does_not_look_at_its_pin(
    locked_token: Token, pin_arena: Arena, logins: list[int]
) -> None:
    locked_token.login(secret_of(pin_arena, USER_PIN))
    locked_token.login(secret_of(pin_arena, b"wrong"))
    assert len(logins) == 1


def test_a_wrong_pin_is_tried_once_and_its_session_closed(
    locked_token: Token, pin_arena: Arena, logins: list[int], closed: list[int]
) -> None:
    with pytest.raises(PinRefused, match="C_Login answered CKR_PIN_INCORRECT") as caught:
        locked_token.login(secret_of(pin_arena, b"wrong"))
    assert not caught.value.retryable
    assert not locked_token.logged_in
    assert len(logins) == len(closed) == 1


def test_after_a_wrong_pin_the_token_warns_and_no_pin_is_tried(
    locked_token: Token, pin_arena: Arena, logins: list[int]
) -> None:
    with pytest.raises(PinRefused):
        locked_token.login(secret_of(pin_arena, b"wrong"))
    assert locked_token.info().pin_state is PinState.FEW_TRIES_LEFT
    with pytest.raises(PinRefused, match="since the last login; mend: hsm-mpc holder login"):
        locked_token.login(secret_of(pin_arena, USER_PIN))
    assert len(logins) == 1


def test_a_right_pin_despite_the_warning_clears_it(locked_token: Token, pin_arena: Arena) -> None:
    with pytest.raises(PinRefused):
        locked_token.login(secret_of(pin_arena, b"wrong"))
    locked_token.login(secret_of(pin_arena, USER_PIN), despite_warning=True)
    assert locked_token.logged_in
    assert locked_token.info().pin_state is PinState.READY


@pytest.mark.parametrize(
    ("add", "remove", "state"),
    [
        (0, 0, PinState.READY),
        (TokenFlag.USER_PIN_COUNT_LOW, 0, PinState.FEW_TRIES_LEFT),
        (TokenFlag.USER_PIN_FINAL_TRY | TokenFlag.USER_PIN_COUNT_LOW, 0, PinState.LAST_TRY),
        (TokenFlag.USER_PIN_LOCKED | TokenFlag.USER_PIN_FINAL_TRY, 0, PinState.LOCKED),
        (0, TokenFlag.USER_PIN_INITIALIZED, PinState.NOT_SET),
    ],
)
def test_what_the_token_says_of_its_pin_is_read(
    locked_token: Token, flags: Flags, add: int, remove: int, state: PinState
) -> None:
    flags(add=add, remove=remove)
    assert locked_token.info().pin_state is state


@pytest.mark.parametrize(
    ("add", "remove"), [(TokenFlag.USER_PIN_LOCKED, 0), (0, TokenFlag.USER_PIN_INITIALIZED)]
)
def test_a_locked_or_unset_pin_is_never_tried(
    locked_token: Token,
    pin_arena: Arena,
    flags: Flags,
    logins: list[int],
    add: int,
    remove: int,
) -> None:
    flags(add=add, remove=remove)
    with pytest.raises(PinRefused, match=r"locked|ever set"):
        locked_token.login(secret_of(pin_arena, USER_PIN), despite_warning=True)
    assert logins == []


def test_the_last_try_is_left_to_a_person(
    locked_token: Token, pin_arena: Arena, flags: Flags, logins: list[int]
) -> None:
    flags(add=TokenFlag.USER_PIN_FINAL_TRY)
    with pytest.raises(PinRefused, match="one more wrong PIN locks it"):
        locked_token.login(secret_of(pin_arena, USER_PIN))
    assert logins == []
    locked_token.login(secret_of(pin_arena, USER_PIN), despite_warning=True)
    assert len(logins) == 1


def test_a_login_by_other_code_is_not_taken_over(
    locked_token: Token, pin_arena: Arena, closed: list[int]
) -> None:
    calls = locked_token.calls
    foreign = sessions.open_session(calls, locked_token.slot, "test")
    pin = secret_of(pin_arena, USER_PIN)
    with pin.open() as pointer:
        assert calls.C_Login(foreign, User.USER, ffi.cast(BYTES, pointer), len(USER_PIN)) == 0
    with pytest.raises(BackendError, match="other code of this process has logged in") as caught:
        locked_token.login(secret_of(pin_arena, b"any PIN"))
    assert not isinstance(caught.value, PinRefused)
    assert not caught.value.retryable
    assert not locked_token.logged_in
    assert len(closed) == 1


@pytest.mark.parametrize("function", ["C_OpenSession", "C_Login", "C_GetTokenInfo"])
def test_a_token_that_does_not_answer_the_login_is_unavailable(
    locked_token: Token, pin_arena: Arena, answer: Answer, function: str
) -> None:
    answer(function, 0x32)
    with pytest.raises(BackendError, match=f"{function} answered CKR_DEVICE_REMOVED") as caught:
        locked_token.login(secret_of(pin_arena, USER_PIN))
    assert not isinstance(caught.value, PinRefused)
    assert caught.value.retryable


@pytest.mark.parametrize("code", [0x5, 0x6, 0x7, 0xA5, 0x80000001])
def test_a_pin_of_which_nobody_says_that_it_is_wrong_is_tried_twice_at_most(
    locked_token: Token, pin_arena: Arena, answer: Answer, code: int
) -> None:
    """A signer that recovers would try it until the token locks; the refusal goes to disk."""
    pin = secret_of(pin_arena, USER_PIN)
    answer("C_Login", code)
    with pytest.raises(BackendError, match="C_Login answered") as first:
        locked_token.login(pin)
    assert not isinstance(first.value, PinRefused)
    with pytest.raises(PinRefused, match="the PIN may be wrong"):
        locked_token.login(pin)


def test_a_login_between_two_unclear_answers_shows_that_the_pin_is_right(
    locked_token: Token, pin_arena: Arena, answer: Answer
) -> None:
    pin, honest = secret_of(pin_arena, USER_PIN), locked_token.calls.C_Login
    for _ in range(2):
        answer("C_Login", 0x5)
        with pytest.raises(BackendError, match="C_Login answered") as unclear:
            locked_token.login(pin)
        assert not isinstance(unclear.value, PinRefused)
        answer("C_Login", honest)
        locked_token.login(pin)
        with locked_token.session() as session:
            locked_token.calls.C_Logout(session.handle)
        locked_token.forget()
        locked_token.pool.reopen(locked_token.slot, locked_token.module.incarnation)


@pytest.mark.parametrize("code", [0x30, 0x32, 0xB3, 0xE0, 0x2])
def test_a_device_that_is_gone_has_not_judged_a_pin(
    locked_token: Token, pin_arena: Arena, answer: Answer, code: int
) -> None:
    answer("C_Login", code)
    for _ in range(4):
        with pytest.raises(BackendError) as caught:
            locked_token.login(secret_of(pin_arena, USER_PIN))
        assert not isinstance(caught.value, PinRefused)


def test_the_login_is_a_step(locked_token: Token, pin_arena: Arena) -> None:
    with changes_seen() as seen:
        locked_token.login(secret_of(pin_arena, USER_PIN))
    assert seen == ["before token.login", "after token.login"]


def test_workers_inherit_the_login(token: Token, key: Key) -> None:
    out = ffi.new("CK_BYTE[17]")
    sealed = gcm.encrypt_gcm(token, key, bytes(12), b"", address_of(ffi.new("CK_BYTE[1]")), 1)
    assert direct.decrypt_gcm_into(token, key, bytes(12), b"", sealed, address_of(out), 17) == 1


def test_a_token_that_was_logged_out_is_unavailable(own_token: Token) -> None:
    token, key = own_token, keys.generate_wrapping_key(own_token, bytes(20), WALLET_LABEL)
    with token.session() as session:
        token.calls.C_Logout(session.handle)
    out = ffi.new("CK_BYTE[17]")
    with pytest.raises(BackendError, match="answered CKR_"):
        direct.decrypt_gcm_into(token, key, bytes(12), b"", bytes(17), address_of(out), 17)


def test_another_token_in_its_place_is_noticed(token: Token, answer: Answer) -> None:
    honest = token.calls.C_GetTokenInfo

    def other_serial(slot: int, raw: Any) -> int:
        code: int = honest(slot, raw)
        raw.serialNumber[0] ^= 1
        return code

    answer("C_GetTokenInfo", other_serial)
    with pytest.raises(BackendError, match="another token is in its place") as caught:
        token.info()
    assert caught.value.retryable


def test_the_info_tells_room_only_where_the_module_does(
    hsm_module: Module, locked_token: Token, answer: Answer
) -> None:
    assert locked_token.info().free_private_bytes is None
    honest = hsm_module.calls.C_GetTokenInfo

    def roomy(slot: int, raw: Any) -> int:
        code: int = honest(slot, raw)
        raw.ulFreePrivateMemory = 4096
        return code

    answer("C_GetTokenInfo", roomy)
    assert locked_token.info().free_private_bytes == 4096


def test_the_info_names_the_token(locked_token: Token) -> None:
    info = locked_token.info()
    assert (info.label, len(info.serial)) == (locked_token.label, 16)
    assert (info.manufacturer, info.model) == ("SoftHSM project", "SoftHSM v2")
    assert len(SO_PIN) in info.pin_lengths
    prefix = uri.token_part(locked_token.label, locked_token.serial)
    label = info.label.replace(" ", "%20")
    assert prefix == f"pkcs11:token={label};serial={info.serial_text}"


def test_the_tokens_generator_fills_memory(token: Token) -> None:
    out = ffi.new("CK_BYTE[64]")
    token.fill_random(address_of(out), 32)
    assert bytes(out[0:32]) != bytes(32)
    assert bytes(out[32:64]) == bytes(32)


def test_a_token_without_a_generator_is_unavailable_for_good(token: Token, answer: Answer) -> None:
    answer("C_GenerateRandom", 0x121)
    with pytest.raises(BackendError, match="CKR_RANDOM_NO_RNG") as caught:
        token.fill_random(address_of(ffi.new("CK_BYTE[8]")), 8)
    assert not caught.value.retryable
