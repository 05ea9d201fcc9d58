from __future__ import annotations

from typing import Any

import pkcs11
import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import keys, objects
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.cryptoki import Attribute, ObjectClass
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.listing import listing
from hsm_mpc.hsm.token import Token
from tests.hsm.lying import Answer, lie


def import_key(token: Token, **attributes: Any) -> None:
    """Somebody else's AES key, as weak as it can be."""
    with administration(token) as session:
        session.create_object(
            {
                pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES,
                pkcs11.Attribute.VALUE: bytes(32),
                pkcs11.Attribute.TOKEN: True,
                **{pkcs11.Attribute[name]: value for name, value in attributes.items()},
            }
        )


def test_all_keys_are_listed_with_what_they_are(token: Token, key: Key) -> None:
    keys.generate_identity_key(token)
    listed = listing(token)
    assert [(k.object_class, k.key_type, k.label, k.key_id) for k in listed] == [
        (ObjectClass.SECRET_KEY, "AES", keys.CANARY, keys.CANARY.encode()),
        (ObjectClass.SECRET_KEY, "AES", key.label, key.key_id),
        (ObjectClass.PRIVATE_KEY, "EC", keys.IDENTITY, keys.IDENTITY.encode()),
        (ObjectClass.PUBLIC_KEY, "EC", keys.IDENTITY, keys.IDENTITY.encode()),
    ]
    assert all(k.is_ours and k.differences == () for k in listed)


def test_a_key_that_was_brought_in_under_our_name_is_told_by_its_attributes(
    token: Token,
) -> None:
    import_key(token, LABEL=keys.wrapping_label(bytes(16)), ID=bytes(20), EXTRACTABLE=True)
    planted = next(k for k in listing(token) if k.key_id == bytes(20))
    assert "CKA_LOCAL is false" in planted.differences
    assert "CKA_EXTRACTABLE is true" in planted.differences


def test_a_foreign_key_is_listed_and_not_judged(token: Token) -> None:
    import_key(token, LABEL="somebody's", ID=b"7")
    foreign = next(k for k in listing(token) if k.label == "somebody's")
    assert (foreign.key_id, foreign.is_ours, foreign.differences) == (b"7", False, ())


@pytest.mark.parametrize("kind", [Attribute.ID, Attribute.LABEL])
def test_a_key_without_name_is_listed(token: Token, answer: Answer, kind: Attribute) -> None:
    lie(answer, token, kind, None)
    listed = listing(token)[0]
    assert {Attribute.ID: listed.key_id, Attribute.LABEL: listed.label}[kind] in (b"", "")


def test_a_label_that_is_no_text_is_listed(token: Token, answer: Answer) -> None:
    lie(answer, token, Attribute.LABEL, b"\xff\xfe")
    assert listing(token)[0].label == "\ufffd\ufffd"


@pytest.mark.parametrize(
    ("told", "shown"), [(objects.number(0x80000001), "0x80000001"), (None, "")]
)
def test_a_key_of_an_unknown_type_is_listed(
    token: Token, answer: Answer, told: bytes | None, shown: str
) -> None:
    lie(answer, token, Attribute.KEY_TYPE, told)
    assert listing(token)[0].key_type == shown


def test_a_token_that_does_not_answer_has_no_listing(token: Token, answer: Answer) -> None:
    answer("C_GetAttributeValue", 0x30)
    with pytest.raises(BackendError, match="CKR_DEVICE_ERROR"):
        listing(token)
