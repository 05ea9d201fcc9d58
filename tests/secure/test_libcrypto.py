"""The system's libcrypto by pointer, and what it does when it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.secure import libcrypto
from hsm_mpc.secure.arena import Arena


def test_it_says_which_library_it_is() -> None:
    assert libcrypto.version().startswith("OpenSSL 3.")


def test_a_library_that_is_not_installed_is_named_with_the_mend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libcrypto, "_LIBRARY", "libcrypto.so.99")
    libcrypto._lib.cache_clear()
    with pytest.raises(BackendError, match="apt-get install libssl3") as refusal:
        libcrypto.version()
    assert not refusal.value.retryable
    libcrypto._lib.cache_clear()


class Library:
    """libcrypto, but the `turn`-th call of `broken` works and gives `answer` then."""

    def __init__(self, broken: str, turn: int, answer: object) -> None:
        self._broken = broken
        self._turns = turn
        self._answer = answer
        self._real = libcrypto._lib()
        self.freed = 0

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._real, name)
        if name == "EVP_CIPHER_CTX_free":
            self.freed += 1
        if name == self._broken:
            self._turns -= 1
            if self._turns == 0:
                return lambda *arguments: (function(*arguments), self._answer)[1]
        return function


CALLS: dict[str, Callable[[int], object]] = {
    "seal": lambda at: libcrypto.aes256gcm_seal(at, bytes(12), b"a", at, 16),
    "open": lambda at: libcrypto.aes256gcm_open(at, bytes(12), b"a", bytes(32), at),
}
STEPS = [
    ("seal", "EVP_EncryptInit_ex", 1),
    ("seal", "EVP_EncryptUpdate", 1),
    ("seal", "EVP_EncryptUpdate", 2),
    ("seal", "EVP_EncryptFinal_ex", 1),
    ("seal", "EVP_CIPHER_CTX_ctrl", 1),
    ("open", "EVP_DecryptInit_ex", 1),
    ("open", "EVP_DecryptUpdate", 1),
    ("open", "EVP_DecryptUpdate", 2),
    ("open", "EVP_CIPHER_CTX_ctrl", 1),
]


@pytest.mark.parametrize(("call", "broken", "turn"), STEPS)
def test_every_refusal_is_an_error_and_frees_the_cipher(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, call: str, broken: str, turn: int
) -> None:
    library = Library(broken, turn, 0)
    monkeypatch.setattr(libcrypto, "_lib", lambda: library)
    with arena.open() as pointer, pytest.raises(BackendError, match="refused an AES operation"):
        CALLS[call](pointer)
    assert library.freed == 1


@pytest.mark.parametrize("call", CALLS)
def test_no_memory_for_a_cipher_is_an_error(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    library = Library("EVP_CIPHER_CTX_new", 1, libcrypto._ffi.NULL)
    monkeypatch.setattr(libcrypto, "_lib", lambda: library)
    with arena.open() as pointer, pytest.raises(BackendError, match="no memory for a cipher"):
        CALLS[call](pointer)
