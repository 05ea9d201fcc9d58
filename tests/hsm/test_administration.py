"""What we rely on of python-pkcs11's insides, and how its errors leave."""

from __future__ import annotations

import gc
from importlib.metadata import version
from typing import Any

import pkcs11
import pytest
from pkcs11 import _pkcs11

from hsm_mpc.errors import BackendError, Refused
from hsm_mpc.hsm import administration as administration_module
from hsm_mpc.hsm.administration import administration, library
from hsm_mpc.hsm.cryptoki import ffi
from hsm_mpc.hsm.failures import DeviceGone
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from tests.hsm.lying import Answer


def test_python_pkcs11_is_the_version_whose_insides_were_read() -> None:
    assert version("python-pkcs11") == "0.10.1"


def test_by_itself_it_would_initialise_the_module_again(hsm_module: Module) -> None:
    with pytest.raises(pkcs11.PKCS11Error, match="already initialized"):
        _pkcs11.lib(hsm_module.path)


def test_it_shares_our_initialisation_and_never_ends_it(hsm_module: Module, token: Token) -> None:
    shared = library(hsm_module)
    assert not shared.initialized  # so it does not finalise the module when it is dropped
    assert shared.manufacturer_id.startswith("SoftHSM")
    del shared
    gc.collect()
    assert token.info().label == token.label


def test_it_calls_the_very_functions_that_we_initialised(
    hsm_module: Module, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    """p11-kit's client gives another list, of a module not initialised, to everybody who asks."""
    functions = ffi.new("CK_FUNCTION_LIST *", hsm_module.library.functions[0])
    called = []

    def info(told: Any) -> int:
        called.append(1)
        told.manufacturerID = b"ours".ljust(32)
        return 0

    functions.C_GetInfo = kept = ffi.callback("CK_RV(CK_INFO *)", info)
    monkeypatch.setattr(hsm_module, "library", hsm_module.library._replace(functions=functions))
    assert library(hsm_module).manufacturer_id == "ours"
    assert called
    assert kept


def test_its_session_inherits_the_login_and_does_not_end_it(token: Token) -> None:
    with administration(token) as session:
        assert session.rw
        assert session.get_key(label="hsm-mpc/canary")
    assert token.canary is not None
    assert token.canary.is_decrypted_by(token)


def test_its_handles_are_ours(token: Token) -> None:
    with administration(token) as session:
        key = session.get_key(label="hsm-mpc/canary")
    assert token.canary is not None
    assert key.handle == token.canary.key.handle


@pytest.mark.parametrize(
    ("raised", "kind", "text", "retryable"),
    [
        (pkcs11.DeviceMemory(), BackendError, "CKR_DEVICE_MEMORY", True),
        (pkcs11.MechanismInvalid(), BackendError, "CKR_MECHANISM_INVALID", False),
        (pkcs11.PinLocked(), DeviceGone, "CKR_PIN_LOCKED", True),
        (pkcs11.PKCS11Error("Unmapped error code 0x80000001"), BackendError, "0x80000001", True),
        (
            pkcs11.PKCS11Error("Initialisation error (not initialized). Should never see this."),
            BackendError,
            "CKR_CRYPTOKI_NOT_INITIALIZED",
            True,
        ),
        (pkcs11.PKCS11Error("something else"), BackendError, "something else", False),
        (OverflowError("length"), BackendError, "OverflowError: length", False),
        (ValueError("class"), BackendError, "ValueError: class", False),
        (MemoryError(), BackendError, "MemoryError", False),
    ],
)
def test_its_exceptions_leave_as_ours(
    token: Token, raised: Exception, kind: type[BackendError], text: str, retryable: bool
) -> None:
    with pytest.raises(kind, match=text) as caught, administration(token):
        raise raised
    assert caught.value.retryable is retryable
    assert caught.value.__cause__ is raised


def test_whatever_its_body_raises_is_a_doubt(token: Token) -> None:
    assert not token.pool.in_doubt
    with pytest.raises(BackendError), administration(token):
        raise pkcs11.DeviceError
    assert token.pool.in_doubt


def test_errors_of_ours_leave_as_they_are(token: Token) -> None:
    refused = Refused("rule", "text")
    with pytest.raises(Refused) as caught, administration(token):
        raise refused
    assert caught.value is refused


def test_a_bug_leaves_as_it_is(token: Token) -> None:
    with pytest.raises(ZeroDivisionError), administration(token):
        raise ZeroDivisionError


def test_a_session_that_cannot_be_closed_is_closed_later(token: Token, answer: Answer) -> None:
    honest = token.calls.C_CloseSession
    answer("C_CloseSession", 0x30)
    with administration(token) as session:
        pass
    assert token.pool._unclosed == [administration_module._handle_of(session)]
    answer("C_CloseSession", honest)
    token.pool.close_all()
    assert token.pool._unclosed == []


def test_a_slot_that_vanished_is_unavailable(token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        def get_slots(self, token_present: bool) -> list[Any]:
            return []

    monkeypatch.setattr(administration_module, "library", lambda _: Empty())
    with pytest.raises(BackendError, match="its slot is gone"), administration(token):
        pass


def test_it_is_not_asked_when_the_token_is_gone(token: Token, answer: Answer) -> None:
    answer("C_GetTokenInfo", 0x32)
    with pytest.raises(BackendError, match="CKR_DEVICE_REMOVED"), administration(token):
        pytest.fail("the body ran")
