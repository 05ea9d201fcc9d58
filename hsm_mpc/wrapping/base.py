"""The interface of every wrapping key: it stays in its device and wraps data keys of 32 bytes.

A backend is one file with one subclass. It writes `_wrap` and `_unwrap`; callers use `wrap` and
`unwrap`, which check lengths and leave no half-written data key behind. Every backend passes
tests/contract/test_wrapping.py. Its docstring names mechanism, what the backend learns, the
permissions it needs, and its limits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final

from hsm_mpc.errors import BadInput
from hsm_mpc.secure.arena import Secret
from hsm_mpc.wrapping.recipients import KeyRecipient, Mechanism, Recipient, RecipientFields

DATA_KEY_BYTES: Final = 32

Bind = Callable[[RecipientFields], bytes]
"""The associated data, 32 bytes, for the fields that a backend chose. An IV of ours is one of them,
so a backend chooses it first; one that the device makes is not (step 1.11.4)."""


class WrappingKey(ABC):
    """One key of one device, found and ready. Used by several threads at once.

    Args:
        key_uri: names the key for good, 1 to 1024 printable characters.
        key_version: of a key that its service renews under one name, else empty.
    """

    mechanism: ClassVar[Mechanism]
    binds_context: ClassVar[bool]
    """Whether the device itself refuses a wrapped key under other associated data. Where it does
    not, only the blob's content is bound to its context."""

    def __init__(self, key_uri: str, key_version: str = "") -> None:
        self.key_uri: Final = key_uri
        self.key_version: Final = key_version

    def wrap(self, data_key: Secret, bind: Bind) -> Recipient:
        """The data key as only this key opens it.

        Raises:
            BadInput: the data key is not 32 bytes.
            BackendError: the device does not answer.
        """
        _check_length(data_key)
        return self._wrap(data_key, bind)

    def unwrap(self, recipient: Recipient, associated: bytes, into: Secret) -> None:
        """The data key into `into` (32 bytes), which is zero if this raises.

        Args:
            associated: what `bind` gave for the recipient's fields; empty for a `ktri`.

        Raises:
            BadInput: `into` is not 32 bytes, or the recipient is another key's.
            Tampered: recipient and associated data are not what this key wrapped.
            BackendError: the device does not answer.
        """
        _check_length(into)
        if not self.opens(recipient):
            raise BadInput(f"{self.key_uri} does not open a recipient of {recipient.name}")
        try:
            self._unwrap(recipient, associated, into)
        except BaseException:
            into.wipe()
            raise

    def opens(self, recipient: Recipient) -> bool:
        """Whether the recipient names this key."""
        return (
            isinstance(recipient, KeyRecipient)
            and recipient.fields.key_uri == self.key_uri
            and recipient.fields.key_version == self.key_version
            and self.knows(recipient.fields.mechanism)
        )

    def knows(self, mechanism: Mechanism) -> bool:
        """Whether this key unwraps what was wrapped so."""
        return mechanism is self.mechanism

    @abstractmethod
    def _wrap(self, data_key: Secret, bind: Bind) -> Recipient:
        """As `wrap`, lengths checked; only errors of this package leave it."""

    @abstractmethod
    def _unwrap(self, recipient: Recipient, associated: bytes, into: Secret) -> None:
        """As `unwrap`, lengths and name checked; only errors of this package leave it."""


def _check_length(data_key: Secret) -> None:
    if data_key.size != DATA_KEY_BYTES:
        raise BadInput(f"a data key is {DATA_KEY_BYTES} bytes, not {data_key.size}")
