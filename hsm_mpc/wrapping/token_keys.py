"""Which backend a wrapping key in a token needs: its class says so."""

from __future__ import annotations

from typing import Final

from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.cryptoki import ObjectClass
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token
from hsm_mpc.wrapping.in_token import KeyInToken
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key
from hsm_mpc.wrapping.pkcs11_rsa import Pkcs11RsaKey
from hsm_mpc.wrapping.recipients import OaepHash

_OAEP_HASHES: Final = {
    Wrapping.RSA_OAEP_SHA256: OaepHash.SHA256,
    Wrapping.RSA_OAEP_SHA1: OaepHash.SHA1,
}


def made_key(token: Token, key: Key, wrapping: Wrapping) -> KeyInToken:
    """The backend of a key that was made for `wrapping`: it wraps so."""
    oaep_hash = _OAEP_HASHES.get(wrapping)
    return Pkcs11Key(token, key) if oaep_hash is None else Pkcs11RsaKey(token, key, oaep_hash)


def found_key(token: Token, key: Key) -> KeyInToken:
    """The backend of a key that was found, to unwrap by."""
    if key.object_class is ObjectClass.PRIVATE_KEY:
        return Pkcs11RsaKey(token, key)
    return Pkcs11Key(token, key)
