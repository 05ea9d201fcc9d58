"""What the token can do, found by doing it, with keys and objects that are thrown away.

A module's list of mechanisms cannot be relied on: some list what they cannot do (measured).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import BackendError, HsmMpcError, Refused, Tampered
from hsm_mpc.hsm import generation
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.cryptoki import ObjectClass, address_of, ffi
from hsm_mpc.hsm.direct import AmbiguousAnswer, CiphertextRefused, decrypt_once, encrypt_gcm
from hsm_mpc.hsm.identity import Identity
from hsm_mpc.hsm.keys import Key, KeyPair
from hsm_mpc.hsm.register import Register, Registers
from hsm_mpc.hsm.sessions import IV_BYTES
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag

RULE: Final = "hsm-capability"

_NAME: Final = "hsm-mpc/self-test"
_PLAINTEXT: Final = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Finding:
    """One capability that a holder needs."""

    capability: str
    failure: str
    """Why it cannot be used; empty if it works."""


def self_test(token: Token) -> tuple[Finding, ...]:
    """Try everything a holder needs. Leaves nothing in the token.

    Never raises for what the token cannot do: that is the finding.
    """
    return (
        _tried("AES-256-GCM in the token", token, _wraps_data_keys),
        _tried("ECDSA P-256 in the token", token, _signs),
        _tried("registers in the token", token, _keeps_registers),
    )


def require_capabilities(token: Token) -> None:
    """Refuse a token that lacks something.

    Raises:
        Refused: with rule `hsm-capability`, naming what failed and how.
    """
    failed = [finding for finding in self_test(token) if finding.failure]
    if failed:
        reasons = "; ".join(f"{finding.capability}: {finding.failure}" for finding in failed)
        raise Refused(RULE, f"{token.where}: {reasons}")


def _tried(capability: str, token: Token, run: Callable[[Token], None]) -> Finding:
    try:
        run(token)
    except HsmMpcError as error:
        return Finding(capability, str(error))
    return Finding(capability, "")


def _wraps_data_keys(token: Token) -> None:
    name, iv = _NAME.encode(), os.urandom(IV_BYTES)
    with administration(token) as session:
        handle = generation.aes_key(session, name, _NAME, stored=False)
        key = Key(handle, ObjectClass.SECRET_KEY, name, _NAME)
        plaintext = ffi.from_buffer(_PLAINTEXT)
        sealed = encrypt_gcm(token, key, iv, name, address_of(plaintext), len(_PLAINTEXT))
        if _decrypted(token, key, iv, name, sealed) != _PLAINTEXT:
            raise BackendError("it does not give back what it encrypted", retryable=False)
        flipped = sealed[:-1] + bytes((sealed[-1] ^ 1,))
        for associated, ciphertext in ((name, flipped), (b"other", sealed)):
            _must_refuse(token, key, iv, associated, ciphertext)


def _decrypted(token: Token, key: Key, iv: bytes, associated: bytes, sealed: bytes) -> bytes:
    out = ffi.new("CK_BYTE[]", len(sealed))
    length = decrypt_once(token, key, iv, associated, sealed, address_of(out), len(out))
    return bytes(out[0:length])


def _must_refuse(token: Token, key: Key, iv: bytes, associated: bytes, sealed: bytes) -> None:
    try:
        _decrypted(token, key, iv, associated, sealed)
    except (AmbiguousAnswer, CiphertextRefused):
        return
    raise Tampered("it decrypts what was tampered with")


def _signs(token: Token) -> None:
    name = _NAME.encode()
    with administration(token) as session:
        private, public = generation.p256_key_pair(session, name, _NAME, stored=False)
        pair = KeyPair(
            Key(private, ObjectClass.PRIVATE_KEY, name, _NAME),
            Key(public, ObjectClass.PUBLIC_KEY, name, _NAME),
        )
        Identity(token, pair).sign(Tag.CARD, name)


def _keeps_registers(token: Token) -> None:
    """Data objects, which hold a wallet's register (step 6.2.1a)."""
    wallet_id, registers = WalletId(os.urandom(16)), Registers(token)
    try:
        for number in (1, 2):
            wanted = Register(EpochHash(bytes(32)), promised=bytes((number,)) * 10)
            registers.write(wallet_id, wanted)
            if Registers(token).read(wallet_id) != wanted:
                raise BackendError("it does not give back what it stored", retryable=False)
    finally:
        registers.destroy(wallet_id)
