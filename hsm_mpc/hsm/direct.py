"""The direct path: what the HSM decrypts lands in protected memory, and nowhere else of ours.

python-pkcs11's `decrypt` gives `bytes`, which nobody can wipe. Here the module writes to an
address inside an open window. Every length is checked before the call; the length of the tag is
fixed, and that of an IV of ours (`sessions`). Encryption is in `gcm`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hsm_mpc.errors import BackendError, BadInput, Tampered
from hsm_mpc.hsm import failures
from hsm_mpc.hsm.cryptoki import BYTES, ffi
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.sessions import IV_BYTES, LONGEST_IV, TAG_BYTES, Session
from hsm_mpc.hsm.token import Token
from hsm_mpc.steps import step

DIGEST_BYTES: Final = 32
P256_SIGNATURE_BYTES: Final = 64
_IV_LENGTHS: Final = frozenset({IV_BYTES, LONGEST_IV})

_REFUSED: Final = frozenset(
    {
        failures.AEAD_DECRYPT_FAILED,
        failures.ENCRYPTED_DATA_INVALID,
        failures.ENCRYPTED_DATA_LEN_RANGE,
    }
)
_AMBIGUOUS: Final = frozenset(
    {
        failures.GENERAL_ERROR,
        failures.FUNCTION_FAILED,
        failures.DATA_INVALID,
        failures.DATA_LEN_RANGE,
    }
)
"""SoftHSM answers CKR_GENERAL_ERROR to a wrong tag and to a broken token alike."""


class CiphertextRefused(Tampered):
    """The token works, and does not accept this ciphertext under this key, IV and data."""


class AmbiguousAnswer(BackendError):
    """The ciphertext is wrong or the token is broken; the module's answer does not say which."""


def decrypt_gcm_into(
    token: Token,
    key: Key,
    iv: bytes,
    associated: bytes,
    ciphertext: bytes,
    pointer: int,
    capacity: int,
) -> int:
    """Decrypt AES-256-GCM to `pointer`; the length of the plaintext, always 16 less than given.

    On failure the memory may hold anything: the caller wipes it.

    Args:
        iv: 12 bytes; 16 of some HSMs that made it themselves.
        ciphertext: with its tag of 16 bytes at the end, 17 bytes or more.
        capacity: bytes that may be written at `pointer`: the length of the ciphertext or more
            (SoftHSM wants room for the tag too).

    Raises:
        BadInput: a length is wrong.
        CiphertextRefused: ciphertext, IV, associated data and key do not belong together.
        StaleHandle: the key is gone.
        BackendError: the token does not answer as it should; also a refusal without a canary that
            could tell it from a broken token.
    """
    return told_apart(
        token,
        key,
        lambda: decrypt_once(token, key, iv, associated, ciphertext, pointer, capacity),
    )


def told_apart(token: Token, key: Key, decrypt: Callable[[], int]) -> int:
    """What `decrypt` gives; the canary says what its `AmbiguousAnswer` means.

    Raises:
        CiphertextRefused: the token decrypts its canary, and this again not.
        AmbiguousAnswer: the token has no canary, or does not decrypt it.
    """
    try:
        return decrypt()
    except AmbiguousAnswer:
        if token.canary is None or not token.canary.is_decrypted_by(token):
            raise
    try:  # a fault that passed is no forgery
        return decrypt()
    except AmbiguousAnswer as error:
        raise CiphertextRefused(f"{token.where}: ciphertext refused by {key.name}") from error


def decrypt_once(
    token: Token,
    key: Key,
    iv: bytes,
    associated: bytes,
    ciphertext: bytes,
    pointer: int,
    capacity: int,
) -> int:
    """`decrypt_gcm_into` without asking the canary: it raises `AmbiguousAnswer` as it is."""
    if len(iv) not in _IV_LENGTHS or len(ciphertext) <= TAG_BYTES or capacity < len(ciphertext):
        raise BadInput(f"AES-GCM: {len(iv)} of IV, {len(ciphertext)} bytes into {capacity}")
    session = token.take_session()
    try:
        calls = token.calls
        session.set_gcm(iv, associated)
        session.length[0] = capacity
        target = ffi.cast(BYTES, pointer)
        with step("key.decrypt"):
            code = calls.C_DecryptInit(session.handle, session.gcm, session.number_of(key.handle))
            if code:
                raise failures.failure(code, "C_DecryptInit", token.where)
            code = calls.C_Decrypt(
                session.handle, ciphertext, len(ciphertext), target, session.length
            )
            if code:
                raise decryption_failure(code, token)
        length: int = session.length[0]
        if length != len(ciphertext) - TAG_BYTES:
            raise BackendError(f"{token.where}: C_Decrypt wrote {length} bytes", retryable=False)
    except BaseException:
        token.pool.drop(session)
        raise
    token.pool.give_back(session)
    return length


def decryption_failure(code: int, token: Token) -> Tampered | BackendError:
    """What a code of C_Decrypt other than CKR_OK says: `CiphertextRefused`, `AmbiguousAnswer`, or
    the error of any call."""
    if code in _REFUSED:
        return CiphertextRefused(f"{token.where}: C_Decrypt answered {failures.name_of(code)}")
    if code in _AMBIGUOUS:
        return AmbiguousAnswer(f"{token.where}: C_Decrypt answered {failures.name_of(code)}")
    return failures.failure(code, "C_Decrypt", token.where)


def sign_digest(token: Token, key: Key, digest: bytes) -> bytes:
    """ECDSA P-256 over a digest of 32 bytes: r ‖ s, 64 bytes, as the token gives it.

    Raises:
        BadInput: the digest is not 32 bytes.
        StaleHandle: the key is gone.
        BackendError: the token does not answer as it should.
    """
    return sign(token, key, lambda session: session.ecdsa, digest, P256_SIGNATURE_BYTES)


def sign(
    token: Token,
    key: Key,
    mechanism: Callable[[Session], Any],
    digest: bytes,
    signature_bytes: int,
) -> bytes:
    """A signature over a digest of 32 bytes, by a mechanism that takes it as it is.

    Raises:
        BadInput, StaleHandle, BackendError: as `sign_digest`.
    """
    if len(digest) != DIGEST_BYTES:
        raise BadInput(f"an identity key signs a digest of 32 bytes, not of {len(digest)}")
    signature = ffi.new("CK_BYTE[]", signature_bytes)
    with token.session() as session:
        length = session.length
        length[0] = len(signature)
        with step("key.sign"):
            number = session.number_of(key.handle)
            code = token.calls.C_SignInit(session.handle, mechanism(session), number)
            failures.check(code, "C_SignInit", token.where)
            code = token.calls.C_Sign(session.handle, digest, len(digest), signature, length)
            failures.check(code, "C_Sign", token.where)
        if session.length[0] != len(signature):
            raise BackendError(f"{token.where}: a signature of a wrong length", retryable=False)
    return bytes(signature)
