"""Two wrapping keys of the tests alone: their keys are ordinary bytes, so any bit can be tried fast
and an independent reader can open what they wrapped."""

from __future__ import annotations

import ctypes
import os
from dataclasses import replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hsm_mpc.errors import Tampered
from hsm_mpc.secure.arena import Secret, publish
from hsm_mpc.wrapping.base import Bind, WrappingKey
from hsm_mpc.wrapping.recipients import (
    KeyRecipient,
    Mechanism,
    OaepHash,
    Recipient,
    RecipientFields,
    RsaRecipient,
)


def write(secret: Secret, value: bytes) -> None:
    """Tests put what they know into a slot."""
    assert len(value) == secret.size
    with secret.open() as pointer:
        ctypes.memmove(pointer, value, len(value))


class SoftwareKey(WrappingKey):
    """AES-256-GCM with a key that anybody may read."""

    mechanism = Mechanism.AES_GCM
    binds_context = True

    def __init__(self, name: str = "first", key: bytes | None = None) -> None:
        super().__init__(f"software:{name}")
        self.key = key or os.urandom(32)

    def _wrap(self, data_key: Secret, bind: Bind) -> Recipient:
        fields = RecipientFields(self.mechanism, self.key_uri, self.key_version, os.urandom(12))
        wrapped = AESGCM(self.key).encrypt(fields.iv, publish(data_key), bind(fields))
        return KeyRecipient(fields, wrapped)

    def _unwrap(self, recipient: Recipient, associated: bytes, into: Secret) -> None:
        assert isinstance(recipient, KeyRecipient)
        try:
            data_key = AESGCM(self.key).decrypt(recipient.fields.iv, recipient.wrapped, associated)
        except (InvalidTag, ValueError) as refused:
            raise Tampered("software key: not authentic") from refused
        write(into, data_key)


class DeviceIvKey(SoftwareKey):
    """Takes no IV: it makes one itself, which what it authenticates cannot contain."""

    mechanism = Mechanism.AES_GCM_DEVICE_IV

    def _wrap(self, data_key: Secret, bind: Bind) -> Recipient:
        fields = RecipientFields(self.mechanism, self.key_uri, self.key_version, b"")
        iv = os.urandom(16)
        wrapped = AESGCM(self.key).encrypt(iv, publish(data_key), bind(fields))
        return KeyRecipient(replace(fields, iv=iv), wrapped)


class CountingKey(SoftwareKey):
    """Counts what reaches the device."""

    def __init__(self) -> None:
        super().__init__()
        self.unwrapped = 0

    def _unwrap(self, recipient: Recipient, associated: bytes, into: Secret) -> None:
        self.unwrapped += 1
        super()._unwrap(recipient, associated, into)


class RsaSoftwareKey(WrappingKey):
    """RSA-OAEP with a private key that anybody may read."""

    mechanism = Mechanism.RSA_OAEP
    binds_context = False

    def __init__(self, key_id: bytes = b"rsa key of the tests") -> None:
        super().__init__(f"software:rsa:{key_id.hex()}")
        self.key_id = key_id
        self.private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._padding = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

    def opens(self, recipient: Recipient) -> bool:
        return isinstance(recipient, RsaRecipient) and recipient.key_id == self.key_id

    def _wrap(self, data_key: Secret, bind: Bind) -> Recipient:
        wrapped = self.private_key.public_key().encrypt(publish(data_key), self._padding)
        return RsaRecipient(self.key_id, OaepHash.SHA256, wrapped)

    def _unwrap(self, recipient: Recipient, associated: bytes, into: Secret) -> None:
        assert isinstance(recipient, RsaRecipient)
        try:
            data_key = self.private_key.decrypt(recipient.wrapped, self._padding)
        except ValueError as refused:
            raise Tampered("software RSA key: not authentic") from refused
        write(into, data_key)
