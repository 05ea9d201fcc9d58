from __future__ import annotations

import pkcs11.exceptions
import pytest

from hsm_mpc.errors import BackendError, PinRefused
from hsm_mpc.hsm import failures


@pytest.mark.parametrize("code", [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x102, 0x1B8])
def test_every_code_about_a_pin_is_a_refused_pin(code: int) -> None:
    with pytest.raises(PinRefused, match=r"C_Login answered CKR_\w*PIN"):
        failures.check(code, "C_Login", "token 'x'")


@pytest.mark.parametrize("code", [0xA0, 0xA3, 0xA4, 0x102])
def test_a_function_that_was_given_no_pin_does_not_refuse_one(code: int) -> None:
    """A refused PIN ends a signer until somebody comes: no module does that by the way."""
    with pytest.raises(failures.DeviceGone) as caught:
        failures.check(code, "C_DecryptInit", "token 'x'")
    assert caught.value.retryable


@pytest.mark.parametrize("code", [failures.KEY_HANDLE_INVALID, failures.OBJECT_HANDLE_INVALID])
def test_an_unknown_handle_asks_for_the_key_to_be_found_again(code: int) -> None:
    with pytest.raises(failures.StaleHandle, match="HANDLE_INVALID"):
        failures.check(code, "C_DecryptInit", "token 'x'")


@pytest.mark.parametrize("code", [0xE0, 0xE1])
def test_an_empty_slot_is_an_absent_token_and_may_be_tried_again(code: int) -> None:
    with pytest.raises(failures.TokenAbsent, match="CKR_TOKEN_NOT_") as caught:
        failures.check(code, "C_GetTokenInfo", "slot 1")
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        *((code, True) for code in (0x5, 0x30, 0x31, 0xB3, 0x101)),
        *((code, False) for code in (0x54, 0x68, 0x70, 0xD1, 0x140, 0x150)),
    ],
)
def test_what_the_module_can_never_do_is_not_tried_again(code: int, retryable: bool) -> None:
    with pytest.raises(BackendError) as caught:
        failures.check(code, "C_Sign", "token 'x'")
    assert caught.value.retryable is retryable


def test_the_text_names_token_function_and_code() -> None:
    error = failures.failure(0x32, "C_Sign", "token 'x'")
    assert str(error) == "token 'x': C_Sign answered CKR_DEVICE_REMOVED"


def test_a_code_of_the_vendor_is_shown_as_a_number() -> None:
    assert failures.name_of(0x80001234) == "CKR 0x80001234"


def test_no_error_is_no_error() -> None:
    failures.check(failures.OK, "C_Sign", "token 'x'")


def test_an_exception_of_python_pkcs11_has_its_code() -> None:
    assert failures.code_named(pkcs11.exceptions.DeviceMemory.__name__) == 0x31
    assert failures.code_named(pkcs11.exceptions.UserNotLoggedIn.__name__) == 0x101
    assert failures.code_named(pkcs11.exceptions.PKCS11Error.__name__) is None
