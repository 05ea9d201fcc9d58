"""Keys of ours in a token: found as exactly one, made with exactly these attributes, destroyed.

A key is named by class, CKA_ID and CKA_LABEL (steps 6.2.2, 6.2.3). Handles are cached by callers:
finding takes 12 ms on a SoftHSM token with 1000 keys, using a handle 20 µs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from hsm_mpc.errors import BackendError, BadConfig, BadInput, Tampered
from hsm_mpc.hsm import attributes, generation, objects
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.attributes import Requirements
from hsm_mpc.hsm.capabilities import KEY_CLASSES, Wrapping
from hsm_mpc.hsm.cryptoki import Attribute, KeyType, ObjectClass
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.token import Token
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.identity import Algorithm

KEY_ID_BYTES: Final = 20
WRAPPING_LABEL_PREFIX: Final = "hsm-mpc/kek/"
IDENTITY: Final = "hsm-mpc/identity"
SECOND_IDENTITY: Final = "hsm-mpc/identity/2"
CANARY: Final = "hsm-mpc/canary"
"""Both CKA_ID and CKA_LABEL (step 6.2.2)."""
IDENTITIES: Final = (IDENTITY, SECOND_IDENTITY)
"""A key that takes the place of another one (step 6.7.9) has the name that this one has not."""


_Result = TypeVar("_Result")


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


def key_uri(token: Token, key_id: bytes, object_class: ObjectClass = ObjectClass.SECRET_KEY) -> str:
    """The name of a wrapping key for records and blobs (step 2.6.2)."""
    return str(KeyUri(token.label, token.serial, key_id, object_class))


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


def used(token: Token, key: Key, use: Callable[[Key], _Result]) -> tuple[Key, _Result]:
    """What `use` gives; once more with a new handle if the token forgot the key's. The key as it is
    now, for its next use.

    Raises:
        MissingKey: the token answers and has no such key any more.
        BadConfig, BackendError: as `wanted`; and what `use` raises.
    """
    try:
        return key, use(key)
    except StaleHandle:
        again = found_again(token, key)
        return again, use(again)


def find_wrapping_key(token: Token, key_id: bytes, label: str) -> Key | None:
    """The one wrapping key so named, of either class, or None.

    Raises:
        BadConfig, BackendError: as `find`.
    """
    found = [
        key
        for object_class in KEY_CLASSES
        if (key := find(token, object_class, key_id, label)) is not None
    ]
    if len(found) > 1:
        names = ", ".join(key.name for key in found)
        raise BadConfig(f"{token.where}: two keys, where one is wanted: {names}")
    return found[0] if found else None


def wrapping_key(
    token: Token,
    key_id: bytes,
    label: str,
    object_class: ObjectClass = ObjectClass.SECRET_KEY,
) -> Key:
    """`wanted` of a wrapping key, of the class that its URI says; then `require_attributes`."""
    key = wanted(token, object_class, key_id, label)
    require_attributes(token, key)
    return key


def wrapping_key_ids(token: Token, label: str) -> tuple[bytes, ...]:
    """CKA_ID of every wrapping key with this label, whatever any disk says.

    Raises:
        BackendError: the token does not answer.
    """
    handles = objects.matching(token, _wrapping_template(label))
    found = (_id_behind(token, handle) for handle in handles)
    return tuple(sorted({key_id for key_id in found if key_id is not None}))


def destroy_labelled(token: Token, label: str, but: Collection[bytes]) -> None:
    """Destroy every wrapping key with this label, however often it is there, but those with such a
    CKA_ID.

    Raises:
        BackendError: one is still there, or the token does not answer.
    """
    for handle in objects.matching(token, _wrapping_template(label)):
        key_id = _id_behind(token, handle)
        if key_id is not None and key_id not in but:
            with suppress(StaleHandle):  # it is gone, and that was wanted
                objects.destroy(token, handle)
    if left := set(wrapping_key_ids(token, label)) - set(but):
        raise BackendError(
            f"{token.where}: {len(left)} keys {label!r} were destroyed and are there"
        )


def find_canary_key(token: Token, object_class: ObjectClass = ObjectClass.SECRET_KEY) -> Key | None:
    """`find` of a canary key, which `holder init` makes."""
    return find(token, object_class, CANARY.encode(), CANARY)


def find_identity_key(token: Token, name: str = IDENTITY) -> KeyPair | None:
    """Both halves of the identity key of this name, or None if there is no private half.

    A public half alone is what an interrupted generation leaves: no identity key yet.

    Raises:
        MissingKey: the private half is there without its public half.
        BadConfig, BackendError: as `find`.
    """
    private, public = _identity_halves(token, name)
    if private is None:
        return None
    if public is None:
        raise MissingKey(f"{token.where}: the public half of the identity key is missing")
    return KeyPair(private, public)


def _identity_halves(token: Token, name: str) -> tuple[Key | None, Key | None]:
    return (
        find(token, ObjectClass.PRIVATE_KEY, name.encode(), name),
        find(token, ObjectClass.PUBLIC_KEY, name.encode(), name),
    )


def generate_wrapping_key(
    token: Token, key_id: bytes, label: str, wrapping: Wrapping = Wrapping.AES_GCM
) -> Key:
    """A new AES-256 key that can only encrypt and decrypt, and never leave; or the private half of
    an RSA-3072 pair that can only decrypt, and never leave.

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
    if find_wrapping_key(token, key_id, label) is not None:
        raise BadConfig(f"{token.where}: the wrapping key {label!r} is there already")
    return _generate_wrapping(token, key_id, label, wrapping)


