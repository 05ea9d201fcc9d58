"""Every domain tag of this project, and the tagged hash (docs/protocols/conventions.md 1.1.4, 1.9).

One preimage, one tag: no two tags are equal (`scripts/check`), and every preimage is made of fixed
lengths and length-prefixed strings, so no two different tuples hash the same bytes.
"""

from __future__ import annotations

import hashlib
from enum import Enum


class Tag(str, Enum):
    """A domain tag: ASCII, hashed without a terminator."""

    ascii: bytes
    prefix: bytes
    """What stands before every message: SHA-256(tag) twice."""

    def __init__(self, text: str) -> None:
        self.ascii = text.encode("ascii")
        self.prefix = 2 * hashlib.sha256(self.ascii).digest()

    ACK = "hsm-mpc/v1/ack"
    ATTEMPT = "hsm-mpc/v1/attempt"
    AUDIT = "hsm-mpc/v1/audit"
    CARD = "hsm-mpc/v1/card"
    CHAINCODE = "hsm-mpc/v1/chaincode"
    CHANNEL = "hsm-mpc/v1/channel"
    CHECKPOINT = "hsm-mpc/v1/checkpoint"
    CLIENT = "hsm-mpc/v1/client"
    CLIENTS = "hsm-mpc/v1/clients"
    CONSENT = "hsm-mpc/v1/consent"
    DESTROY = "hsm-mpc/v1/destroy"
    DLEQ = "hsm-mpc/v1/dleq"
    ENVELOPE = "hsm-mpc/v1/envelope"
    EPOCH = "hsm-mpc/v1/epoch"
    KEK = "hsm-mpc/v1/kek"
    KEK_ID = "hsm-mpc/v1/kek-id"
    ORDER = "hsm-mpc/v1/order"
    PAIR = "hsm-mpc/v1/pair"
    PROPOSAL = "hsm-mpc/v1/proposal"
    PROPOSE = "hsm-mpc/v1/propose"
    RECORD = "hsm-mpc/v1/record"
    REFRESH = "hsm-mpc/v1/refresh"
    REPAIR = "hsm-mpc/v1/repair"
    REPAIR_DELTAS = "hsm-mpc/v1/repair-deltas"
    REPAIR_OFFER = "hsm-mpc/v1/repair-offer"
    REPAIR_ORDER = "hsm-mpc/v1/repair-order"
    REQUEST = "hsm-mpc/v1/request"
    RNG = "hsm-mpc/v1/rng"
    ROSTER = "hsm-mpc/v1/roster"
    ROTATE = "hsm-mpc/v1/rotate"
    SEED = "hsm-mpc/v1/seed"
    SESSION = "hsm-mpc/v1/session"
    SETUP = "hsm-mpc/v1/setup"
    SIGN = "hsm-mpc/v1/sign"
    WALLET = "hsm-mpc/v1/wallet"

    # Tags of others, hashed the same way.
    BIP340_CHALLENGE = "BIP0340/challenge"
    BIP445_AUX = "BIP0445/aux"
    BIP445_NONCE = "BIP0445/nonce"
    BIP445_NONCECOEF = "BIP0445/noncecoef"
    COCKTAIL_H6 = "COCKTAIL-DKG/H6"
    COCKTAIL_H7 = "COCKTAIL-DKG/H7"
    COCKTAIL_NONCE = "COCKTAIL-DKG/NONCE"
    TAP_SIGHASH = "TapSighash"
    TAP_TWEAK = "TapTweak"


def tagged_hash(tag: Tag, message: bytes) -> bytes:
    """`TH(tag, message)`, 32 bytes (step 1.1.4). Only for public messages: it runs on the heap."""
    return hashlib.sha256(tag.prefix + message).digest()
