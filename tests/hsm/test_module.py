from __future__ import annotations

import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc.errors import BackendError, BadConfig
from hsm_mpc.hsm import loading, provisioning
from hsm_mpc.hsm.cryptoki import OS_LOCKING_OK, UNAVAILABLE, ffi
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena
from tests.hsm.lying import Answer
from tests.secure.children import fate_of
from tests.softhsm import SO_PIN, USER_PIN, secret_of, softhsm_environment


def test_a_module_is_loaded_once_by_its_real_path(hsm_module: Module, tmp_path: Path) -> None:
    link = tmp_path / "link.so"
    link.symlink_to(hsm_module.path)
    assert Module.load(hsm_module.path, hsm_module.environment) is hsm_module
    assert Module.load(str(link), hsm_module.environment) is hsm_module


def test_a_module_is_not_loaded_again_with_other_variables(hsm_module: Module) -> None:
    with pytest.raises(BadConfig, match="other variables"):
        Module.load(hsm_module.path, {"SOFTHSM2_CONF": "/elsewhere"})
    with pytest.raises(BadConfig, match="other variables"):
        Module.load(hsm_module.path)


def test_the_variables_are_set_before_the_module_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HSM_MPC_TEST_VARIABLE", "old")
    seen: list[str] = []
    calls = SimpleNamespace(C_Initialize=lambda _: 0)

    def load(_: str) -> SimpleNamespace:
        seen.append(os.environ["HSM_MPC_TEST_VARIABLE"])
        return SimpleNamespace(calls=calls)

    monkeypatch.setattr(loading, "load", load)
    Module("/module.so", {"HSM_MPC_TEST_VARIABLE": "new"})
    assert seen == ["new"]


def test_the_module_is_told_to_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def initialize(arguments: Any) -> int:
        told.append(arguments.flags)
        return 0

    fake = SimpleNamespace(calls=SimpleNamespace(C_Initialize=initialize))
    monkeypatch.setattr(loading, "load", lambda _: fake)
    Module("/module.so", {})
    assert told == [OS_LOCKING_OK]


def test_the_module_gets_its_parameters_where_nss_looks_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[bytes] = []

    def initialize(arguments: Any) -> int:
        told.append(ffi.string(ffi.cast("char *", arguments.pReserved)))
        assert arguments.pReservedOfNss == ffi.NULL
        return 0

    fake = SimpleNamespace(calls=SimpleNamespace(C_Initialize=initialize))
    monkeypatch.setattr(loading, "load", lambda _: fake)
    Module("/module.so", {}, "configdir='sql:/a'")
    assert told == [b"configdir='sql:/a'"]


