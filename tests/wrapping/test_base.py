from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.wrapping.recipients import (
    KeyRecipient,
    Mechanism,
    OaepHash,
    RecipientFields,
    RsaRecipient,
)
from tests.wrapping.software import SoftwareKey

KEY = SoftwareKey("name")
FIELDS = RecipientFields(Mechanism.AES_GCM, "software:name", "", bytes(12))


def test_a_key_opens_what_names_its_mechanism_uri_and_version() -> None:
    assert KEY.opens(KeyRecipient(FIELDS, b"wrapped"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("mechanism", Mechanism.KMS), ("key_uri", "software:other"), ("key_version", "1")],
)
def test_a_key_opens_nothing_that_differs_in_one_of_them(field: str, value: Any) -> None:
    changes: dict[str, Any] = {field: value}
    assert not KEY.opens(KeyRecipient(replace(FIELDS, **changes), b"wrapped"))


def test_a_key_named_by_a_uri_opens_no_rsa_recipient() -> None:
    assert not KEY.opens(RsaRecipient(bytes(20), OaepHash.SHA256, bytes(256)))
