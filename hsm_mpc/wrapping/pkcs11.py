"""An AES-256 key inside a PKCS#11 token wraps by C_Encrypt and unwraps by C_Decrypt, AES-GCM.

What the token learns: the data key for the length of a call, and the hash of what it is bound to.
Permissions: the user is logged in; the key encrypts and decrypts, nothing else (step 6.2.3).
Limits: the module must do AES-GCM with associated data and an IV of ours. C_WrapKey is never used:
a key that can wrap and decrypt hands out every other key of the token.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeGuard, TypeVar

from hsm_mpc.errors import Tampered
from hsm_mpc.hsm import direct, keys
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.wrapping.base import DATA_KEY_BYTES, Bind, WrappingKey
from hsm_mpc.wrapping.recipients import KeyRecipient, Mechanism, Recipient, RecipientFields

IV_BYTES: Final = 12
WRAPPED_BYTES: Final = DATA_KEY_BYTES + 16

_Result = TypeVar("_Result")


class Pkcs11Key(WrappingKey):
    """A wrapping key of one wallet and epoch, found in its token. Its handle is cached.

    Args:
        key: as `keys.generate_wrapping_key` or `keys.wrapping_key` gave it.
    """

    mechanism = Mechanism.AES_GCM
    binds_context = True

    def __init__(self, token: Token, key: Key) -> None:
        super().__init__(keys.key_uri(token, key.key_id))
        self._token = token
        self._key = key

    def _wrap(self, data_key: Secret, bind: Bind) -> Recipient:
        fields = RecipientFields(self.mechanism, self.key_uri, "", os.urandom(IV_BYTES))
        associated = bind(fields)
        with data_key.open() as pointer:
            wrapped = self._with_key(
                lambda key: direct.encrypt_gcm(
                    self._token, key, fields.iv, associated, pointer, data_key.size
                )
            )
        return KeyRecipient(fields, wrapped)

    def _unwrap(self, recipient: Recipient, associated: bytes, into: Secret) -> None:
        if not _has_our_lengths(recipient):
            raise Tampered(f"a wrapped key for {self.key_uri} is not of the lengths of AES-GCM")
        iv, wrapped = recipient.fields.iv, recipient.wrapped
        with into.arena.scope() as take:
            scratch = take(WRAPPED_BYTES)  # modules want room for the tag too
            with scratch.open() as source, into.open() as target:
                self._with_key(
                    lambda key: direct.decrypt_gcm_into(
                        self._token, key, iv, associated, wrapped, source, WRAPPED_BYTES
                    )
                )
                move_bytes(target, source, DATA_KEY_BYTES)

    def _with_key(self, use: Callable[[Key], _Result]) -> _Result:
        """`use` with the cached handle; once more with a new one if the token forgot it.

        Raises:
            MissingKey: the token answers and has no such key any more.
        """
        try:
            return use(self._key)
        except StaleHandle:
            self._key = keys.found_again(self._token, self._key)
            return use(self._key)


def _has_our_lengths(recipient: Recipient) -> TypeGuard[KeyRecipient]:
    return (
        isinstance(recipient, KeyRecipient)
        and len(recipient.fields.iv) == IV_BYTES
        and len(recipient.wrapped) == WRAPPED_BYTES
    )
