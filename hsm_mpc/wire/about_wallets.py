"""Messages about a wallet that are of no session: of its end, and of its roster (1.7.8)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Protocol, TypeVar

from hsm_mpc.errors import BadEncoding
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address, Message, parse_envelope
from hsm_mpc.wire.inbox import NO_CLOCK, Expected, Inbox
from hsm_mpc.wire.rounds import EVERYBODY, MessageKind

_NO_SESSION: Final = bytes(32)


class _AboutWallet(Protocol):
    @property
    def wallet_id(self) -> WalletId: ...

    @property
    def epoch_hash(self) -> EpochHash: ...


_Asked = TypeVar("_Asked", bound=_AboutWallet)


def address_about(wallet_id: WalletId, h: EpochHash, sender: int) -> Address:
    """Of every such message, where the wallet's newest epoch is `h`."""
    return Address(wallet_id, _NO_SESSION, h, sender, EVERYBODY)


def asked_about(
    kind: MessageKind, parse: Callable[[bytes], _Asked], source: bytes, inbox: Inbox, now: int
) -> _Asked:
    """What a coordinator of the own list carries; signatures in it are not looked at.

    Raises:
        BadEncoding, InvalidSignature: it is no message of this kind of such a coordinator.
    """
    address = parse_envelope(source).address
    wallet_id, h = address.wallet_id, address.epoch_hash
    message = inbox.receive(source, Expected(kind, wallet_id, _NO_SESSION, h, None), now)
    asked = parse(message.payload)
    if (asked.wallet_id, asked.epoch_hash) != (wallet_id, h):
        raise BadEncoding(f"{kind.name}: its header names another epoch or wallet")
    return asked


def said_about(
    kind: MessageKind, source: bytes, wallet_id: WalletId, senders: Collection[int], keys: KeyBook
) -> Message:
    """What a holder says by its identity key, in whichever epoch.

    Raises:
        BadEncoding, BadInput, InvalidSignature: it is no such message of one of the `senders`.
    """
    h = parse_envelope(source).address.epoch_hash
    return Inbox(keys).receive(source, Expected(kind, wallet_id, _NO_SESSION, h, senders), NO_CLOCK)
