"""An RSA-3072 pair inside a PKCS#11 token wraps by C_Encrypt and unwraps by C_Decrypt, OAEP.

For tokens without AES-GCM. What the token learns: the data key for the length of a call.
Permissions: the user is logged in; the private half decrypts, nothing else (step 6.2.3). Limits:
OAEP binds the data key to nothing, and whoever knows the public half can wrap a data key of his
own; what a blob is, only its content's tag and the signed epoch record say (step 1.11.6). Some
modules do OAEP with SHA-1 alone, which is no weakness there: OAEP leans on no collision.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.serialization import PublicFormat

from hsm_mpc.errors import Tampered
from hsm_mpc.hsm import rsa
from hsm_mpc.hsm.cryptoki import Hash
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.rsa import RSA_BYTES
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.wrapping.base import DATA_KEY_BYTES, Bind
from hsm_mpc.wrapping.in_token import KeyInToken
from hsm_mpc.wrapping.recipients import Mechanism, OaepHash, Recipient, RsaRecipient

HASHES: Final = {OaepHash.SHA1: Hash.SHA1, OaepHash.SHA256: Hash.SHA256}
"""What is ever used; a recipient that names another is none of ours."""


class Pkcs11RsaKey(KeyInToken):
    """The private half of a pair, of one wallet and epoch. Its handle is cached.

    Args:
        oaep_hash: SHA-1 or SHA-256, of what it wraps; what it unwraps names its own.
    """

    mechanism = Mechanism.RSA_OAEP
    binds_context = False

    def __init__(self, token: Token, key: Key, oaep_hash: OaepHash = OaepHash.SHA1) -> None:
        super().__init__(token, key)
        self._oaep_hash = oaep_hash

    def public_key_info(self) -> bytes:
        """DER of the SubjectPublicKeyInfo of the public half (step 2.6.2).

        Raises:
            MissingKey: the token answers and has no such key any more.
            BackendError: the token does not answer.
        """
        numbers = self._with_key(lambda key: rsa.public_numbers(self._token, key))
        return numbers.encoded(PublicFormat.SubjectPublicKeyInfo)

    def opens(self, recipient: Recipient) -> bool:
        """Whether the recipient names this key: by its CKA_ID alone, as a `ktri` does."""
        return isinstance(recipient, RsaRecipient) and recipient.key_id == self._key.key_id

    def _wrap(self, data_key: Secret, bind: Bind) -> Recipient:
        hash_ = HASHES[self._oaep_hash]
        with data_key.open() as pointer:
            wrapped = self._with_key(
                lambda key: rsa.encrypt_oaep(self._token, key, hash_, pointer, data_key.size)
            )
        return RsaRecipient(self._key.key_id, self._oaep_hash, wrapped)

    def _unwrap(self, recipient: Recipient, associated: bytes, into: Secret) -> None:
        if not isinstance(recipient, RsaRecipient) or len(recipient.wrapped) != RSA_BYTES:
            raise Tampered(f"a wrapped key for {self.key_uri} is not of the length of RSA-3072")
        hash_, wrapped = HASHES.get(recipient.oaep_hash), recipient.wrapped
        if hash_ is None:
            raise Tampered(f"a wrapped key for {self.key_uri} names {recipient.oaep_hash.value}")
        # Modules want room for a whole modulus.
        with into.arena.room(RSA_BYTES) as source, into.open() as target:
            length = self._with_key(
                lambda key: rsa.decrypt_oaep_into(
                    self._token, key, hash_, wrapped, source, RSA_BYTES
                )
            )
            if length != DATA_KEY_BYTES:
                raise Tampered(f"{self.key_uri} unwraps {length} bytes: it is no data key")
            move_bytes(target, source, DATA_KEY_BYTES)
