"""Where the messages of a succession belong: to one attempt to replace one epoch (step 1.7.8)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.ids import EpochHash
from hsm_mpc.tags import Tag, tagged_hash
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address, Message
from hsm_mpc.wire.inbox import NO_CLOCK, Expected, Inbox
from hsm_mpc.wire.rounds import EVERYBODY, MessageKind


class Replaced(Protocol):
    """The epoch that a succession replaces, as far as its messages name it. Its body is one."""

    @property
    def terms(self) -> WalletTerms:
        """Of the wallet."""

    @property
    def hash(self) -> EpochHash:
        """h_e."""


@dataclass(frozen=True, slots=True)
class Predecessor:
    """A `Replaced` of which nothing but this is known."""

    terms: WalletTerms
    hash: EpochHash


def session_of(replaced: EpochHash, attempt: Attempt) -> bytes:
    """session_id of an attempt to replace the epoch `replaced`, 32 bytes."""
    return tagged_hash(Tag.ATTEMPT, replaced + attempt.to_bytes())


def address_in(replaced: Replaced, attempt: Attempt, sender: int) -> Address:
    """Of every message that `sender` says in an attempt."""
    session_id = session_of(replaced.hash, attempt)
    return Address(replaced.terms.wallet_id, session_id, replaced.hash, sender, EVERYBODY)


def expected_in(
    kind: MessageKind, replaced: Replaced, attempt: Attempt, senders: Collection[int] | None
) -> Expected:
    """What is waited for in an attempt; `senders` None: a coordinator of the own list."""
    session_id = session_of(replaced.hash, attempt)
    return Expected(kind, replaced.terms.wallet_id, session_id, replaced.hash, senders)


def signed_by_identity(source: bytes, expected: Expected, keys: KeyBook) -> Message:
    """The message in `source`, which a holder's identity key signed: good for ever.

    Raises:
        BadEncoding, BadInput, InvalidSignature: it is not what is expected, or not signed so.
    """
    return Inbox(keys).receive(source, expected, NO_CLOCK)
