"""A ciphertext that the token is known to decrypt: it tells a wrong blob from a broken token.

The canary key has the attributes of a wrapping key; its plaintext is public. An RSA canary is
encrypted with the first hash that the module does, of those that its profile has tried (`selftest`
says the same of wrapping keys).

The ciphertext is made once for each process. Whatever happens to the token meanwhile, what opens it
is the token that it was: label and serial number are the same for many.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Final, Self

from hsm_mpc.errors import BackendError, Tampered
from hsm_mpc.hsm.capabilities import KEY_CLASSES, Wrapping
from hsm_mpc.hsm.cryptoki import Hash, ObjectClass, address_of, ffi
from hsm_mpc.hsm.direct import AmbiguousAnswer, CiphertextRefused, decrypt_once
from hsm_mpc.hsm.failures import Lacking
from hsm_mpc.hsm.gcm import encrypt_gcm_afresh
from hsm_mpc.hsm.keys import Key, find_canary_key, found_again
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
        try:
            return self.opened_by(token) == _PLAINTEXT
        except (BackendError, Tampered):
            return False

    def opened_by(self, token: Token) -> bytes:
        """What the token, asked now, gives.

        Raises:
            BackendError, Tampered: as `decrypt_once`.
        """
        out = ffi.new("CK_BYTE[]", len(self.ciphertext))
        length = self._decrypt(token, address_of(out), len(out))
        return bytes(out[0:length])

    def found_again(self, token: Token) -> Self:
        """The same ciphertext under the handle that its key has now.

        Raises:
            MissingKey, BadConfig, BackendError: as `keys.found_again`.
        """
        return replace(self, key=found_again(token, self.key))

    @property
    @abstractmethod
    def wrapping(self) -> Wrapping:
        """How it is encrypted: a token that has a canary has just done this."""

    @abstractmethod
    def _decrypt(self, token: Token, pointer: int, capacity: int) -> int:
        """The length of what the ciphertext gives, now at `pointer`."""


@dataclass(frozen=True, slots=True)
class AesCanary(Canary):
    """Under AES-GCM."""

    iv: bytes

    @property
    def wrapping(self) -> Wrapping:
        return Wrapping.AES_GCM

    def _decrypt(self, token: Token, pointer: int, capacity: int) -> int:
        return decrypt_once(
            token, self.key, self.iv, _ASSOCIATED, self.ciphertext, pointer, capacity
        )


@dataclass(frozen=True, slots=True)
class RsaCanary(Canary):
    """Under RSA-OAEP."""

    hash_: Hash

    @property
    def wrapping(self) -> Wrapping:
        by_sha1 = self.hash_ is Hash.SHA1
        return Wrapping.RSA_OAEP_SHA1 if by_sha1 else Wrapping.RSA_OAEP_SHA256

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
            opened = canary.opened_by(token)
        except (AmbiguousAnswer, CiphertextRefused, Lacking):
            continue  # any other failure may pass
        if opened != _PLAINTEXT:
            raise BackendError(
                f"{token.where}: it does not give back what it encrypted", retryable=False
            )
        return canary
    return _rsa_canary_by(last, token, key)


def _rsa_canary_by(hash_: Hash, token: Token, key: Key) -> Canary:
    plaintext = ffi.from_buffer(_PLAINTEXT)
    ciphertext = encrypt_oaep(token, key, hash_, address_of(plaintext), len(_PLAINTEXT))
    return RsaCanary(key, ciphertext, hash_)
