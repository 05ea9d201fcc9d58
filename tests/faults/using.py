"""Small uses of a token, each of a session of its own."""

from __future__ import annotations

from hsm_mpc.hsm.cryptoki import address_of, ffi
from hsm_mpc.hsm.direct import decrypt_gcm_into
from hsm_mpc.hsm.gcm import encrypt_gcm
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import WalletId

IV = bytes(range(12))
WALLET = WalletId(bytes(16))


def ask(token: Token) -> None:
    """For randomness: one call in a session."""
    out = ffi.new("CK_BYTE[8]")
    token.fill_random(address_of(out), len(out))


def sealed_by(token: Token, key: Key) -> bytes:
    plaintext = ffi.new("CK_BYTE[32]")
    return encrypt_gcm(token, key, IV, b"", address_of(plaintext), len(plaintext))


def opened_by(token: Token, key: Key, sealed: bytes) -> int:
    """How many bytes it decrypts to."""
    out = ffi.new("CK_BYTE[48]")
    return decrypt_gcm_into(token, key, IV, b"", sealed, address_of(out), len(out))
