"""Messages about the roster of a wallet: ROTATE, and who has taken another key (step 6.7.9)."""

from __future__ import annotations

from typing import Final

from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.encoding import u16be
from hsm_mpc.errors import BadEncoding
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address, parse_envelope
from hsm_mpc.wire.inbox import Expected, Inbox
from hsm_mpc.wire.rounds import AMENDED, EVERYBODY, ROTATE

_NO_SESSION: Final = bytes(32)
_NO_CLOCK: Final = 0
"""Identity keys have no validity to be judged."""


def address_of_roster(wallet_id: WalletId, h: EpochHash, sender: int) -> Address:
    """Of every message about the roster of a wallet in epoch `h`."""
    return Address(wallet_id, _NO_SESSION, h, sender, EVERYBODY)


def rotate_in(source: bytes, inbox: Inbox, now: int) -> Rotate:
    """What a coordinator of the own list carries; its own signatures are not looked at.

    Raises:
        BadEncoding, InvalidSignature: it is no ROTATE of such a coordinator.
    """
    address = parse_envelope(source).address
    wallet_id, h = address.wallet_id, address.epoch_hash
    message = inbox.receive(source, Expected(ROTATE, wallet_id, _NO_SESSION, h, None), now)
    rotate = Rotate.from_bytes(message.payload)
    if (rotate.wallet_id, rotate.epoch_hash) != (wallet_id, h):
        raise BadEncoding("ROTATE: its header names another epoch or wallet")
    return rotate


def amended_payload(index: int, key: VerifyingKey) -> bytes:
    """`u16be(i) ‖ u8(alg) ‖ LV16(key)`: in the roster in force holder i has this key."""
    return u16be(index) + key.to_bytes()


def has_taken(source: bytes, rotate: Rotate, sender: int, keys: KeyBook) -> bool:
    """Whether holder `sender` says that this rotation is in its roster.

    Raises:
        BadEncoding, BadInput, InvalidSignature: it is no AMENDED of that holder about this wallet.
    """
    h = parse_envelope(source).address.epoch_hash
    expected = Expected(AMENDED, rotate.wallet_id, _NO_SESSION, h, (sender,))
    said = Inbox(keys).receive(source, expected, _NO_CLOCK)
    return said.payload == amended_payload(rotate.index, rotate.identity_key)
