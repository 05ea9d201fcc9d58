"""An empty token becomes a holder's: label, security officer's PIN, user PIN.

Both PINs go to the module by pointer. Nothing stands on a command line. Where a new token has a
security officer's PIN from its factory (`profiles`), he logs in with that one and changes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hsm_mpc.errors import BackendError, BadConfig, BadInput, NameTaken
from hsm_mpc.hsm import failures, uri
from hsm_mpc.hsm.cryptoki import BYTES, TokenFlag, User, ffi
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
    if not _begun(module, label):
        _initialise(module, encoded, so_pin, user_pin)
    token = _the_one_begun(module, label)
    if token.pin_state is not PinState.NOT_SET:
        raise NameTaken(f"{module.where}: token {label!r} is there already")
    _set_pins(module, token, so_pin, user_pin)
    return module.find(label, token.serial_text)


def _begun(module: Module, label: str) -> list[TokenInfo]:
    """Tokens that bear the label, and so need no C_InitToken any more."""
    return [
        token
        for token in module.slots()
        if token.label == label and not _wants_label(module, token)
    ]


def _wants_label(module: Module, token: TokenInfo) -> bool:
    """Whether C_InitToken is to be called, which gives a token its label."""
    return not token.initialised and not module.profile_of(token).bears_its_label


def _the_one_begun(module: Module, label: str) -> TokenInfo:
    begun = _begun(module, label)
    return begun[0] if len(begun) == 1 else module.find(label)


def _checked_label(label: str) -> bytes:
    encoded = label.encode("utf-8")
    if not 1 <= len(encoded) <= uri.LABEL_BYTES or label != label.strip():
        raise BadInput(f"token label {label!r}: 1 to {uri.LABEL_BYTES} bytes, no blank at its ends")
    return encoded


def _initialise(module: Module, label: bytes, so_pin: Secret, user_pin: Secret) -> None:
    empty = [token for token in module.slots() if _wants_label(module, token)]
    if not empty:
        raise BackendError(f"{module.where}: no empty token to initialise", retryable=False)
    for pin in (so_pin, user_pin):
        _check_length(module, empty[0], pin)
    padded = label.ljust(uri.LABEL_BYTES)
    factory = module.profile_of(empty[0]).factory_so_pin
    with _officers_pin(so_pin, factory) as (pointer, size), step("token.initialise"):
        code = module.calls.C_InitToken(empty[0].slot, pointer, size, padded)
    failures.check(code, "C_InitToken", module.where)


@contextmanager
def _officers_pin(so_pin: Secret, factory: bytes | None) -> Iterator[tuple[Any, int]]:
    """Pointer and length of a factory's PIN, which everybody knows, or of the officer's own."""
    if factory is not None:
        yield ffi.from_buffer(factory), len(factory)
        return
    with so_pin.open() as pointer:
        yield ffi.cast(BYTES, pointer), so_pin.size


def _check_length(module: Module, token: TokenInfo, pin: Secret) -> None:
    lengths = token.pin_lengths
    if pin.size not in lengths:
        allowed = f"{lengths.start} to {lengths.stop - 1} bytes"
        raise BadConfig(f"{module.where}: a PIN of a length that it does not take ({allowed})")


def _set_pins(module: Module, token: TokenInfo, so_pin: Secret, user_pin: Secret) -> None:
    for pin in (so_pin, user_pin):
        _check_length(module, token, pin)
    calls = module.calls
    session = open_session(calls, token.slot, module.where)
    try:
        _log_officer_in(module, token, session, so_pin)
        with user_pin.open() as pointer, step("token.set-pin"):
            code = calls.C_InitPIN(session, ffi.cast(BYTES, pointer), user_pin.size)
        failures.check(code, "C_InitPIN", module.where)
    finally:
        calls.C_Logout(session)
        calls.C_CloseSession(session)


def _log_officer_in(module: Module, token: TokenInfo, session: int, so_pin: Secret) -> None:
    """With the factory's PIN while it is the token's; then it is changed, so far as it can be."""
    calls, profile = module.calls, module.profile_of(token)
    factory = profile.factory_so_pin
    to_be_changed = factory is not None and bool(token.flags & TokenFlag.SO_PIN_TO_BE_CHANGED)
    first = factory if to_be_changed or profile.bears_its_label else None
    with _officers_pin(so_pin, first) as (pointer, size), step("token.login-so"):
        code = calls.C_Login(session, User.SO, pointer, size)
    failures.check(code, "C_Login of the security officer", module.where)
    if to_be_changed:
        with (
            _officers_pin(so_pin, factory) as old,
            _officers_pin(so_pin, None) as own,
            step("token.change-so-pin"),
        ):
            code = calls.C_SetPIN(session, *old, *own)
        failures.check(code, "C_SetPIN of the security officer", module.where)
