"""A ciphertext that the token is known to decrypt: it tells a wrong blob from a broken token.

The canary key has the attributes of a wrapping key; its plaintext is public. An RSA canary is
encrypted with the first hash that the module does, of those that its profile has tried (`selftest`
says the same of wrapping keys).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import BackendError, Tampered
from hsm_mpc.hsm.capabilities import KEY_CLASSES
from hsm_mpc.hsm.cryptoki import Hash, ObjectClass, address_of, ffi
from hsm_mpc.hsm.direct import decrypt_once
from hsm_mpc.hsm.gcm import encrypt_gcm_afresh
from hsm_mpc.hsm.keys import Key, find_canary_key
from hsm_mpc.hsm.rsa import decrypt_oaep_once, encrypt_oaep
from hsm_mpc.hsm.token import Token

_PLAINTEXT: Final = b"hsm-mpc canary 1"
_ASSOCIATED: Final = b"hsm-mpc/canary"


@dataclass(frozen=True, slots=True)
class Canary(ABC):
    """Sixteen known bytes, encrypted once after login."""

    key: Key
    ciphertext: bytes

    def is_decrypted_by(self, token: Token) -> bool:
        """Whether the token, asked now, gives the known bytes."""
        out = ffi.new("CK_BYTE[]", len(self.ciphertext))
        try:
            length = self._decrypt(token, address_of(out), len(out))
        except (BackendError, Tampered):
            return False
        return bytes(out[0:length]) == _PLAINTEXT

    def renew(self, token: Token) -> None:
        """The canary of a token whose module was initialised again; none if its key is gone.

        Raises:
            BadConfig, BackendError: as `arm`; then this one stays.
        """
        if not arm(token):
            token.canary = None

    @abstractmethod
    def _decrypt(self, token: Token, pointer: int, capacity: int) -> int:
        """The length of what the ciphertext gives, now at `pointer`."""


@dataclass(frozen=True, slots=True)
class AesCanary(Canary):
    """Under AES-GCM."""

    iv: bytes

    def _decrypt(self, token: Token, pointer: int, capacity: int) -> int:
        return decrypt_once(
            token, self.key, self.iv, _ASSOCIATED, self.ciphertext, pointer, capacity
        )


@dataclass(frozen=True, slots=True)
class RsaCanary(Canary):
    """Under RSA-OAEP."""

    hash_: Hash

    def _decrypt(self, token: Token, pointer: int, capacity: int) -> int:
        return decrypt_oaep_once(token, self.key, self.hash_, self.ciphertext, pointer, capacity)


def arm(token: Token) -> bool:
    """Make the token's canary; False if it has no canary key yet (`holder init` makes it).

    Where a token has learnt AES-GCM since, both keys are there, and AES decides.

    Raises:
        BadConfig: two canary keys of one class.
        BackendError: the token does not answer.
    """
    for object_class in KEY_CLASSES:
        key = find_canary_key(token, object_class)
        if key is not None:
            aes = object_class is ObjectClass.SECRET_KEY
            token.canary = _aes_canary(token, key) if aes else _rsa_canary(token, key)
            return True
    return False


def _aes_canary(token: Token, key: Key) -> Canary:
    plaintext = ffi.from_buffer(_PLAINTEXT)
    sealed = encrypt_gcm_afresh(token, key, _ASSOCIATED, address_of(plaintext), len(_PLAINTEXT))
    return AesCanary(key, sealed.ciphertext, sealed.iv)


def _rsa_canary(token: Token, key: Key) -> Canary:
    *better, last = token.profile.oaep_hashes
    for hash_ in better:
        try:
            canary = _rsa_canary_by(hash_, token, key)
            if canary.is_decrypted_by(token):
                return canary
        except BackendError as failure:
            if failure.retryable:
                raise
    return _rsa_canary_by(last, token, key)


def _rsa_canary_by(hash_: Hash, token: Token, key: Key) -> Canary:
    plaintext = ffi.from_buffer(_PLAINTEXT)
    ciphertext = encrypt_oaep(token, key, hash_, address_of(plaintext), len(_PLAINTEXT))
    return RsaCanary(key, ciphertext, hash_)
