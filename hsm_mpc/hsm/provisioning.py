"""An empty token becomes a holder's: label, security officer's PIN, user PIN.

Both PINs go to the module by pointer. Nothing stands on a command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsm_mpc.errors import BackendError, BadConfig, BadInput, NameTaken
from hsm_mpc.hsm import failures, uri
from hsm_mpc.hsm.cryptoki import BYTES, User, ffi
from hsm_mpc.hsm.sessions import open_session
from hsm_mpc.hsm.token import PinState, TokenInfo
from hsm_mpc.secure.arena import Secret
from hsm_mpc.steps import step

if TYPE_CHECKING:
    from hsm_mpc.hsm.module import Module


def create_token(module: Module, label: str, so_pin: Secret, user_pin: Secret) -> TokenInfo:
    """Initialise an empty token; finish one that an interrupted call left without user PIN.

    Args:
        label: 1 to 32 bytes in UTF-8, without blanks at its ends.

    Raises:
        BadInput: a label that a token cannot bear.
        NameTaken: a token with this label is there, with its PIN set.
        BadConfig: a PIN of a length that the token does not take, or the label is there twice.
        PinRefused: the security officer's PIN is not that of the token to finish.
        BackendError: no empty token is there, or the module does not answer.
    """
    encoded = _checked_label(label)
    if not any(token.label == label for token in module.tokens()):
        _initialise(module, encoded, so_pin, user_pin)
    token = module.find(label)
    if token.pin_state is not PinState.NOT_SET:
        raise NameTaken(f"{module.where}: token {label!r} is there already")
    _set_user_pin(module, token, so_pin, user_pin)
    return module.find(label, token.serial_text)


def _checked_label(label: str) -> bytes:
    encoded = label.encode("utf-8")
    if not 1 <= len(encoded) <= uri.LABEL_BYTES or label != label.strip():
        raise BadInput(f"token label {label!r}: 1 to {uri.LABEL_BYTES} bytes, no blank at its ends")
    return encoded


def _initialise(module: Module, label: bytes, so_pin: Secret, user_pin: Secret) -> None:
    empty = [token for token in module.slots() if not token.initialised]
    if not empty:
        raise BackendError(f"{module.where}: no empty token to initialise", retryable=False)
    for pin in (so_pin, user_pin):
        _check_length(module, empty[0], pin)
    padded = label.ljust(uri.LABEL_BYTES)
    with so_pin.open() as pointer, step("token.initialise"):
        code = module.calls.C_InitToken(
            empty[0].slot, ffi.cast(BYTES, pointer), so_pin.size, padded
        )
    failures.check(code, "C_InitToken", module.where)


def _check_length(module: Module, token: TokenInfo, pin: Secret) -> None:
    lengths = token.pin_lengths
    if pin.size not in lengths:
        allowed = f"{lengths.start} to {lengths.stop - 1} bytes"
        raise BadConfig(f"{module.where}: a PIN of a length that it does not take ({allowed})")


def _set_user_pin(module: Module, token: TokenInfo, so_pin: Secret, user_pin: Secret) -> None:
    _check_length(module, token, user_pin)
    calls = module.calls
    session = open_session(calls, token.slot, module.where)
    try:
        with so_pin.open() as pointer, step("token.login-so"):
            code = calls.C_Login(session, User.SO, ffi.cast(BYTES, pointer), so_pin.size)
        failures.check(code, "C_Login of the security officer", module.where)
        with user_pin.open() as pointer, step("token.set-pin"):
            code = calls.C_InitPIN(session, ffi.cast(BYTES, pointer), user_pin.size)
        failures.check(code, "C_InitPIN", module.where)
    finally:
        calls.C_Logout(session)
        calls.C_CloseSession(session)
