"""Keys of ours in a token: found as exactly one, made with exactly these attributes, destroyed.

A key is named by class, CKA_ID and CKA_LABEL (steps 6.2.2, 6.2.3). Handles are cached by callers:
finding takes 12 ms on a SoftHSM token with 1000 keys, using a handle 20 µs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import BackendError, BadConfig, BadInput, Tampered
from hsm_mpc.hsm import attributes, generation, objects
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.cryptoki import Attribute, ObjectClass
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.token import Token
from hsm_mpc.hsm.uri import KeyUri

KEY_ID_BYTES: Final = 20
WRAPPING_LABEL_PREFIX: Final = "hsm-mpc/kek/"
IDENTITY: Final = "hsm-mpc/identity"
CANARY: Final = "hsm-mpc/canary"
"""Both CKA_ID and CKA_LABEL (step 6.2.2)."""


class MissingKey(Tampered):
    """A key that must be in the token is not there, and the token answers."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that was found in its token. `handle` is good until the key is destroyed, or the module
    initialised again."""

    handle: int
    object_class: ObjectClass
    key_id: bytes
    label: str

    @property
    def name(self) -> str:
        return f"{self.object_class.name.lower().replace('_', ' ')} {self.label!r}"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Both halves of a holder's identity key."""

    private: Key
    public: Key


def wrapping_label(wallet_id: bytes) -> str:
    """CKA_LABEL of a wallet's wrapping keys (step 6.2.2)."""
    return f"{WRAPPING_LABEL_PREFIX}{wallet_id.hex()}"


def key_uri(token: Token, key_id: bytes) -> str:
    """The name of a wrapping key for records and blobs (step 2.6.2)."""
    return str(KeyUri(token.label, token.serial, key_id))


def find(token: Token, object_class: ObjectClass, key_id: bytes, label: str) -> Key | None:
    """The one key so named, or None.

    Raises:
        BadConfig: there are several.
        BackendError: the token is gone or does not answer.
    """
    template = {
        Attribute.CLASS: objects.number(object_class),
        Attribute.TOKEN: objects.TRUE,
        Attribute.ID: key_id,
        Attribute.LABEL: label.encode("utf-8"),
    }
    if object_class is not ObjectClass.PUBLIC_KEY:
        template[Attribute.PRIVATE] = objects.TRUE  # others are made without a PIN, by anybody
    handles = objects.matching(token, template)
    if len(handles) > 1:
        name = f"{object_class.name.lower().replace('_', ' ')} {label!r} with id {key_id.hex()}"
        raise BadConfig(f"{token.where}: {len(handles)} keys, where one is wanted: {name}")
    if not handles:
        return None
    return Key(handles[0], object_class, key_id, label)


def wanted(token: Token, object_class: ObjectClass, key_id: bytes, label: str) -> Key:
    """The one key so named, which a record names and which therefore must be there.

    Raises:
        MissingKey: it is not.
        BadConfig, BackendError: as `find`.
    """
    key = find(token, object_class, key_id, label)
    if key is None:
        name = f"{object_class.name.lower().replace('_', ' ')} {label!r} with id {key_id.hex()}"
        raise MissingKey(f"{token.where}: the {name} is missing")
    return key


def found_again(token: Token, key: Key) -> Key:
    """The key under the handle that it has now: after a `StaleHandle`.

    Raises:
        MissingKey, BadConfig, BackendError: as `wanted`.
    """
    return wanted(token, key.object_class, key.key_id, key.label)


def find_wrapping_key(token: Token, key_id: bytes, label: str) -> Key | None:
    """`find` of a wrapping key."""
    return find(token, ObjectClass.SECRET_KEY, key_id, label)


def wrapping_key(token: Token, key_id: bytes, label: str) -> Key:
    """`wanted` of a wrapping key."""
    return wanted(token, ObjectClass.SECRET_KEY, key_id, label)


def find_canary_key(token: Token) -> Key | None:
    """`find` of the canary key, which `holder init` makes."""
    return find(token, ObjectClass.SECRET_KEY, CANARY.encode(), CANARY)


