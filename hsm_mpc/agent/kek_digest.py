"""What a holder says of a wrapping key to the others (step 2.6.2)."""

from __future__ import annotations

from hsm_mpc.certificates.wrapping_keys import aes_description, kek_digest, rsa_description
from hsm_mpc.hsm.token import Token
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.wrapping.base import WrappingKey
from hsm_mpc.wrapping.pkcs11_rsa import Pkcs11RsaKey


def kek_digest_of(token: Token, key: WrappingKey) -> bytes:
    """kek_digest, 32 bytes, of a wrapping key in `token`.

    Raises:
        BackendError: the token does not answer.
    """
    if isinstance(key, Pkcs11RsaKey):
        description = rsa_description(key.public_key_info())
    else:
        description = aes_description(KeyUri.parse(key.key_uri).key_id, token.serial)
    return kek_digest(key.key_uri, description)
