"""Seal, unseal, rewrap: a secret goes into a blob that only its wrapping keys open, and comes back.

The data key is fresh for every blob, lives in protected memory and is wiped on every path. Parsing
costs a hundred times more than unsealing, so a file is parsed once (`SealedShare.parse`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import BadEncoding, BadInput, Tampered
from hsm_mpc.sealing import cms
from hsm_mpc.sealing.context import Context
from hsm_mpc.secure.aead import Aes256Gcm
from hsm_mpc.secure.arena import Arena, Secret
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.secure.process import require_shielded
from hsm_mpc.wrapping.base import DATA_KEY_BYTES, WrappingKey
from hsm_mpc.wrapping.recipients import KeyRecipient, Recipient

_CONTENT_CIPHER: Final = Aes256Gcm()


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a blob says about itself. Nothing was opened, so nothing of it is verified."""

    context: Context
    created: int
    """Seconds since 1970 UTC."""
    recipients: tuple[Recipient, ...]
    content_bytes: int
    blob_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class SealedShare:
    """A blob of the own store, parsed once and opened often. Everything in it is public."""

    blob: cms.Blob
    digest: bytes
    """SHA-256 of the file: what the epoch record names (step 1.11.6)."""
    authenticated: bytes
    """The content's associated data."""
    associated: tuple[bytes, ...]
    """What each recipient's device authenticates, in the order of `blob.recipients`."""

    @classmethod
    def parse(cls, encoded: bytes) -> SealedShare:
        """The blob in a file of the own store.

        Raises:
            Tampered: anything but the canonical DER of the profile (step 1.11.1).
        """
        try:
            blob = cms.decode(encoded)
        except BadEncoding as broken:
            raise Tampered(str(broken)) from broken
        authenticated = cms.authenticated(blob.context, blob.created)
        associated = tuple(_associated(authenticated, each) for each in blob.recipients)
        return cls(blob, hashlib.sha256(encoded).digest(), authenticated, associated)


def inspect(encoded: bytes) -> Inspection:
    """Context and recipients of a blob from anywhere.

    Raises:
        BadEncoding: anything but the canonical DER of the profile.
    """
    blob = cms.decode(encoded)
    return Inspection(
        context=blob.context,
        created=blob.created,
        recipients=blob.recipients,
        content_bytes=len(blob.ciphertext),
        blob_bytes=len(encoded),
        sha256=hashlib.sha256(encoded).digest(),
    )


def seal(
    secret: Secret, context: Context, keys: Sequence[WrappingKey], entropy: Entropy, now: int
) -> bytes:
    """A new blob: `secret` under a fresh data key that each of `keys` can unwrap (step 2.6.6).

    Args:
        secret: 64 bytes, share ‖ delivery key (step 1.11.2), for a pair state of any length; it
            stays as it is, wiping it is the caller's.
        keys: 1 to 8 different keys, made for this wallet and epoch alone (step 1.11.7).
        now: seconds since 1970 UTC; authenticated, never compared.

    Raises:
        BadInput: a length, the number of keys, a key named twice, or a blob above its cap.
        BackendError: this thread is not shielded, or a device does not answer.
    """
    require_shielded()
    authenticated = cms.authenticated(context, now)
    nonce = os.urandom(cms.NONCE_BYTES)
    with secret.arena.scope() as take:
        data_key = take(DATA_KEY_BYTES)
        entropy.seed(data_key)
        recipients = _wrapped(data_key, keys, authenticated)
        content = _CONTENT_CIPHER.seal(data_key, nonce, authenticated, secret)
    ciphertext, tag = content[: -cms.TAG_BYTES], content[-cms.TAG_BYTES :]
    return cms.encode(cms.Blob(context, now, recipients, nonce, ciphertext, tag))


def unseal(
    sealed: SealedShare, key: WrappingKey, expected: Context, digest: bytes, into: Secret
) -> None:
    """The content of `sealed` into `into`; nothing of it stays there if this raises.

    Args:
        expected: wallet, own index and epoch as the body of the epoch says (step 1.11.3).
        digest: SHA-256 of the file as the epoch record says (step 1.11.6).
        into: as long as the content.

    Raises:
        Tampered: the blob is not the one that the record names, speaks of something else, has no
            recipient for `key`, or is not authentic.
        BadInput: `into` has another length.
        BackendError: this thread is not shielded, or the device does not answer.
    """
    with into.arena.open(), into.arena.scope() as take:
        data_key = take(DATA_KEY_BYTES)
        _unwrap(sealed, key, expected, digest, data_key)
        _open_content(sealed, data_key, into)


def rewrap(
    sealed: SealedShare,
    key: WrappingKey,
    expected: Context,
    digest: bytes,
    new_keys: Sequence[WrappingKey],
    arena: Arena,
) -> bytes:
    """A new blob for `new_keys`: the same content under the same data key, byte for byte.

    The content is opened once, so that no new blob is made of noise. This locks nobody out who kept
    the old blob: only destroying the old key does.

    Raises:
        Tampered, BadInput, BackendError: as `unseal` and `seal`.
    """
    with arena.scope() as take:
        data_key = take(DATA_KEY_BYTES)
        _unwrap(sealed, key, expected, digest, data_key)
        _open_content(sealed, data_key, take(len(sealed.blob.ciphertext)))
        recipients = _wrapped(data_key, new_keys, sealed.authenticated)
    return cms.encode(dataclasses.replace(sealed.blob, recipients=recipients))


def _associated(authenticated: bytes, recipient: Recipient) -> bytes:
    """RSA-OAEP authenticates nothing beside the data key; only the content is bound then."""
    if isinstance(recipient, KeyRecipient):
        return cms.binding(authenticated, recipient.fields)
    return b""


def _wrapped(
    data_key: Secret, keys: Sequence[WrappingKey], authenticated: bytes
) -> tuple[Recipient, ...]:
    return tuple(
        key.wrap(data_key, lambda fields: cms.binding(authenticated, fields)) for key in keys
    )


def _unwrap(
    sealed: SealedShare, key: WrappingKey, expected: Context, digest: bytes, into: Secret
) -> None:
    """The data key, once digest and context are what the caller expects (step 1.11.3)."""
    require_shielded()
    if sealed.digest != digest:
        raise Tampered("sealed blob: it is not the file that the epoch record names")
    if sealed.blob.context != expected:
        differing = ", ".join(sealed.blob.context.differences(expected))
        raise Tampered(f"sealed blob: it is sealed for something else: {differing}")
    for recipient, associated in zip(sealed.blob.recipients, sealed.associated, strict=True):
        if key.opens(recipient):
            key.unwrap(recipient, associated, into)
            return
    named = "; ".join(recipient.name for recipient in sealed.blob.recipients)
    raise Tampered(f"sealed blob: {key.key_uri} is not among its recipients: {named}")


def _open_content(sealed: SealedShare, data_key: Secret, into: Secret) -> None:
    blob = sealed.blob
    if into.size != len(blob.ciphertext):
        raise BadInput(f"sealed blob: {len(blob.ciphertext)} bytes do not fit into {into.size}")
    try:
        _CONTENT_CIPHER.open(
            data_key, blob.nonce, sealed.authenticated, blob.ciphertext + blob.tag, into
        )
    except Tampered as forged:
        raise Tampered("sealed blob: its content is not authentic") from forged
