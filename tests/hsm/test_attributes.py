from __future__ import annotations

import pytest

from hsm_mpc.errors import Refused
from hsm_mpc.hsm import attributes, objects
from hsm_mpc.hsm.cryptoki import Attribute, KeyType, ObjectClass
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import Algorithm
from tests.hsm.lying import Answer, lie

STATES = {Attribute.TOKEN, Attribute.PRIVATE, Attribute.SENSITIVE}
NEVER = {
    Attribute.EXTRACTABLE,
    Attribute.MODIFIABLE,
    Attribute.COPYABLE,
    Attribute.WRAP,
    Attribute.UNWRAP,
    Attribute.SIGN,
    Attribute.VERIFY,
    Attribute.DERIVE,
}
BORN = {Attribute.LOCAL, Attribute.ALWAYS_SENSITIVE, Attribute.NEVER_EXTRACTABLE}


def true_of(required: attributes.Requirements) -> set[Attribute]:
    return {kind for kind, value in required.items() if value == objects.TRUE}


def false_of(required: attributes.Requirements) -> set[Attribute]:
    return {kind for kind, value in required.items() if value == objects.FALSE}


@pytest.mark.parametrize("algorithm", [Algorithm.P256, Algorithm.RSA3072])
def test_the_requirements_are_those_of_step_6_2_3(algorithm: Algorithm) -> None:
    identity = attributes.IDENTITY[algorithm]
    wrapping, private = attributes.WRAPPING_KEY, identity[ObjectClass.PRIVATE_KEY]
    assert true_of(wrapping) == STATES | BORN | {Attribute.ENCRYPT, Attribute.DECRYPT}
    assert false_of(wrapping) == NEVER
    assert true_of(private) == STATES | BORN | {Attribute.SIGN}
    # A private key has no attributes ENCRYPT, WRAP and VERIFY: its public half has.
    assert false_of(private) == {
        *(NEVER - {Attribute.SIGN, Attribute.WRAP, Attribute.VERIFY}),
        Attribute.DECRYPT,
    }
    assert true_of(identity[ObjectClass.PUBLIC_KEY]) == {Attribute.TOKEN, Attribute.VERIFY}


def test_the_private_half_of_a_wrapping_pair_decrypts_and_does_nothing_else() -> None:
    required = attributes.RSA_WRAPPING_KEY
    assert true_of(required) == STATES | BORN | {Attribute.DECRYPT}
    assert false_of(required) == NEVER - {Attribute.WRAP, Attribute.VERIFY}
    assert required[Attribute.KEY_TYPE] == objects.number(KeyType.RSA)


def test_a_key_as_required_has_no_differences(token: Token, key: Key) -> None:
    assert attributes.differences(token, key.handle, attributes.WRAPPING_KEY) == ()
    attributes.require(token, key.handle, attributes.WRAPPING_KEY, "key")


@pytest.mark.parametrize("kind", list(attributes.WRAPPING_KEY))
def test_every_attribute_that_differs_is_a_refusal_that_names_it(
    token: Token, key: Key, answer: Answer, kind: Attribute
) -> None:
    honest = attributes.WRAPPING_KEY[kind]
    lie(answer, token, kind, bytes((honest[0] ^ 1, *honest[1:])))
    with pytest.raises(Refused, match=f"the key: CKA_{kind.name} is ") as caught:
        attributes.require(token, key.handle, attributes.WRAPPING_KEY, "the key")
    assert caught.value.rule == "key-attributes"


def test_an_attribute_that_is_not_told_is_a_refusal(token: Token, key: Key, answer: Answer) -> None:
    lie(answer, token, Attribute.EXTRACTABLE, None)
    with pytest.raises(Refused, match="CKA_EXTRACTABLE is not told"):
        attributes.require(token, key.handle, attributes.WRAPPING_KEY, "the key")


def test_a_module_older_than_copyable_need_not_tell_it(
    token: Token, key: Key, answer: Answer
) -> None:
    lie(answer, token, Attribute.COPYABLE, None)
    attributes.require(token, key.handle, attributes.WRAPPING_KEY, "the key")


def test_a_key_that_does_not_count_as_made_here_passes_where_that_is_accepted(
    token: Token, key: Key, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie(answer, token, Attribute.LOCAL, objects.FALSE)
    found = attributes.differences(token, key.handle, attributes.WRAPPING_KEY)
    assert found == ("CKA_LOCAL is false",)
    monkeypatch.setattr(token, "accepted_findings", frozenset({attributes.KEY_NOT_LOCAL}))
    assert attributes.differences(token, key.handle, attributes.WRAPPING_KEY) == ()
    lie(answer, token, Attribute.EXTRACTABLE, objects.TRUE)
    found = attributes.differences(token, key.handle, attributes.WRAPPING_KEY)
    assert found == ("CKA_EXTRACTABLE is true",)


def test_a_strange_value_is_shown_in_hex(token: Token, key: Key, answer: Answer) -> None:
    lie(answer, token, Attribute.SENSITIVE, b"\x02\x03")
    found = attributes.differences(token, key.handle, attributes.WRAPPING_KEY)
    assert found == ("CKA_SENSITIVE is 0203",)
