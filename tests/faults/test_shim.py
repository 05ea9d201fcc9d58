"""The ordered module itself: it does what it is told, and counts right."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm.cryptoki import ffi
from hsm_mpc.hsm.failures import DeviceGone
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token
from tests.faults import shim as shim_module
from tests.faults.shim import FOREVER, UNTIL_INITIALISED, Shim
from tests.faults.using import opened_by, sealed_by


@pytest.fixture
def token(ordered: Token) -> Token:
    """One that stays on the first rung, so that what is counted is what was asked for."""
    ordered.recovery.log_in_again = None
    ordered.pool.close_all()
    return ordered


def random_byte(token: Token) -> int:
    """What C_GenerateRandom answers in a session of the pool."""
    with token.session() as session:
        code: int = token.calls.C_GenerateRandom(session.handle, ffi.new("CK_BYTE[1]"), 1)
    return code


def test_without_orders_it_is_the_real_module(token: Token, key: Key) -> None:
    assert opened_by(token, key, sealed_by(token, key)) == 32


def test_it_fails_as_many_calls_as_ordered_after_as_many_as_ordered(
    token: Token, shim: Shim
) -> None:
    shim.answer(0x30, "C_GenerateRandom", after=2, times=3)
    assert [random_byte(token) for _ in range(7)] == [0, 0, 0x30, 0x30, 0x30, 0, 0]
    assert (shim.calls("C_GenerateRandom"), shim.struck("C_GenerateRandom")) == (7, 3)


def test_it_fails_until_something_else_is_ordered(token: Token, shim: Shim) -> None:
    shim.answer(0x80000001, "C_GenerateRandom", times=FOREVER)
    assert {random_byte(token) for _ in range(9)} == {0x80000001}
    shim.answer(0x5, "C_GenerateRandom")
    assert [random_byte(token) for _ in range(2)] == [0x5, 0]


def test_a_call_of_any_function_is_counted(token: Token, shim: Shim) -> None:
    shim.answer(0x30, after=1)
    assert random_byte(token) == 0x30  # after C_OpenSession
    assert shim.struck() == 1


def test_an_answer_can_be_lost_after_its_effect(token: Token, shim: Shim) -> None:
    before = shim.sessions
    shim.answer(0x30, "C_OpenSession", moment="afterwards")
    with pytest.raises(DeviceGone, match="C_OpenSession answered CKR_DEVICE_ERROR"):
        random_byte(token)
    assert shim.sessions == before + 1


def test_open_sessions_are_counted(token: Token, shim: Shim) -> None:
    before = shim.sessions
    with token.session(), token.session():
        assert shim.sessions == before + 2
    token.pool.close_all()
    assert shim.sessions == before


def test_no_session_outlives_the_module(token: Token, shim: Shim) -> None:
    assert shim.sessions
    token.module.begin_anew()
    assert shim.sessions == 0


def test_a_fault_may_last_until_the_module_is_initialised(token: Token, shim: Shim) -> None:
    shim.answer(0x30, times=UNTIL_INITIALISED)
    with pytest.raises(BackendError, match="CKR_DEVICE_ERROR"):
        token.module.tokens()
    token.module.begin_anew()
    assert token.module.tokens()


def test_it_delays(token: Token, shim: Shim) -> None:
    shim.delay("C_GenerateRandom", 0.05)
    started = time.monotonic()
    random_byte(token)
    assert time.monotonic() - started >= 0.05


def test_an_iv_of_its_own_is_noticed_and_nothing_is_sealed(
    token: Token, key: Key, shim: Shim
) -> None:
    shim.make_own_iv()
    with pytest.raises(BackendError, match="changed the IV") as caught:
        sealed_by(token, key)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("function", "text"), [("C_Encrypt", "wrote a wrong length"), ("C_Decrypt", "wrote 31")]
)
def test_output_that_is_cut_short_is_noticed(
    token: Token, key: Key, shim: Shim, function: str, text: str
) -> None:
    sealed = sealed_by(token, key)
    shim.cut(function, 1)
    with pytest.raises(BackendError, match=text):
        sealed_by(token, key)
        opened_by(token, key, sealed)


def test_a_missing_compiler_is_named_with_its_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(AssertionError, match="mend: install a C compiler"):
        shim_module.built(tmp_path)
