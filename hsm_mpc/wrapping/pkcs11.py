"""An AES-256 key inside a PKCS#11 token wraps by C_Encrypt and unwraps by C_Decrypt, AES-GCM.

What the token learns: the data key for the length of a call, and the hash of what it is bound to.
Permissions: the user is logged in; the key encrypts and decrypts, nothing else (step 6.2.3).
Limits: the module must do AES-GCM with associated data, under an IV of ours or one that it tells.
C_WrapKey is never used: a key that can wrap and decrypt hands out every other key of the token.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final, TypeGuard

from hsm_mpc.errors import Tampered
from hsm_mpc.hsm import direct, gcm
from hsm_mpc.hsm.gcm import Sealed
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.profiles import IvMaker
from hsm_mpc.hsm.sessions import LONGEST_IV
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.wrapping.base import DATA_KEY_BYTES, Bind
from hsm_mpc.wrapping.in_token import KeyInToken
from hsm_mpc.wrapping.recipients import KeyRecipient, Mechanism, Recipient, RecipientFields

IV_BYTES: Final = 12
WRAPPED_BYTES: Final = DATA_KEY_BYTES + 16
_IV_LENGTHS: Final = {
    Mechanism.AES_GCM: frozenset({IV_BYTES}),
    Mechanism.AES_GCM_DEVICE_IV: frozenset({IV_BYTES, LONGEST_IV}),
}


class Pkcs11Key(KeyInToken):
    """A secret key of one wallet and epoch."""

    mechanism = Mechanism.AES_GCM
    binds_context = True

    def knows(self, mechanism: Mechanism) -> bool:
        """Whoever made the IV."""
        return mechanism in _IV_LENGTHS

    def _wrap(self, data_key: Secret, bind: Bind) -> Recipient:
        if self._token.profile.iv_maker is not IvMaker.HOLDER:
            return self._wrap_under_its_iv(data_key, bind)
        fields = RecipientFields(self.mechanism, self.key_uri, "", os.urandom(IV_BYTES))
        associated = bind(fields)
        with data_key.open() as pointer:
            wrapped = self._with_key(
                lambda key: gcm.encrypt_gcm(
                    self._token, key, fields.iv, associated, pointer, data_key.size
                )
            )
        return KeyRecipient(fields, wrapped)

    def _wrap_under_its_iv(self, data_key: Secret, bind: Bind) -> Recipient:
        fields = RecipientFields(Mechanism.AES_GCM_DEVICE_IV, self.key_uri, "", b"")
        associated = bind(fields)

        def encrypt(key: Key, pointer: int) -> Sealed:
            size = data_key.size
            return gcm.encrypt_gcm_under_its_iv(self._token, key, associated, pointer, size)

        with data_key.open() as pointer:
            sealed = self._with_key(lambda key: encrypt(key, pointer))
        return KeyRecipient(replace(fields, iv=sealed.iv), sealed.ciphertext)

    def _unwrap(self, recipient: Recipient, associated: bytes, into: Secret) -> None:
        if not _has_our_lengths(recipient):
            raise Tampered(f"a wrapped key for {self.key_uri} is not of the lengths of AES-GCM")
        iv, wrapped = recipient.fields.iv, recipient.wrapped
        # Modules want room for the tag too.
        with into.arena.room(WRAPPED_BYTES) as source, into.open() as target:
            self._with_key(
                lambda key: direct.decrypt_gcm_into(
                    self._token, key, iv, associated, wrapped, source, WRAPPED_BYTES
                )
            )
            move_bytes(target, source, DATA_KEY_BYTES)


def _has_our_lengths(recipient: Recipient) -> TypeGuard[KeyRecipient]:
    return (
        isinstance(recipient, KeyRecipient)
        and len(recipient.fields.iv) in _IV_LENGTHS[recipient.fields.mechanism]
        and len(recipient.wrapped) == WRAPPED_BYTES
    )