def find_identity_key(token: Token) -> KeyPair | None:
    """Both halves of the identity key, or None if there is no private half.

    A public half alone is what an interrupted generation leaves: no identity key yet.

    Raises:
        MissingKey: the private half is there without its public half.
        BadConfig, BackendError: as `find`.
    """
    private, public = _identity_halves(token)
    if private is None:
        return None
    if public is None:
        raise MissingKey(f"{token.where}: the public half of the identity key is missing")
    return KeyPair(private, public)


def _identity_halves(token: Token) -> tuple[Key | None, Key | None]:
    return (
        find(token, ObjectClass.PRIVATE_KEY, IDENTITY.encode(), IDENTITY),
        find(token, ObjectClass.PUBLIC_KEY, IDENTITY.encode(), IDENTITY),
    )


def generate_wrapping_key(token: Token, key_id: bytes, label: str) -> Key:
    """A new AES-256 key that can only encrypt and decrypt, and never leave.

    Args:
        key_id: 20 bytes (step 6.2.2), written down by the caller before this call.

    Raises:
        BadInput: an id of another length.
        BadConfig: a key of this name is there already.
        Refused: the module gave the key other attributes; it is destroyed again.
        BackendError: the token does not answer.
    """
    if len(key_id) != KEY_ID_BYTES:
        raise BadInput(f"CKA_ID of a wrapping key: {KEY_ID_BYTES} bytes, not {len(key_id)}")
    return _generate_secret(token, key_id, label)


def generate_canary_key(token: Token) -> Key:
    """The key whose known ciphertext tells whether the token still decrypts.

    Raises:
        BadConfig, Refused, BackendError: as `generate_wrapping_key`.
    """
    return _generate_secret(token, CANARY.encode(), CANARY)


def _generate_secret(token: Token, key_id: bytes, label: str) -> Key:
    _refuse_taken(token, find(token, ObjectClass.SECRET_KEY, key_id, label))
    with administration(token) as session:
        handle = token.handle(generation.aes_key(session, key_id, label))
    key = Key(handle, ObjectClass.SECRET_KEY, key_id, label)
    _require_or_destroy(token, key)
    return key


def generate_identity_key(token: Token) -> KeyPair:
    """A new P-256 key pair that can only sign, the private half never leaving (step 1.6.1).

    What an interrupted generation left, a public half alone, is destroyed first.

    Raises:
        BadConfig: the token has an identity key.
        Refused: the module gave the key other attributes; it is destroyed again.
        BackendError: the token does not answer.
    """
    private, public = _identity_halves(token)
    _refuse_taken(token, private)
    if public is not None:
        destroy(token, public)
    name = IDENTITY.encode()
    with administration(token) as session:
        private_handle, public_handle = map(
            token.handle, generation.p256_key_pair(session, name, IDENTITY)
        )
    pair = KeyPair(
        Key(private_handle, ObjectClass.PRIVATE_KEY, name, IDENTITY),
        Key(public_handle, ObjectClass.PUBLIC_KEY, name, IDENTITY),
    )
    _require_or_destroy(token, pair.private, pair.public)
    return pair


def _refuse_taken(token: Token, key: Key | None) -> None:
    if key is not None:
        raise BadConfig(f"{token.where}: the {key.name} is there already")


def _require_or_destroy(token: Token, *made: Key) -> None:
    try:
        for key in made:
            attributes.require(token, key.handle, attributes.OF_CLASS[key.object_class], key.name)
    except BaseException:
        for key in made:
            destroy(token, key)
        raise


def destroy(token: Token, key: Key) -> None:
    """Destroy the key, and see that neither its name nor its handle gives it any more.

    Raises:
        StaleHandle: it was gone before.
        BackendError: it is still there, or the token does not answer.
    """
    objects.destroy(token, key.handle)
    still_named = find(token, key.object_class, key.key_id, key.label) is not None
    if still_named or _id_behind(token, key.handle) == key.key_id:
        raise BackendError(f"{token.where}: the {key.name} was destroyed and is still there")


def _id_behind(token: Token, handle: int) -> bytes | None:
    try:
        with token.session() as session:
            return objects.read_attribute(token, session, handle, Attribute.ID)
    except StaleHandle:
        return None
