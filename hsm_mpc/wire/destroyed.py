"""Messages about the end of a wallet (section 6.10)."""

from __future__ import annotations

from typing import Final

from hsm_mpc.certificates.destruction import Destroy, WalletDestroyed
from hsm_mpc.errors import BadEncoding
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address, parse_envelope
from hsm_mpc.wire.inbox import Expected, Inbox
from hsm_mpc.wire.rounds import DESTROY, EVERYBODY, WALLET_DESTROYED

_NO_SESSION: Final = bytes(32)
_NO_CLOCK: Final = 0
"""Identity keys have no validity to be judged."""


def address_about(wallet_id: WalletId, h: EpochHash, sender: int) -> Address:
    """Of every message about the end of a wallet whose newest epoch is `h`."""
    return Address(wallet_id, _NO_SESSION, h, sender, EVERYBODY)


def destroy_in(source: bytes, inbox: Inbox, now: int) -> Destroy:
    """What a coordinator of the own list asks for.

    Raises:
        BadEncoding, InvalidSignature: it is no DESTROY of such a coordinator.
    """
    address = parse_envelope(source).address
    wallet_id, h = address.wallet_id, address.epoch_hash
    message = inbox.receive(source, Expected(DESTROY, wallet_id, _NO_SESSION, h, None), now)
    order = Destroy.from_bytes(message.payload)
    if (order.wallet_id, order.epoch_hash) != (wallet_id, h):
        raise BadEncoding("DESTROY: its header names another epoch or wallet")
    return order


def wallet_destroyed_in(source: bytes, wallet_id: WalletId, keys: KeyBook) -> WalletDestroyed:
    """What a holder says of the end of a wallet: good for ever, for its identity key signed it.

    Raises:
        BadEncoding, InvalidSignature: it is no DESTROYED of a holder of this roster about it.
    """
    h, senders = parse_envelope(source).address.epoch_hash, range(1, keys.roster.n + 1)
    expected = Expected(WALLET_DESTROYED, wallet_id, _NO_SESSION, h, senders)
    return WalletDestroyed.from_bytes(Inbox(keys).receive(source, expected, _NO_CLOCK).payload)
