"""RSA inside the token, where it has no AES-GCM or no elliptic curves: OAEP and PSS by pointer.

A wrapping key is one object of the token, the private half. The public half is made of its modulus
and exponent for the length of one call: whoever may write public objects, which takes no PIN,
cannot put a key of his own under our name and so have data keys encrypted to himself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_mpc.errors import BackendError, BadInput
from hsm_mpc.hsm import direct, failures, objects
from hsm_mpc.hsm.attributes import RSA_BITS, RSA_EXPONENT
from hsm_mpc.hsm.cryptoki import (
    BYTES,
    MASK_BY,
    NO_LABEL,
    ULONG,
    Attribute,
    Hash,
    KeyType,
    Mechanism,
    ObjectClass,
    ffi,
)
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.sessions import Session
from hsm_mpc.hsm.token import Token
from hsm_mpc.steps import step

RSA_BYTES: Final = RSA_BITS // 8
"""Length of a modulus, of a ciphertext and of a signature."""

SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PublicNumbers:
    """What is public of an RSA pair, as the token's attributes hold it: big-endian."""

    modulus: bytes
    """384 bytes."""
    exponent: bytes
    """65537, the only one that keys of ours have."""

    def in_software(self) -> RSAPublicKey:
        """The public half outside of the token."""
        numbers = (int.from_bytes(part, "big") for part in (self.exponent, self.modulus))
        return RSAPublicNumbers(*numbers).public_key()

    def encoded(self, form: PublicFormat) -> bytes:
        """DER of RSAPublicKey (`PKCS1`) or of SubjectPublicKeyInfo."""
        return self.in_software().public_bytes(Encoding.DER, form)


def public_numbers(token: Token, key: Key) -> PublicNumbers:
    """Modulus and exponent of one half of a pair.

    Raises:
        StaleHandle: the key is gone.
        BackendError: the token does not answer, or tells no modulus of 3072 bits, or another
            exponent than 65537: what is encrypted with exponent 1 is not encrypted.
    """
    with token.session() as session:
        modulus, exponent = (
            objects.read_attribute(token, session, key.handle, kind)
            for kind in (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT)
        )
    stripped = [(part or b"").lstrip(b"\0") for part in (modulus, exponent)]  # of a sign byte
    numbers = PublicNumbers(*stripped)
    if int.from_bytes(numbers.modulus, "big").bit_length() != RSA_BITS:
        raise BackendError(
            f"{token.where}: the {key.name} tells no modulus of {RSA_BITS} bits", retryable=False
        )
    if numbers.exponent != RSA_EXPONENT:
        raise BackendError(
            f"{token.where}: the {key.name} tells another exponent than 65537", retryable=False
        )
    return numbers


def encrypt_oaep(token: Token, key: Key, hash_: Hash, pointer: int, length: int) -> bytes:
    """Encrypt `length` bytes at `pointer` by RSA-OAEP for the private half `key`: 384 bytes.

    Raises:
        BadInput: nothing to encrypt.
        StaleHandle: the key is gone.
        BackendError: the token does not answer as it should.
    """
    if length < 1:
        raise BadInput(f"RSA-OAEP: {length} bytes of plaintext")
    numbers = public_numbers(token, key)
    mechanism, _parameters = _oaep(hash_)
    sealed = ffi.new("CK_BYTE[]", RSA_BYTES)
    # What is raised closes the session, and with it goes the public half.
    with token.changing(), token.session() as session:
        session.length[0] = len(sealed)
        source = ffi.cast(BYTES, pointer)
        with step("key.encrypt"):
            public = _public_half(token, session, key, numbers)
            code = token.calls.C_EncryptInit(session.handle, mechanism, public)
            failures.check(code, "C_EncryptInit", token.where)
            code = token.calls.C_Encrypt(session.handle, source, length, sealed, session.length)
            failures.check(code, "C_Encrypt", token.where)
            code = token.calls.C_DestroyObject(session.handle, public)
            failures.check(code, "C_DestroyObject", token.where)
        if session.length[0] != len(sealed):
            raise BackendError(
                f"{token.where}: an RSA ciphertext of a wrong length", retryable=False
            )
    return bytes(sealed)


