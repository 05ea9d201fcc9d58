"""A sealed share of one epoch, ready to be opened again and again.

Parsing a blob and finding a key in a token each cost a hundred times more than unsealing, so both
are done once. What is kept is public: the parsed blob and a handle.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.errors import Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.token import Token
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.sealing.context import Context
from hsm_mpc.sealing.sealed import SealedShare, unseal
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.epochs import Epochs
from hsm_mpc.wrapping.base import WrappingKey
from hsm_mpc.wrapping.token_keys import found_key


@dataclass(frozen=True, slots=True)
class OpenableShare:
    """One epoch's share: the parsed blob, its wrapping key, and what both must be bound to."""

    sealed: SealedShare
    key: WrappingKey
    context: Context
    digest: bytes
    """SHA-256 of the blob as the signed epoch record says."""

    @classmethod
    def load(cls, token: Token, epochs: Epochs, context: Context) -> OpenableShare:
        """The share of the epoch that `context` names, from the store and the token.

        Raises:
            Tampered: record, blob or key do not belong together, or one is missing.
            Refused: the key's attributes are no longer those that it was made with.
            BackendError: the token does not answer.
        """
        h = EpochHash(context.epoch_hash)
        record = epochs.record(h)
        sealed = SealedShare.parse(epochs.blob(h))
        key = find_wrapping_key(token, record.kek_uri, context.wallet_id)
        return cls(sealed, key, context, record.blob_digest)

    def open_into(self, into: Secret) -> None:
        """x ‖ v, 64 bytes, into `into`; on a shielded thread only.

        Raises:
            Tampered: blob, record, context and key do not belong together.
            BackendError: the token does not answer.
        """
        unseal(self.sealed, self.key, self.context, self.digest, into)


def find_wrapping_key(token: Token, uri: str, wallet_id: WalletId) -> WrappingKey:
    """The wrapping key that a record names by its URI.

    Raises:
        Tampered: the URI names another token, or (MissingKey) the token does not have the key.
        Refused: the key has other attributes than it must.
    """
    named, label = _named_in(token, uri), keys.wrapping_label(wallet_id)
    return found_key(token, keys.wrapping_key(token, named.key_id, label, named.object_class))


def key_id_in(token: Token, uri: str) -> bytes:
    """CKA_ID of a key that a record names, in this token.

    Raises:
        Tampered: it is a key of another token.
    """
    return _named_in(token, uri).key_id


def _named_in(token: Token, uri: str) -> KeyUri:
    named = KeyUri.parse(uri)
    if (named.token, named.serial) != (token.label, token.serial):
        raise Tampered(f"{token.where}: the record names a key of another token: {uri}")
    return named
