"""A ciphertext that the token is known to decrypt: it tells a wrong blob from a broken token.

The canary key has the attributes of a wrapping key; its plaintext is public.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import BackendError, Tampered
from hsm_mpc.hsm.cryptoki import address_of, ffi
from hsm_mpc.hsm.direct import decrypt_once, encrypt_gcm
from hsm_mpc.hsm.keys import Key, find_canary_key
from hsm_mpc.hsm.sessions import IV_BYTES
from hsm_mpc.hsm.token import Token

_PLAINTEXT: Final = b"hsm-mpc canary 1"
_ASSOCIATED: Final = b"hsm-mpc/canary"


@dataclass(frozen=True, slots=True)
class Canary:
    """Sixteen known bytes, encrypted once after login."""

    key: Key
    iv: bytes
    ciphertext: bytes

    def is_decrypted_by(self, token: Token) -> bool:
        """Whether the token, asked now, gives the known bytes."""
        out = ffi.new("CK_BYTE[]", len(self.ciphertext))
        try:
            length = decrypt_once(
                token, self.key, self.iv, _ASSOCIATED, self.ciphertext, address_of(out), len(out)
            )
        except (BackendError, Tampered):
            return False
        return bytes(out[0:length]) == _PLAINTEXT

    def renew(self, token: Token) -> None:
        """The canary of a token whose module was initialised again; none if its key is gone.

        Raises:
            BadConfig, BackendError: as `arm`; then this one stays.
        """
        if not arm(token):
            token.canary = None


def arm(token: Token) -> bool:
    """Make the token's canary; False if it has no canary key yet (`holder init` makes it).

    Raises:
        BadConfig: two canary keys.
        BackendError: the token does not answer.
    """
    key = find_canary_key(token)
    if key is None:
        return False
    iv = os.urandom(IV_BYTES)
    plaintext = ffi.from_buffer(_PLAINTEXT)
    ciphertext = encrypt_gcm(token, key, iv, _ASSOCIATED, address_of(plaintext), len(_PLAINTEXT))
    token.canary = Canary(key, iv, ciphertext)
    return True
