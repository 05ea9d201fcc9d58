from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BadInput
from hsm_mpc.wrapping.recipients import (
    KeyRecipient,
    Mechanism,
    OaepHash,
    RecipientFields,
    RsaRecipient,
)

FIELDS = RecipientFields(Mechanism.AES_GCM, "pkcs11:id=%01", "", bytes(12))


@pytest.mark.parametrize(
    ("field", "fitting", "unfitting"),
    [
        ("key_uri", ["u", "u" * 1024], ["", "u" * 1025]),
        ("key_version", ["", "v" * 256], ["v" * 257]),
        ("iv", [b"", bytes(16)], [bytes(17)]),
    ],
)
def test_fields_at_their_limits_are_taken_and_beyond_refused(
    field: str, fitting: list[Any], unfitting: list[Any]
) -> None:
    for value in fitting:
        assert getattr(changed(field, value), field) == value
    for value in unfitting:
        with pytest.raises(BadInput, match=field.replace("_", " ")):
            changed(field, value)


def changed(field: str, value: Any) -> RecipientFields:
    changes: dict[str, Any] = {field: value}
    return replace(FIELDS, **changes)


@pytest.mark.parametrize("field", ["key_uri", "key_version"])
@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\nb", "a\u202eb"])
def test_a_name_cannot_steer_the_terminal_it_is_shown_on(field: str, text: str) -> None:
    with pytest.raises(BadInput, match="control characters"):
        changed(field, text)


@pytest.mark.parametrize("length", [0, 4097])
def test_a_wrapped_key_beyond_its_range_is_refused(length: int) -> None:
    with pytest.raises(BadInput, match="wrapped key"):
        KeyRecipient(FIELDS, bytes(length))


@pytest.mark.parametrize(
    ("key_id", "wrapped", "rule"),
    [(19, 256, "key id"), (21, 256, "key id"), (20, 255, "RSA"), (20, 1025, "RSA")],
)
def test_an_rsa_recipient_beyond_its_ranges_is_refused(
    key_id: int, wrapped: int, rule: str
) -> None:
    with pytest.raises(BadInput, match=rule):
        RsaRecipient(bytes(key_id), OaepHash.SHA256, bytes(wrapped))


def test_names_tell_keys_apart_and_show_the_version() -> None:
    assert KeyRecipient(FIELDS, b"x").name == "pkcs11:id=%01"
    versioned = replace(FIELDS, key_version="3")
    assert KeyRecipient(versioned, b"x").name == "pkcs11:id=%01 version 3"
    assert RsaRecipient(bytes(20), OaepHash.SHA1, bytes(256)).name.endswith("00" * 20)
