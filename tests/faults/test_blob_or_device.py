"""The ladder when it matters most: whom a refusal accuses, and several threads at once."""

from __future__ import annotations

import threading
import time

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import keys, objects
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.hsm.direct import CiphertextRefused
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.recovery import Recovery
from hsm_mpc.hsm.token import Token
from tests.faults import codes
from tests.faults.conftest import Logins
from tests.faults.shim import FOREVER, UNTIL_INITIALISED, Shim
from tests.faults.using import ask, opened_by, sealed_by


@pytest.fixture
def token(ordered: Token) -> Token:
    return ordered


# --- what is wrong, blob or device ----------------------------------------------------------------


@pytest.mark.parametrize("code", [codes.GENERAL_ERROR, 0x6])
def test_a_refusal_that_passes_is_none(token: Token, key: Key, shim: Shim, code: int) -> None:
    sealed = sealed_by(token, key)
    shim.answer(code, "C_Decrypt")
    assert opened_by(token, key, sealed) == 32


def test_a_wrong_blob_is_refused_while_the_canary_decrypts(
    token: Token, key: Key, logins: Logins
) -> None:
    sealed = sealed_by(token, key)
    with pytest.raises(CiphertextRefused):
        opened_by(token, key, sealed[:-1] + bytes((sealed[-1] ^ 1,)))
    assert opened_by(token, key, sealed) == 32
    assert logins.count == 0


def test_a_device_that_decrypts_nothing_is_away_whatever_the_blob(
    token: Token, key: Key, shim: Shim
) -> None:
    sealed = sealed_by(token, key)
    shim.answer(codes.GENERAL_ERROR, "C_Decrypt", times=FOREVER)
    for blob in (sealed, sealed[:-1] + bytes((sealed[-1] ^ 1,))):
        with pytest.raises(BackendError) as caught:
            opened_by(token, keys.found_again(token, key), blob)
        assert caught.value.retryable
    shim.obey_no_more()
    assert opened_by(token, keys.found_again(token, key), sealed) == 32


# --- threads --------------------------------------------------------------------------------------


def test_threads_meet_the_second_rung_together_and_it_is_climbed_once(
    token: Token, key: Key, shim: Shim, logins: Logins
) -> None:
    sealed, failures, wrong = sealed_by(token, key), [0], []
    stop = time.monotonic() + 0.8

    def work() -> None:
        mine = key
        while time.monotonic() < stop:
            try:
                if opened_by(token, mine, sealed) != 32:
                    wrong.append("length")
            except StaleHandle:
                try:
                    mine = keys.found_again(token, key)
                except BackendError:
                    failures[0] += 1
            except BackendError as failure:
                failures[0] += 1
                if not failure.retryable:
                    wrong.append(str(failure))
            except BaseException as unexpected:
                wrong.append(repr(unexpected))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(0.15)
        shim.answer(codes.DEVICE_ERROR, times=UNTIL_INITIALISED)
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 1 <= logins.count <= 3
    ask(token)


def test_a_look_from_inside_of_a_session_does_not_wait_for_itself(token: Token, shim: Shim) -> None:
    started = time.monotonic()
    with token.session():
        shim.answer(codes.DEVICE_ERROR, times=UNTIL_INITIALISED)
        for _ in range(2):
            with pytest.raises(BackendError):
                ask(token)
    assert time.monotonic() - started < 2
    ask(token)


def test_without_a_way_to_log_in_there_is_no_second_rung(token: Token, shim: Shim) -> None:
    token.recovery.log_in_again = None
    incarnation = token.module.incarnation
    with shim.away(codes.DEVICE_ERROR):
        for _ in range(3):
            with pytest.raises(BackendError):
                ask(token)
    ask(token)
    assert token.module.incarnation == incarnation


def test_a_recovery_begins_sound(token: Token) -> None:
    fresh = Recovery(token)
    assert fresh.given_up is None
    fresh.settle()
    assert objects.matching(token, {Attribute.TOKEN: objects.TRUE})
