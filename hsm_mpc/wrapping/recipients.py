"""Who can open a sealed blob: its data key, wrapped, and the name of the key that unwraps it.

Public values (step 1.11.5). Every constructor refuses what the profile does not know
with `BadInput`; a decoder turns that into its own error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Final

from hsm_mpc.errors import BadInput

KEY_ID_BYTES: Final = 20
_URI_CHARACTERS: Final = range(1, 1025)
_VERSION_CHARACTERS: Final = range(257)
_IV_BYTES: Final = range(17)
_WRAPPED_BYTES: Final = range(1, 4097)
RSA_WRAPPED_BYTES: Final = range(256, 1025)


class Mechanism(IntEnum):
    """How a data key is wrapped, as `RecipientFields` writes it (step 1.11.5)."""

    AES_GCM = 1
    KMS = 2
    RSA_OAEP = 3
    AES_GCM_DEVICE_IV = 4
    """AES-GCM under an IV that the device made, so that nothing bound before could contain it."""


class OaepHash(StrEnum):
    """The hash of RSA-OAEP, used for its mask too: SHA-256 or what the device can do."""

    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


@dataclass(frozen=True, slots=True)
class RecipientFields:
    """What of an `ori` recipient is authenticated when the device wraps (step 1.11.4)."""

    mechanism: Mechanism
    key_uri: str
    key_version: str
    iv: bytes
    """As the device used it; empty where the device keeps it inside its own ciphertext."""

    def __post_init__(self) -> None:
        _require(len(self.key_uri) in _URI_CHARACTERS, "key uri of 1 to 1024 characters")
        _require(len(self.key_version) in _VERSION_CHARACTERS, "key version of at most 256")
        _require(len(self.iv) in _IV_BYTES, "iv of at most 16 bytes")
        # What `share inspect` prints of a foreign file must not steer a terminal.
        _require(self.key_uri.isprintable(), "key uri without control characters")
        _require(self.key_version.isprintable(), "key version without control characters")

    @property
    def bound(self) -> RecipientFields:
        """As the device authenticates them: without an IV that it made itself. AES-GCM holds the
        ciphertext to its IV in any case."""
        made_by_device = self.mechanism is Mechanism.AES_GCM_DEVICE_IV
        return replace(self, iv=b"") if made_by_device else self


@dataclass(frozen=True, slots=True)
class KeyRecipient:
    """An `ori` recipient: a key of an HSM or a KMS, named by its URI."""

    fields: RecipientFields
    wrapped: bytes
    """ciphertext ‖ tag, as the device gave it; 1 to 4096 bytes."""

    def __post_init__(self) -> None:
        _require(len(self.wrapped) in _WRAPPED_BYTES, "wrapped key of 1 to 4096 bytes")

    @property
    def name(self) -> str:
        """The key's URI, with its version where it has one: equal names, equal keys."""
        version = self.fields.key_version
        return f"{self.fields.key_uri} version {version}" if version else self.fields.key_uri


@dataclass(frozen=True, slots=True)
class RsaRecipient:
    """A `ktri` recipient: RSA-OAEP under a public key, named by the CKA_ID of its private half."""

    key_id: bytes
    oaep_hash: OaepHash
    wrapped: bytes
    """As long as the modulus: 256 to 1024 bytes."""

    def __post_init__(self) -> None:
        _require(len(self.key_id) == KEY_ID_BYTES, f"key id of {KEY_ID_BYTES} bytes")
        _require(len(self.wrapped) in RSA_WRAPPED_BYTES, "RSA ciphertext of 256 to 1024 bytes")

    @property
    def name(self) -> str:
        """The key's CKA_ID: equal names, equal keys."""
        return f"RSA key with id {self.key_id.hex()}"


Recipient = KeyRecipient | RsaRecipient


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise BadInput(f"recipient of a sealed blob: it has a {rule}")
