"""XAES-256-GCM by pointer (step 2.3.6)."""

from __future__ import annotations

import pytest

from hsm_mpc.errors import BackendError, BadInput
from hsm_mpc.secure import libcrypto, xaes
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.xaes import Xaes256Gcm, derive_key
from tests.secure.bytes_of import at, filled

NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"
KEY = b"\x01" * 32
DERIVED = "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b"
SEALED = bytes.fromhex("ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271")
PLAINTEXT = b"XAES-256-GCM"


@pytest.fixture
def xaes_gcm() -> Xaes256Gcm:
    return Xaes256Gcm()


@pytest.mark.parametrize(
    ("key", "derived"),
    [
        (KEY, DERIVED),
        (b"\x03" * 32, "e9c621d4cdd9b11b00a6427ad7e559aeedd66b3857646677748f8ca796cb3fd8"),
    ],
)
def test_the_derived_key_is_that_of_the_specification(
    arena: Arena, key: bytes, derived: str
) -> None:
    with arena.scope() as take, take(34).open() as out, filled(take(32), key).open() as own:
        derive_key(own, NONCE, out + 1)
        assert at(out, 34) == b"\0" + bytes.fromhex(derived) + b"\0"


def test_the_first_known_answer(arena: Arena, xaes_gcm: Xaes256Gcm) -> None:
    with arena.scope() as take:
        slot, key, scratch = filled(take(12), PLAINTEXT), filled(take(32), KEY), take(32)
        with slot.open() as text, key.open() as own, scratch.open() as derived:
            assert xaes_gcm.seal(own, NONCE, text, 12, derived) == SEALED
            slot.wipe()
            assert xaes_gcm.open(own, NONCE, SEALED, text, derived)
            assert at(text, 12) == PLAINTEXT


def test_the_second_known_answer(arena: Arena) -> None:
    """It has associated data, which the suite never has: derivation and GCM joined by hand."""
    with arena.scope() as take:
        slot, key = filled(take(12), PLAINTEXT), filled(take(32), b"\x03" * 32)
        with slot.open() as text, key.open() as own, take(32).open() as derived:
            derive_key(own, NONCE, derived)
            associated = b"c2sp.org/XAES-256-GCM"
            sealed = libcrypto.aes256gcm_seal(derived, NONCE[12:], associated, text, 12)
    assert sealed.hex() == "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"


@pytest.mark.parametrize("byte", range(len(SEALED)))
def test_a_changed_ciphertext_does_not_open(arena: Arena, xaes_gcm: Xaes256Gcm, byte: int) -> None:
    changed = bytearray(SEALED)
    changed[byte] ^= 0x10
    with arena.scope() as take:
        slot, key, scratch = take(12), filled(take(32), KEY), take(32)
        with slot.open() as text, key.open() as own, scratch.open() as derived:
            assert not xaes_gcm.open(own, NONCE, bytes(changed), text, derived)


@pytest.mark.parametrize("length", [0, 12, 23, 25])
def test_a_nonce_of_another_length_is_refused(
    arena: Arena, xaes_gcm: Xaes256Gcm, length: int
) -> None:
    nonce = (NONCE + b"Y")[:length]
    with arena.scope() as take, take(32).open() as key:
        with pytest.raises(BadInput, match="nonce of 24 bytes"):
            xaes_gcm.seal(key, nonce, key, 32, key)
        with pytest.raises(BadInput, match="nonce of 24 bytes"):
            xaes_gcm.open(key, nonce, SEALED, key, key)


@pytest.mark.parametrize("refusing", ["CMAC_Init", "CMAC_Update", "CMAC_Final"])
def test_a_refusal_of_libcrypto_is_an_error(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, refusing: str
) -> None:
    library = xaes._lib()

    class Refusing:
        def __getattr__(self, name: str) -> object:
            return (lambda *_: 0) if name == refusing else getattr(library, name)

    monkeypatch.setattr(xaes, "_lib", Refusing)
    with (
        arena.scope() as take,
        take(32).open() as key,
        take(32).open() as out,
        pytest.raises(BackendError, match="AES-CMAC"),
    ):
        derive_key(key, NONCE, out)


def test_no_memory_for_a_cipher_is_an_error(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    library = xaes._lib()

    class Exhausted:
        def __getattr__(self, name: str) -> object:
            return (lambda: xaes._ffi.NULL) if name == "CMAC_CTX_new" else getattr(library, name)

    monkeypatch.setattr(xaes, "_lib", Exhausted)
    with (
        arena.scope() as take,
        take(32).open() as key,
        take(32).open() as out,
        pytest.raises(BackendError, match="AES-CMAC"),
    ):
        derive_key(key, NONCE, out)
