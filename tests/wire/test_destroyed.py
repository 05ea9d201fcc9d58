"""DESTROY and DESTROYED of a wallet, as receivers judge them (section 6.10)."""

from __future__ import annotations

import pytest

from hsm_mpc.certificates.destruction import Destroy, DestroyedKey, WalletDestroyed
from hsm_mpc.errors import BadEncoding, HsmMpcError
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.wire.about_wallets import address_about
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.destroyed import destroy_in, wallet_destroyed_in
from hsm_mpc.wire.envelope import seal_envelope
from hsm_mpc.wire.inbox import Inbox
from hsm_mpc.wire.rounds import DESTROY, FIRST_COORDINATOR, WALLET_DESTROYED, Key
from tests.software_identity import ed25519_key, p256_key

WALLET, H = WalletId(b"w" * 16), EpochHash(b"h" * 32)
ORDER = Destroy(WALLET, H, "we move", 7, b"n" * 32)
DESTROYED = WalletDestroyed(ORDER.digest, (DestroyedKey(b"k" * 32, 7),))
COORDINATOR = ed25519_key(b"c" * 32)
ROSTER = Roster(
    True, 1, FIRST_PREDECESSOR, tuple(Member(f"h{i}", p256_key(i).public) for i in (1, 2))
)
KEYS = KeyBook(ROSTER, {FIRST_COORDINATOR: COORDINATOR.public})


def ordered(wallet_id: WalletId, h: EpochHash, sender: int = FIRST_COORDINATOR) -> Destroy:
    address = address_about(wallet_id, h, sender)
    message = seal_envelope(DESTROY, address, ORDER.to_bytes(), Key.COORDINATOR, COORDINATOR.sign)
    return destroy_in(message.to_bytes(), Inbox(KEYS), 7)


def said(wallet_id: WalletId, index: int, signer: int, payload: bytes) -> WalletDestroyed:
    address = address_about(WALLET, H, index)
    sign = p256_key(signer).sign
    message = seal_envelope(WALLET_DESTROYED, address, payload, Key.IDENTITY, sign)
    return wallet_destroyed_in(message.to_bytes(), wallet_id, KEYS)


def test_an_order_is_what_its_header_says_and_of_a_known_coordinator() -> None:
    assert ordered(WALLET, H) == ORDER
    for wallet_id, h in ((WalletId(b"o" * 16), H), (WALLET, EpochHash(b"o" * 32))):
        with pytest.raises(BadEncoding, match="header"):
            ordered(wallet_id, h)
    with pytest.raises(BadEncoding, match="sender"):
        ordered(WALLET, H, FIRST_COORDINATOR + 1)


def test_what_is_destroyed_is_said_by_its_holder_about_this_wallet() -> None:
    payload = DESTROYED.to_bytes()
    assert said(WALLET, 2, 2, payload) == DESTROYED
    for wallet_id, index, signer, content in (
        (WalletId(b"o" * 16), 2, 2, payload),
        (WALLET, 2, 1, payload),
        (WALLET, 3, 3, payload),
        (WALLET, 2, 2, payload + b"x"),
    ):
        with pytest.raises(HsmMpcError):
            said(wallet_id, index, signer, content)