def generate_canary_key(token: Token, wrapping: Wrapping = Wrapping.AES_GCM) -> Key:
    """The key whose known ciphertext tells whether the token still decrypts.

    Raises:
        BadConfig, Refused, BackendError: as `generate_wrapping_key`.
    """
    _refuse_taken(token, find_canary_key(token, wrapping.key_class))
    return _generate_wrapping(token, CANARY.encode(), CANARY, wrapping)


def _generate_wrapping(token: Token, key_id: bytes, label: str, wrapping: Wrapping) -> Key:
    generate = generation.aes_key if wrapping is Wrapping.AES_GCM else generation.rsa_wrapping_key
    with administration(token) as session:
        made = generate(session, key_id, label, leaves_out=token.profile.leaves_out)
        handle = token.handle(made)
    key = Key(handle, wrapping.key_class, key_id, label)
    _require_or_destroy(token, key)
    return key


def destroy_identity_key(token: Token, name: str) -> None:
    """Leave neither half of the identity key of this name, the private one first.

    Raises:
        BackendError: one is still there, or the token does not answer.
    """
    for half in _identity_halves(token, name):
        if half is not None:
            destroy(token, half)


def generate_identity_key(
    token: Token, algorithm: Algorithm = Algorithm.P256, label: str = IDENTITY
) -> KeyPair:
    """A new key pair that can only sign, the private half never leaving (step 1.6.1).

    What an interrupted generation left, a public half alone, is destroyed first.

    Args:
        algorithm: P256 or RSA3072.
        label: one of `IDENTITIES`.

    Raises:
        BadConfig: the token has an identity key of this name.
        Refused: the module gave the key other attributes; it is destroyed again.
        BackendError: the token does not answer.
    """
    private, public = _identity_halves(token, label)
    _refuse_taken(token, private)
    if public is not None:
        destroy(token, public)
    name = label.encode()
    p256 = algorithm is Algorithm.P256
    generate = generation.p256_key_pair if p256 else generation.rsa_key_pair
    with administration(token) as session:
        made = generate(session, name, label, leaves_out=token.profile.leaves_out)
        private_handle, public_handle = map(token.handle, made)
    pair = KeyPair(
        Key(private_handle, ObjectClass.PRIVATE_KEY, name, label),
        Key(public_handle, ObjectClass.PUBLIC_KEY, name, label),
    )
    _require_or_destroy(token, pair.private, pair.public)
    return pair


def _refuse_taken(token: Token, key: Key | None) -> None:
    if key is not None:
        raise BadConfig(f"{token.where}: the {key.name} is there already")


def _require_or_destroy(token: Token, *made: Key) -> None:
    try:
        for key in made:
            require_attributes(token, key)
    except BaseException:
        for key in made:
            destroy(token, key)
        raise


def required_attributes(
    object_class: ObjectClass, label: str, key_type: int | None
) -> Requirements:
    """What step 6.2.3 asks of a key of ours, by its name and the type that the token tells.

    An identity key that is no RSA key is judged as P-256; its attributes tell the rest.
    """
    if label not in IDENTITIES:
        return attributes.WRAPPING[object_class]
    algorithm = Algorithm.RSA3072 if key_type == KeyType.RSA else Algorithm.P256
    return attributes.IDENTITY[algorithm][object_class]


def require_attributes(token: Token, key: Key) -> None:
    """Refuse a key of ours that is not as it must be.

    Raises:
        Refused, StaleHandle, BackendError: as `attributes.require`.
    """
    required = required_attributes(key.object_class, key.label, key_type_of(token, key))
    attributes.require(token, key.handle, required, key.name)


def key_type_of(token: Token, key: Key) -> int | None:
    """CKA_KEY_TYPE as the token tells it.

    Raises:
        StaleHandle, BackendError: the key is gone, or the token does not answer.
    """
    with token.session() as session:
        told = objects.read_attribute(token, session, key.handle, Attribute.KEY_TYPE)
    return objects.as_number(told)


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


def _wrapping_template(label: str) -> dict[Attribute, bytes]:
    return {
        Attribute.TOKEN: objects.TRUE,
        Attribute.PRIVATE: objects.TRUE,
        Attribute.LABEL: label.encode("utf-8"),
    }


def _id_behind(token: Token, handle: int) -> bytes | None:
    try:
        with token.session() as session:
            return objects.read_attribute(token, session, handle, Attribute.ID)
    except StaleHandle:
        return None
