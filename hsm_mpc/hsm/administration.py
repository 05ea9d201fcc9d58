"""python-pkcs11 on the module that we initialised: for making keys, never for using them.

Left to itself it initialises the module without locks, so it is given a library whose `initialize`
does nothing, with our function list in it: p11-kit's client is another, uninitialised one for
everybody who asks for a list. That leans on a private class of the pinned version;
tests/hsm/test_administration.py says what we rely on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pkcs11
from pkcs11 import _pkcs11

from hsm_mpc.errors import BackendError, HsmMpcError
from hsm_mpc.hsm import failures
from hsm_mpc.hsm.cryptoki import ffi
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.steps import step

_FUNCTION_LIST_AT: Final = object.__basicsize__
"""Where in its object the pinned version keeps the pointer: first behind what every object has."""

_UNMAPPED: Final = re.compile(r"Unmapped error code (0x[0-9a-f]+)")
_NOT_INITIALISED: Final = re.compile(r"Initialisation error \(not initialized\).*")
"""What it says of codes that it has no class for."""


class _SharedLibrary(_pkcs11.lib):
    """The module as python-pkcs11 sees it; dropping this does not finalise the module."""

    def initialize(self) -> None:
        """Done before, with locks, by `Module`."""


def library(module: Module) -> _pkcs11.lib:
    """python-pkcs11's face of a module that is initialised."""
    shared = _SharedLibrary.__new__(_SharedLibrary, module.path)  # type: ignore[call-arg]
    ffi.cast("CK_FUNCTION_LIST **", id(shared) + _FUNCTION_LIST_AT)[0] = module.library.functions
    shared.__init__(module.path)  # type: ignore[misc]
    return shared


@contextmanager
def administration(token: Token) -> Iterator[pkcs11.Session]:
    """A read-write session of python-pkcs11 that inherits the login.

    Session objects made in it end with it.

    Raises:
        BackendError: what python-pkcs11 raised in the body, by its return code.
    """
    try:
        with token.changing(), token.inside():
            token.info()
            with step("administration.open"):
                session = _token_in(library(token.module), token).open(rw=True)
            try:
                yield session
            finally:
                token.pool.close(_handle_of(session))
    except HsmMpcError:
        raise
    except (pkcs11.PKCS11Error, ValueError, OverflowError, MemoryError) as error:
        raise _translated(error, token) from error


def _handle_of(session: Any) -> int:
    """Its handle, which it shows to everybody but not in its types."""
    return int(session.handle)


def _token_in(shared: _pkcs11.lib, token: Token) -> pkcs11.Token:
    for slot in shared.get_slots(token_present=True):
        if slot.slot_id == token.slot:
            return slot.get_token()
    raise BackendError(f"{token.where}: its slot is gone")


def _translated(error: Exception, token: Token) -> BackendError:
    code = _code_of(error)
    if code is None:
        return BackendError(f"{token.where}: {type(error).__name__}: {error}", retryable=False)
    return failures.failure(code, "python-pkcs11", token.where)


def _code_of(error: Exception) -> int | None:
    """The return code that it was raised for, if it tells."""
    if unmapped := _UNMAPPED.fullmatch(str(error)):
        return int(unmapped[1], 16)
    if _NOT_INITIALISED.fullmatch(str(error)):
        return failures.CRYPTOKI_NOT_INITIALIZED
    return failures.code_named(type(error).__name__)