def test_without_parameters_the_reserved_pointer_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others than NSS refuse any."""
    told: list[bool] = []

    def initialize(arguments: Any) -> int:
        told.append(arguments.pReserved == ffi.NULL)
        return 0

    fake = SimpleNamespace(calls=SimpleNamespace(C_Initialize=initialize))
    monkeypatch.setattr(loading, "load", lambda _: fake)
    Module("/module.so", {})
    assert told == [True]


def test_a_module_is_not_loaded_again_with_other_parameters(hsm_module: Module) -> None:
    with pytest.raises(BadConfig, match="other parameters"):
        Module.load(hsm_module.path, hsm_module.environment, "configdir=''")


def test_a_module_that_other_code_initialised_is_refused(hsm_module: Module) -> None:
    with pytest.raises(BackendError, match="other code of this process initialised it") as caught:
        Module(hsm_module.path, {})
    assert not caught.value.retryable


def test_a_module_that_cannot_start_is_unavailable_and_may_be_tried_again(
    hsm_module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", os.environ["SOFTHSM2_CONF"])
    copy = tmp_path / "copy.so"
    shutil.copy(hsm_module.path, copy)
    with pytest.raises(BackendError, match="C_Initialize answered") as caught:
        Module.load(str(copy), {"SOFTHSM2_CONF": str(tmp_path / "absent.conf")})
    assert caught.value.retryable
    assert Module.load(str(copy), softhsm_environment(tmp_path)).tokens() == ()


def test_two_threads_load_one_module(hsm_module: Module) -> None:
    loaded: list[Module] = []
    threads = [
        threading.Thread(
            target=lambda: loaded.append(Module.load(hsm_module.path, hsm_module.environment))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == [hsm_module] * 8


def test_after_a_fork_everything_is_refused(token: Token, hsm_module: Module) -> None:
    refusal = "BackendError: .* not usable after a fork; start a new process"
    uses: list[Callable[[], object]] = [
        lambda: Module.load(hsm_module.path, hsm_module.environment),
        hsm_module.tokens,
        token.info,
        token.session,
        token.take_session,
    ]
    for use in uses:
        assert re.match(refusal, fate_of(use))


@pytest.mark.parametrize("failing_call", [1, 2])
def test_a_module_that_lists_no_slots_is_unavailable(
    hsm_module: Module, answer: Answer, failing_call: int
) -> None:
    honest = hsm_module.calls.C_GetSlotList
    calls: list[int] = []

    def counted(*arguments: Any) -> int:
        calls.append(1)
        code: int = 0x30 if len(calls) == failing_call else honest(*arguments)
        return code

    answer("C_GetSlotList", counted)
    with pytest.raises(BackendError, match="C_GetSlotList answered CKR_DEVICE_ERROR"):
        hsm_module.tokens()
    assert len(calls) == failing_call


@pytest.mark.parametrize("count", [5000, UNAVAILABLE])
def test_a_module_that_gives_more_slots_than_there_is_room_for_is_refused(
    hsm_module: Module, answer: Answer, count: int
) -> None:
    def endless(_: int, __: Any, found: Any) -> int:
        found[0] = count
        return 0

    answer("C_GetSlotList", endless)
    with pytest.raises(BackendError, match="more slots than there is room"):
        hsm_module.tokens()


def test_a_slot_that_does_not_answer_could_hold_the_token(
    locked_token: Token, answer: Answer
) -> None:
    answer("C_GetTokenInfo", 0x30)
    with pytest.raises(BackendError, match=r"slot \d+: C_GetTokenInfo answered CKR_DEVICE_ERROR"):
        locked_token.module.tokens()


def test_an_empty_slot_is_passed_over(locked_token: Token, answer: Answer) -> None:
    module = locked_token.module
    honest = module.calls.C_GetTokenInfo
    everything = module.slots()

    def other_slots_only(slot: int, raw: Any) -> int:
        code: int = 0xE0 if slot == locked_token.slot else honest(slot, raw)
        return code

    answer("C_GetTokenInfo", other_slots_only)
    assert module.slots() == tuple(s for s in everything if s.slot != locked_token.slot)


def test_a_token_that_was_never_initialised_is_no_token(locked_token: Token) -> None:
    module = locked_token.module
    assert [slot for slot in module.slots() if not slot.initialised]
    assert all(token.initialised for token in module.tokens())
    with pytest.raises(BackendError, match="no token ''"):
        module.token("")


def test_a_token_that_is_not_there_may_come_back(hsm_module: Module) -> None:
    with pytest.raises(BackendError, match="no token 'nobody'") as caught:
        hsm_module.token("nobody")
    assert caught.value.retryable


def test_a_token_is_one_object_that_keeps_its_login(token: Token) -> None:
    again = token.module.token(token.label, token.info().serial_text)
    assert again is token
    assert again.logged_in


def test_a_token_with_another_serial_is_not_taken(locked_token: Token) -> None:
    with pytest.raises(BackendError, match="with serial 00000000"):
        locked_token.module.token(locked_token.label, "00000000")


def test_two_tokens_of_one_label_are_told_apart_by_serial_only(
    hsm_module: Module, pin_arena: Arena
) -> None:
    label = f"double {uuid.uuid4().hex[:8]}"
    for _ in range(2):
        provisioning._initialise(
            hsm_module,
            label.encode(),
            secret_of(pin_arena, SO_PIN),
            secret_of(pin_arena, USER_PIN),
        )
    serials = [token.serial_text for token in hsm_module.tokens() if token.label == label]
    with pytest.raises(BadConfig) as caught:
        hsm_module.token(label)
    assert all(serial in str(caught.value) for serial in serials)
    assert "`serial`" in str(caught.value)
    assert [hsm_module.find(label, serial).serial_text for serial in serials] == serials


def test_a_module_tells_its_version(hsm_module: Module) -> None:
    assert re.fullmatch(r"Implementation of PKCS11 2\.\d+, PKCS#11 2\.\d+", hsm_module.version())
