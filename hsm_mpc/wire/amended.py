"""Messages about the roster of a wallet: ROTATE, and who has taken another key (step 6.7.9)."""

from __future__ import annotations

from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.encoding import u16be
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.wire.about_wallets import asked_about, said_about
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.inbox import Inbox
from hsm_mpc.wire.rounds import AMENDED, ROTATE


def rotate_in(source: bytes, inbox: Inbox, now: int) -> Rotate:
    """What a coordinator carries. Raises: as `asked_about`."""
    return asked_about(ROTATE, Rotate.from_bytes, source, inbox, now)


def amended_payload(index: int, key: VerifyingKey) -> bytes:
    """`u16be(i) ‖ u8(alg) ‖ LV16(key)`: in the roster in force holder i has this key."""
    return u16be(index) + key.to_bytes()


def has_taken(source: bytes, rotate: Rotate, sender: int, keys: KeyBook) -> bool:
    """Whether holder `sender` says that this rotation is in its roster.

    Raises:
        BadEncoding, BadInput, InvalidSignature: it is no AMENDED of that holder about this wallet.
    """
    said = said_about(AMENDED, source, rotate.wallet_id, (sender,), keys)
    return said.payload == amended_payload(rotate.index, rotate.identity_key)