def decrypt_oaep_into(
    token: Token, key: Key, hash_: Hash, ciphertext: bytes, pointer: int, capacity: int
) -> int:
    """Decrypt RSA-OAEP to `pointer`; the length of the plaintext, which anybody may have chosen.

    On failure the memory may hold anything: the caller wipes it.

    Args:
        ciphertext: 384 bytes.
        capacity: bytes that may be written at `pointer`: 384 or more, which some modules want.

    Raises:
        BadInput: a length is wrong.
        CiphertextRefused: ciphertext, hash and key do not belong together.
        StaleHandle: the key is gone.
        BackendError: as `direct.decrypt_gcm_into`.
    """
    return direct.told_apart(
        token,
        key,
        lambda: decrypt_oaep_once(token, key, hash_, ciphertext, pointer, capacity),
    )


def decrypt_oaep_once(
    token: Token, key: Key, hash_: Hash, ciphertext: bytes, pointer: int, capacity: int
) -> int:
    """`decrypt_oaep_into` without asking the canary: it raises `AmbiguousAnswer` as it is."""
    if len(ciphertext) != RSA_BYTES or capacity < RSA_BYTES:
        raise BadInput(f"RSA-OAEP: a ciphertext of {len(ciphertext)} bytes into {capacity}")
    mechanism, _parameters = _oaep(hash_)
    with token.session() as session:
        session.length[0] = capacity
        target = ffi.cast(BYTES, pointer)
        with step("key.decrypt"):
            number = session.number_of(key.handle)
            code = token.calls.C_DecryptInit(session.handle, mechanism, number)
            failures.check(code, "C_DecryptInit", token.where)
            code = token.calls.C_Decrypt(
                session.handle, ciphertext, len(ciphertext), target, session.length
            )
            if code:
                raise direct.decryption_failure(code, token)
        length: int = session.length[0]
        if length > capacity:
            raise BackendError(f"{token.where}: C_Decrypt wrote {length} bytes", retryable=False)
    return length


def sign_pss(token: Token, key: Key, digest: bytes) -> bytes:
    """RSASSA-PSS over a digest of 32 bytes, SHA-256 throughout, salt 32: 384 bytes (step 1.6.1).

    Raises:
        BadInput: the digest is not 32 bytes.
        StaleHandle: the key is gone.
        BackendError: the token does not answer as it should.
    """
    parameters = ffi.new(
        "CK_RSA_PKCS_PSS_PARAMS *", (Hash.SHA256, MASK_BY[Hash.SHA256], SALT_BYTES)
    )
    mechanism = _mechanism(Mechanism.RSA_PKCS_PSS, parameters)
    return direct.sign(token, key, lambda _: mechanism, digest, RSA_BYTES)


def _public_half(token: Token, session: Session, key: Key, numbers: PublicNumbers) -> int:
    """The handle of an object that dies with the session. It has id and label: some modules take no
    key without."""
    attributes, _values = objects.as_template(
        {
            Attribute.CLASS: objects.number(ObjectClass.PUBLIC_KEY),
            Attribute.KEY_TYPE: objects.number(KeyType.RSA),
            Attribute.TOKEN: objects.FALSE,
            Attribute.PRIVATE: objects.FALSE,
            Attribute.ID: key.key_id,
            Attribute.LABEL: key.label.encode("utf-8"),
            Attribute.ENCRYPT: objects.TRUE,
            Attribute.MODULUS: numbers.modulus,
            Attribute.PUBLIC_EXPONENT: numbers.exponent,
        }
    )
    handle = ffi.new(ULONG)
    code = token.calls.C_CreateObject(session.handle, attributes, len(attributes), handle)
    failures.check(code, "C_CreateObject", token.where)
    return int(handle[0])


def _oaep(hash_: Hash) -> tuple[Any, Any]:
    """The mechanism, and the parameters that must live as long as it does."""
    parameters = ffi.new(
        "CK_RSA_PKCS_OAEP_PARAMS *", (hash_, MASK_BY[hash_], NO_LABEL, ffi.NULL, 0)
    )
    return _mechanism(Mechanism.RSA_PKCS_OAEP, parameters), parameters


def _mechanism(number: Mechanism, parameters: Any) -> Any:
    return ffi.new(
        "CK_MECHANISM *",
        (number, ffi.cast("void *", parameters), ffi.sizeof(ffi.typeof(parameters).item)),
    )
