from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pkcs11
import pytest

from hsm_mpc.hsm import generation, objects
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.hsm.token import Token


class Recorder:
    """A session of python-pkcs11 that makes nothing, of a module that knows no `unknown`."""

    def __init__(self, unknown: pkcs11.Attribute | None = None) -> None:
        self.unknown = unknown
        self.templates: list[dict[pkcs11.Attribute, bool]] = []

    def _answer(self, template: dict[pkcs11.Attribute, bool]) -> None:
        self.templates.append(template)
        if self.unknown in template:
            raise pkcs11.AttributeTypeInvalid

    def generate_key(self, *_: Any, template: Any, **__: Any) -> Any:
        self._answer(template)
        return SimpleNamespace(handle=1)

    def create_domain_parameters(self, *_: Any, **__: Any) -> Recorder:
        return self

    def generate_keypair(self, public_template: Any, private_template: Any, **_: Any) -> Any:
        self._answer(public_template)
        self._answer(private_template)
        return SimpleNamespace(handle=1), SimpleNamespace(handle=2)


def test_a_module_older_than_copyable_makes_keys_without_it() -> None:
    session: Any = Recorder(unknown=pkcs11.Attribute.COPYABLE)
    assert generation.aes_key(session, b"id", "label") == 1
    first, second = session.templates
    assert first.keys() - second.keys() == {pkcs11.Attribute.COPYABLE}


def test_the_private_half_comes_first() -> None:
    session: Any = Recorder(unknown=pkcs11.Attribute.COPYABLE)
    assert generation.p256_key_pair(session, b"id", "label") == (2, 1)


def test_any_other_attribute_that_the_module_does_not_know_is_an_error() -> None:
    session: Any = Recorder(unknown=pkcs11.Attribute.EXTRACTABLE)
    with pytest.raises(pkcs11.AttributeTypeInvalid):
        generation.aes_key(session, b"id", "label")


def test_session_keys_end_with_their_session(token: Token) -> None:
    with administration(token) as session:
        handle = generation.aes_key(session, b"short-lived", "label", stored=False)
        assert objects.matching(token, {Attribute.ID: b"short-lived"}) == (handle,)
    assert objects.matching(token, {Attribute.ID: b"short-lived"}) == ()
