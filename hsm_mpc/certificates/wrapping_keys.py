"""What the certificate and the HSM call a wrapping key: kek_digest and CKA_ID (2.6.2, 6.2.2)."""

from __future__ import annotations

import hashlib
from typing import Final

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.encoding import lv32, u8, u16be, u32be
from hsm_mpc.errors import BadInput
from hsm_mpc.ids import WalletId
from hsm_mpc.tags import Tag, tagged_hash

_AES_256: Final = 1
_RSA: Final = 2
CKA_ID_BYTES: Final = 20
TOKEN_SERIAL_BYTES: Final = 16


def wrapping_key_id(
    wallet_id: WalletId, holder: int, replaced: bytes, attempt: Attempt, generation: int
) -> bytes:
    """CKA_ID of a wrapping key, 20 bytes: known before the key is made, so none is orphaned.

    `replaced` is the epoch hash of the epoch that ends; for epoch 0 it is ph (step 2.6.1) and the
    attempt is `Attempt.NONE`. `generation` (g) counts rewraps, further recipients and repairs.
    """
    if len(replaced) != 32 or len(wallet_id) != 16:
        raise BadInput("a wrapping key is named by 16 bytes of wallet and a hash of 32 bytes")
    name = wallet_id + u16be(holder) + replaced + attempt.to_bytes() + u32be(generation)
    return tagged_hash(Tag.KEK_ID, name)[:CKA_ID_BYTES]


def aes_description(cka_id: bytes, token_serial: bytes) -> bytes:
    """`desc` of an AES-256 key in a token; `token_serial` as CK_TOKEN_INFO has it, 16 bytes."""
    if len(cka_id) != CKA_ID_BYTES or len(token_serial) != TOKEN_SERIAL_BYTES:
        raise BadInput("a wrapping key has a CKA_ID of 20 bytes and a token serial of 16")
    return u8(_AES_256) + hashlib.sha256(cka_id + token_serial).digest()


def rsa_description(public_key_info: bytes) -> bytes:
    """`desc` of an RSA pair in a token, by the DER of its public half's SubjectPublicKeyInfo."""
    return u8(_RSA) + public_key_info


def kek_digest(uri: str, description: bytes) -> bytes:
    """`kek_digest`, 32 bytes, of a wrapping key: its RFC 7512 URI and description (step 2.6.2)."""
    return tagged_hash(Tag.KEK, lv32(uri.encode("ascii")) + lv32(description))
