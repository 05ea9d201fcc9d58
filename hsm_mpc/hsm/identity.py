"""A holder's identity key at work: it signs rarely, and only what must prove something later."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.serialization import PublicFormat

from hsm_mpc.errors import InvalidSignature, Tampered
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import Attribute, KeyType
from hsm_mpc.hsm.direct import sign_digest
from hsm_mpc.hsm.failures import Lacking
from hsm_mpc.hsm.keys import (
    IDENTITIES,
    Key,
    KeyPair,
    find_identity_key,
    key_type_of,
    require_attributes,
    used,
)
from hsm_mpc.hsm.rsa import public_numbers, sign_pss
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import Algorithm, VerifyingKey, with_low_s
from hsm_mpc.tags import Tag, tagged_hash

_POINT_BYTES: Final = 65
_OCTET_STRING: Final = bytes((0x04, _POINT_BYTES))


class Identity:
    """The identity key pair of a token (step 1.6.1): P-256 ECDSA, or RSA-3072 with PSS."""

    def __init__(self, token: Token, pair: KeyPair) -> None:
        """Read the public half.

        Raises:
            BadEncoding: the token's public half is no point of the curve.
            BackendError: the token does not answer, or does not tell point or modulus.
        """
        self._token = token
        self._private, self._public = pair.private, pair.public
        self.key: Final = _verifying_key(token, pair)

    def sign(self, tag: Tag, message: bytes) -> bytes:
        """`IdSign(tag, message)` (step 1.6.2): 64 bytes r ‖ s with s at most half the order, or 384
        bytes of RSASSA-PSS.

        Verified under the public half before it is returned.

        Raises:
            Tampered: the private half is not that of the public half, or (MissingKey) gone.
            BackendError: the token does not answer.
        """
        digest = tagged_hash(tag, message)
        self._private, signature = used(
            self._token, self._private, lambda key: self._signature(key, digest)
        )
        try:
            self.key.verify(tag, message, signature)
        except InvalidSignature as error:
            raise Tampered(
                f"{self._token.where}: the halves of the identity key do not belong together"
            ) from error
        return signature

    def require_attributes(self) -> None:
        """Refuse to begin with a key that is not as it was made.

        Raises:
            Refused, StaleHandle, BackendError: as `keys.require_attributes`, for either half.
        """
        for half in (self._private, self._public):
            require_attributes(self._token, half)

    def _signature(self, key: Key, digest: bytes) -> bytes:
        if self.key.algorithm is Algorithm.P256:
            return with_low_s(sign_digest(self._token, key, digest))
        return sign_pss(self._token, key, digest)


def identities(token: Token) -> dict[str, Identity]:
    """Every identity key that the token has, by its name.

    Raises:
        MissingKey, BadConfig, BackendError, BadEncoding: as `find_identity_key` and `Identity`.
    """
    pairs = {name: find_identity_key(token, name) for name in IDENTITIES}
    return {name: Identity(token, pair) for name, pair in pairs.items() if pair is not None}


class OwnIdentity:
    """The identity key that a holder signs with; and the one before, until it is destroyed
    (step 6.7.9): what that one has signed counts so long.

    Safe to use from threads.
    """

    def __init__(self, current: Identity, before: Identity | None = None) -> None:
        self._now: tuple[Identity, Identity | None] = current, before

    @property
    def key(self) -> VerifyingKey:
        """Of what is signed from now on."""
        return self._now[0].key

    @property
    def before(self) -> VerifyingKey | None:
        """The key whose place that one has taken, as long as the token has it."""
        before = self._now[1]
        return None if before is None else before.key

    def has(self, key: VerifyingKey) -> bool:
        """Whether it is the one or the other."""
        return key in (self.key, self.before)

    def sign(self, tag: Tag, message: bytes) -> bytes:
        """As `Identity.sign`."""
        return self._now[0].sign(tag, message)

    def verify(self, tag: Tag, message: bytes, signature: bytes) -> None:
        """That this holder has signed it.

        Raises:
            InvalidSignature: by neither key.
        """
        current, before = self._now
        try:
            current.key.verify(tag, message, signature)
        except InvalidSignature:
            if before is None:
                raise
            before.key.verify(tag, message, signature)

    def require_attributes(self) -> None:
        """As `Identity.require_attributes`."""
        self._now[0].require_attributes()

    def become(self, following: Identity) -> None:
        """Another key signs from now on."""
        self._now = following, self._now[0]

    def forget_before(self) -> None:
        """The key before is destroyed, and what it has signed counts no more."""
        self._now = self._now[0], None


def _verifying_key(token: Token, pair: KeyPair) -> VerifyingKey:
    if key_type_of(token, pair.public) == KeyType.RSA:
        encoded = public_numbers(token, pair.public).encoded(PublicFormat.PKCS1)
        return VerifyingKey(Algorithm.RSA3072, encoded)
    return VerifyingKey(Algorithm.P256, _point(token, pair))


def _point(token: Token, pair: KeyPair) -> bytes:
    """65 bytes; a module gives them bare or as a DER OCTET STRING."""
    with token.session() as session:
        point = objects.read_attribute(token, session, pair.public.handle, Attribute.EC_POINT)
    if point is None:
        raise Lacking(f"{token.where}: the identity key's point is not told")
    return point.removeprefix(_OCTET_STRING) if len(point) > _POINT_BYTES else point
