from __future__ import annotations

import hashlib

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.wrapping_keys import (
    aes_description,
    kek_digest,
    rsa_description,
    wrapping_key_id,
)
from hsm_mpc.encoding import Reader, lv32, u16be, u32be
from hsm_mpc.errors import BadInput
from hsm_mpc.ids import WalletId
from hsm_mpc.tags import Tag, tagged_hash

WALLET = WalletId(bytes(range(16)))
PH = b"\x0b" * 32
ATTEMPT = Attempt(1_700_000_000, 0x8001)


def test_a_cka_id_is_the_head_of_the_specified_hash() -> None:
    """Step 6.2.2."""
    message = WALLET + u16be(3) + PH + ATTEMPT.to_bytes() + u32be(2)
    expected = tagged_hash(Tag.KEK_ID, message)[:20]
    assert wrapping_key_id(WALLET, 3, PH, ATTEMPT, 2) == expected


def test_every_part_makes_another_cka_id() -> None:
    """Also a rewrap (generation), so that no two keys ever have one name."""
    ids = {
        wrapping_key_id(WALLET, 1, PH, Attempt.NONE, 0),
        wrapping_key_id(WalletId(bytes(16)), 1, PH, Attempt.NONE, 0),
        wrapping_key_id(WALLET, 2, PH, Attempt.NONE, 0),
        wrapping_key_id(WALLET, 1, bytes(32), Attempt.NONE, 0),
        wrapping_key_id(WALLET, 1, PH, ATTEMPT, 0),
        wrapping_key_id(WALLET, 1, PH, Attempt.NONE, 1),
    }
    assert len(ids) == 6


@pytest.mark.parametrize("wallet, replaced", [(bytes(15), PH), (WALLET, bytes(31))])
def test_a_key_of_another_wallet_or_epoch_length_is_refused(wallet: bytes, replaced: bytes) -> None:
    with pytest.raises(BadInput, match="named by"):
        wrapping_key_id(WalletId(wallet), 1, replaced, Attempt.NONE, 0)


def test_the_digest_covers_uri_and_description() -> None:
    """Step 2.6.2."""
    uri = "pkcs11:token=h1;serial=0123456789abcdef;id=%01;type=secret-key"
    description = aes_description(b"\x01" * 20, b"0123456789abcdef")
    assert description == b"\x01" + hashlib.sha256(b"\x01" * 20 + b"0123456789abcdef").digest()
    expected = tagged_hash(Tag.KEK, lv32(uri.encode()) + lv32(description))
    assert kek_digest(uri, description) == expected


@pytest.mark.parametrize("cka_id, serial", [(bytes(19), bytes(16)), (bytes(20), bytes(15))])
def test_a_description_of_other_lengths_is_refused(cka_id: bytes, serial: bytes) -> None:
    with pytest.raises(BadInput, match="CKA_ID of 20"):
        aes_description(cka_id, serial)


def test_an_rsa_pair_is_described_by_its_public_half() -> None:
    assert rsa_description(b"SubjectPublicKeyInfo") == b"\x02SubjectPublicKeyInfo"


def test_attempts_compare_as_80_bit_integers() -> None:
    """Section 6.3."""
    attempts = [Attempt(2, 0), Attempt(1, 0xFFFF), Attempt(1, 2), Attempt.NONE]
    by_bytes = sorted(attempts, key=lambda attempt: attempt.to_bytes())
    assert sorted(attempts) == by_bytes == attempts[::-1]
    assert Attempt.NONE.to_bytes() == bytes(10)
    assert Attempt.read(Reader(ATTEMPT.to_bytes(), "attempt")) == ATTEMPT
