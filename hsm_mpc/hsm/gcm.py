"""AES-256-GCM encryption in the token, whoever makes the IV.

FIPS 140 lets some HSMs encrypt only under an IV of their own. They write it over ours in the
parameter, or append it to the output (`profiles.IvMaker`). It is read back and kept with the
ciphertext; what is bound as associated data cannot contain it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from hsm_mpc.errors import BackendError, BadInput
from hsm_mpc.hsm import failures
from hsm_mpc.hsm.cryptoki import BYTES, ffi
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.profiles import IvMaker
from hsm_mpc.hsm.sessions import IV_BYTES, LONGEST_IV, TAG_BYTES, Session
from hsm_mpc.hsm.token import Token
from hsm_mpc.steps import step

_ZEROS = bytes(IV_BYTES)


class Sealed(NamedTuple):
    """What decrypts, and under which IV."""

    iv: bytes
    """12 bytes; 16 where the HSM appends it."""
    ciphertext: bytes
    """With its tag of 16 bytes at the end."""


def encrypt_gcm(
    token: Token, key: Key, iv: bytes, associated: bytes, pointer: int, length: int
) -> bytes:
    """Encrypt `length` bytes at `pointer` under an IV of ours: ciphertext ‖ tag[16].

    Args:
        iv: 12 bytes, never used before with this key.

    Raises:
        BadInput: a length is wrong.
        StaleHandle: the key is gone.
        BackendError: the token does not answer as it should, or put an IV of its own in place.
    """
    if len(iv) != IV_BYTES or length < 1:
        raise BadInput(f"AES-GCM: {len(iv)} bytes of IV, {length} of plaintext")
    with token.session() as session:
        session.set_gcm(iv, associated)
        written = _encrypt(token, session, key, pointer, length, length + TAG_BYTES)
        if _iv_in(session) != iv:
            raise failures.Lacking(
                f"{token.where}: C_Encrypt changed the IV; mend: an hsm.profile that says so"
            )
    return written


def encrypt_gcm_afresh(
    token: Token, key: Key, associated: bytes, pointer: int, length: int
) -> Sealed:
    """Encrypt `length` bytes at `pointer` under a new IV, made by whoever makes it there.

    Raises:
        BadInput, StaleHandle, BackendError: as `encrypt_gcm`; `BackendError` also where the HSM
            should have made an IV, and did not.
    """
    if token.profile.iv_maker is IvMaker.HOLDER:
        iv = os.urandom(IV_BYTES)
        return Sealed(iv, encrypt_gcm(token, key, iv, associated, pointer, length))
    return encrypt_gcm_under_its_iv(token, key, associated, pointer, length)


def encrypt_gcm_under_its_iv(
    token: Token, key: Key, associated: bytes, pointer: int, length: int
) -> Sealed:
    """Encrypt `length` bytes at `pointer` under an IV that the HSM makes.

    Raises:
        BadInput, StaleHandle, BackendError: as `encrypt_gcm_afresh`.
    """
    if length < 1:
        raise BadInput(f"AES-GCM: {length} bytes of plaintext")
    in_parameter = token.profile.iv_maker is IvMaker.HSM_IN_PARAMETER
    sealed_bytes = length + TAG_BYTES
    written_bytes = sealed_bytes if in_parameter else sealed_bytes + LONGEST_IV
    with token.session() as session:
        session.set_gcm(_ZEROS if in_parameter else b"", associated)
        written = _encrypt(token, session, key, pointer, length, written_bytes)
        iv = _iv_in(session) if in_parameter else written[sealed_bytes:]
        if not any(iv):
            raise BackendError(f"{token.where}: C_Encrypt made no IV", retryable=False)
    return Sealed(iv, written[:sealed_bytes])


def _iv_in(session: Session) -> bytes:
    return bytes(session.iv[0:IV_BYTES])


def _encrypt(
    token: Token, session: Session, key: Key, pointer: int, length: int, expected: int
) -> bytes:
    """What C_Encrypt wrote, by the parameters of the session: `expected` bytes."""
    out = ffi.new("CK_BYTE[]", expected)
    session.length[0] = expected
    source = ffi.cast(BYTES, pointer)
    with step("key.encrypt"):
        code = token.calls.C_EncryptInit(session.handle, session.gcm, session.number_of(key.handle))
        failures.check(code, "C_EncryptInit", token.where)
        code = token.calls.C_Encrypt(session.handle, source, length, out, session.length)
        failures.check(code, "C_Encrypt", token.where)
    if session.length[0] != expected:
        raise BackendError(f"{token.where}: C_Encrypt wrote a wrong length", retryable=False)
    return bytes(out)
