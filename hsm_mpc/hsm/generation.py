"""Keys made inside the token, with every attribute said: what is left out, each module fills in.

Through python-pkcs11, in a session of `administration`; what came out is read back by
`attributes.require`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, KeyType, MechanismFlag

from hsm_mpc.hsm.attributes import AES_BYTES, P256_PARAMETERS, RSA_BITS, RSA_EXPONENT
from hsm_mpc.steps import step

Template = dict[Attribute, bool | bytes]
Fit = Callable[[Template], Template]
"""A template as this module takes it."""

_FIXED: Final[Template] = {Attribute.MODIFIABLE: False}
_NEVER_LEAVES: Final[Template] = {
    **_FIXED,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
}
_NO_COPIES: Final[Template] = {Attribute.COPYABLE: False}


def aes_key(
    session: pkcs11.Session,
    key_id: bytes,
    label: str,
    *,
    stored: bool = True,
    leaves_out: Collection[int] = (),
) -> int:
    """The handle of a new AES-256 key that encrypts and decrypts.

    Args:
        stored: in the token; else a session object, gone with the session.
        leaves_out: attributes that the module does not take (`profiles`).

    Raises:
        pkcs11.PKCS11Error: the token does not make it; `administration` turns it into ours.
    """

    def make(fitted: Fit) -> Any:
        return session.generate_key(
            KeyType.AES,
            8 * AES_BYTES,
            id=key_id,
            label=label,
            store=stored,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template=fitted({**_NEVER_LEAVES, Attribute.DERIVE: False}),
        )

    return int(_made(session, key_id, label, leaves_out, make).handle)


def p256_key_pair(
    session: pkcs11.Session,
    key_id: bytes,
    label: str,
    *,
    stored: bool = True,
    leaves_out: Collection[int] = (),
) -> tuple[int, int]:
    """The handles of a new P-256 pair, private and public half, that signs and verifies.

    Raises:
        pkcs11.PKCS11Error: as `aes_key`.
    """
    curve = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: P256_PARAMETERS}, local=True
    )

    def make(fitted: Fit) -> Any:
        return curve.generate_keypair(
            id=key_id,
            label=label,
            store=stored,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            public_template=fitted({**_FIXED, Attribute.DERIVE: False}),
            private_template=fitted(_NEVER_LEAVES),
        )

    public, private = _made(session, key_id, label, leaves_out, make)
    return int(private.handle), int(public.handle)


def rsa_wrapping_key(
    session: pkcs11.Session,
    key_id: bytes,
    label: str,
    *,
    stored: bool = True,
    leaves_out: Collection[int] = (),
) -> int:
    """The handle of the private half of a new RSA-3072 pair, which decrypts.

    The public half is an object of the session, and unused: the private half tells it (`rsa`). So a
    key is made and destroyed in one call, and a crash leaves no half of it.

    Raises:
        pkcs11.PKCS11Error: as `aes_key`.
    """
    public: Template = {Attribute.TOKEN: False, Attribute.PRIVATE: False}
    capabilities = MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT
    return _rsa_pair(session, key_id, label, capabilities, public, stored, leaves_out)[0]


def rsa_key_pair(
    session: pkcs11.Session,
    key_id: bytes,
    label: str,
    *,
    stored: bool = True,
    leaves_out: Collection[int] = (),
) -> tuple[int, int]:
    """The handles of a new RSA-3072 pair, private and public half, that signs and verifies.

    Raises:
        pkcs11.PKCS11Error: as `aes_key`.
    """
    capabilities = MechanismFlag.SIGN | MechanismFlag.VERIFY
    return _rsa_pair(session, key_id, label, capabilities, _FIXED, stored, leaves_out)


def _rsa_pair(
    session: pkcs11.Session,
    key_id: bytes,
    label: str,
    capabilities: MechanismFlag,
    public_template: Template,
    stored: bool,
    leaves_out: Collection[int],
) -> tuple[int, int]:
    def make(fitted: Fit) -> Any:
        return session.generate_keypair(
            KeyType.RSA,
            RSA_BITS,
            id=key_id,
            label=label,
            store=stored,
            capabilities=capabilities,
            public_template=fitted(
                {
                    Attribute.PUBLIC_EXPONENT: RSA_EXPONENT,
                    Attribute.DERIVE: False,
                    **public_template,
                }
            ),
            private_template=fitted(_NEVER_LEAVES),
        )

    public, private = _made(session, key_id, label, leaves_out, make)
    return int(private.handle), int(public.handle)


def _made(
    session: pkcs11.Session,
    key_id: bytes,
    label: str,
    leaves_out: Collection[int],
    make: Callable[[Fit], Any],
) -> Any:
    """What `make` makes, without COPYABLE where the module is older than that attribute.

    p11-kit's client then answers as any module may that is at fault: so it is asked twice, and not
    again once it has made something.
    """

    def fit(more: Template) -> Fit:
        return lambda template: {
            kind: value for kind, value in {**template, **more}.items() if kind not in leaves_out
        }

    with step("key.generate"):
        for _ in range(2):
            try:
                return make(fit(_NO_COPIES))
            except pkcs11.AttributeTypeInvalid:
                break
            except pkcs11.GeneralError:
                named = {Attribute.ID: key_id, Attribute.LABEL: label}
                if list(session.get_objects(named)):
                    raise
        return make(fit({}))
