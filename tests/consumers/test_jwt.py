"""PyJWT takes a token whose signature a quorum made (RFC 8037 §3.1)."""

from __future__ import annotations

import base64
import json
from typing import Final

import jwt
import pytest

from tests.consumers.wallet import Wallet

CLAIMS: Final = {"iss": "treasury", "sub": "baker", "pays": 5}


def encoded(part: bytes) -> bytes:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def signing_input(claims: dict[str, object]) -> bytes:
    header = {"alg": "EdDSA", "typ": "JWT"}
    return b".".join(encoded(json.dumps(part).encode()) for part in (header, claims))


def key_of(wallet: Wallet) -> jwt.PyJWK:
    """As a JSON Web Key (RFC 8037 §2)."""
    x = encoded(wallet.public_key).decode()
    return jwt.PyJWK.from_dict({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA"})


def test_a_token_is_taken_with_its_claims(message_wallet: Wallet) -> None:
    claims = signing_input(CLAIMS)
    token = claims + b"." + encoded(message_wallet.sign(claims))
    assert jwt.decode(token, key_of(message_wallet), algorithms=["EdDSA"]) == CLAIMS


def test_a_token_with_other_claims_is_refused(message_wallet: Wallet) -> None:
    signature = encoded(message_wallet.sign(signing_input(CLAIMS)))
    token = signing_input(CLAIMS | {"pays": 50}) + b"." + signature
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, key_of(message_wallet), algorithms=["EdDSA"])
