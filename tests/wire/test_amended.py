"""ROTATE as a coordinator carries it, and AMENDED of whoever has taken the key (step 6.7.9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.wire.about_wallets import address_about
from hsm_mpc.wire.amended import amended_payload, has_taken, rotate_in
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import seal_envelope
from hsm_mpc.wire.inbox import Inbox
from hsm_mpc.wire.rounds import AMENDED, FIRST_COORDINATOR, ROTATE, Key
from tests.software_identity import SoftwareKey, ed25519_key, p256_key

HOLDERS = [p256_key(number) for number in (1, 2, 3)]
NEW = p256_key(4)
COORDINATOR = ed25519_key(b"c" * 32)
MEMBERS = tuple(Member(f"h{index}", key.public) for index, key in enumerate(HOLDERS, 1))
KEYS = KeyBook(Roster(True, 1, FIRST_PREDECESSOR, MEMBERS), {FIRST_COORDINATOR: COORDINATOR.public})
WALLET, H = WalletId(b"w" * 16), EpochHash(b"h" * 32)
OTHER_WALLET, OTHER_H = WalletId(b"o" * 16), EpochHash(b"o" * 32)
ROTATION = Rotate(WALLET, H, 2, HOLDERS[1].public, NEW.public, 7)


def carried(rotate: Rotate, by: SoftwareKey = COORDINATOR) -> bytes:
    address = address_about(WALLET, H, FIRST_COORDINATOR)
    return seal_envelope(ROTATE, address, rotate.to_bytes(), Key.COORDINATOR, by.sign).to_bytes()


def amended(
    key: VerifyingKey = NEW.public,
    index: int = 2,
    wallet_id: WalletId = WALLET,
    sender: int = 1,
    by: int = 1,
) -> bytes:
    address = address_about(wallet_id, OTHER_H, sender)
    payload = amended_payload(index, key)
    return seal_envelope(AMENDED, address, payload, Key.IDENTITY, HOLDERS[by - 1].sign).to_bytes()


def test_a_coordinator_carries_a_rotation() -> None:
    assert rotate_in(carried(ROTATION), Inbox(KEYS), 0) == ROTATION
    with pytest.raises(InvalidSignature):
        rotate_in(carried(ROTATION, ed25519_key(b"x" * 32)), Inbox(KEYS), 0)


@pytest.mark.parametrize(
    "other", [replace(ROTATION, wallet_id=OTHER_WALLET), replace(ROTATION, epoch_hash=OTHER_H)]
)
def test_its_header_names_the_same_wallet_and_epoch(other: Rotate) -> None:
    with pytest.raises(BadEncoding, match="another epoch or wallet"):
        rotate_in(carried(other), Inbox(KEYS), 0)


def test_a_holder_says_which_key_it_has_taken_in_whichever_epoch() -> None:
    assert amended_payload(2, NEW.public) == b"\0\2" + NEW.public.to_bytes()
    assert has_taken(amended(), ROTATION, 1, KEYS)
    assert not has_taken(amended(key=HOLDERS[1].public), ROTATION, 1, KEYS)
    assert not has_taken(amended(index=3), ROTATION, 1, KEYS)


@pytest.mark.parametrize(
    "source",
    [amended(wallet_id=OTHER_WALLET), amended(sender=3, by=3), amended(by=3), carried(ROTATION)],
)
def test_nobody_says_it_for_another_holder_or_wallet(source: bytes) -> None:
    with pytest.raises((BadInput, InvalidSignature)):
        has_taken(source, ROTATION, 1, KEYS)
