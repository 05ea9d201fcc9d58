"""The system's libcrypto by pointer, and what it does when it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.secure import libcrypto
from hsm_mpc.secure.arena import Arena, publish
from tests.secure.bytes_of import filled

ANSWERS = [
    # FIPS 197, C.3
    (
        bytes(range(32)).hex(),
        "00112233445566778899aabbccddeeff",
        "8ea2b7ca516745bfeafc49904b496089",
    ),
    # C2SP XAES-256-GCM, first test vector: L (step 2.3.6)
    ("01" * 32, "00" * 16, "7298caa565031eadc6ce23d23ea66378"),
]


@pytest.mark.parametrize(("key", "block", "answer"), ANSWERS)
def test_one_block_of_aes(arena: Arena, key: str, block: str, answer: str) -> None:
    with arena.scope() as take:
        secret = filled(take(32), bytes.fromhex(key))
        source, out = filled(take(16), bytes.fromhex(block)), filled(take(32), b"\xa5" * 32)
        with secret.open() as k, source.open() as b, out.open() as o:
            libcrypto.aes256_block(k, b, o)
        assert publish(out).hex() == answer + "a5" * 16


def test_one_block_may_overwrite_itself(arena: Arena) -> None:
    key, block, answer = ANSWERS[0]
    with arena.scope() as take:
        secret, both = filled(take(32), bytes.fromhex(key)), filled(take(16), bytes.fromhex(block))
        with secret.open() as k, both.open() as b:
            libcrypto.aes256_block(k, b, b)
        assert publish(both).hex() == answer


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
    "block": lambda at: libcrypto.aes256_block(at, at, at),
    "seal": lambda at: libcrypto.aes256gcm_seal(at, bytes(12), b"", at, 16),
    "open": lambda at: libcrypto.aes256gcm_open(at, bytes(12), b"", bytes(32), at),
}
STEPS = [
    ("block", "EVP_EncryptInit_ex", 1),
    ("block", "EVP_CIPHER_CTX_set_padding", 1),
    ("block", "EVP_EncryptUpdate", 1),
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
