"""What the profile does not have is refused, each for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from asn1crypto import algos, cms, core

from hsm_mpc.sealing import asn1
from hsm_mpc.sealing.cms import encode
from tests.sealing.blobs import changed
from tests.sealing.examples import RSA, SHARE, refuse


def unauthenticated_attributes(body: Any) -> None:
    body["unauth_attrs"] = [{"type": "content_type", "values": ["data"]}]


def unknown_attribute(body: Any) -> None:
    body["auth_attrs"].append({"type": f"{asn1.ARC}.99", "values": [core.Integer(1)]})


def second_context(body: Any) -> None:
    body["auth_attrs"].append(body["auth_attrs"][1].copy())


def second_context_of_another_holder(body: Any) -> None:
    other = asn1.Context.load(body["auth_attrs"][1]["values"][0].dump())
    other["holder"] = 2
    body["auth_attrs"].append({"type": asn1.ID_CONTEXT, "values": [other]})


def two_values_in_one_attribute(body: Any) -> None:
    body["auth_attrs"][0]["values"].append("signed_data")


def no_context(body: Any) -> None:
    del body["auth_attrs"][1]


def no_content_type(body: Any) -> None:
    del body["auth_attrs"][0]


def no_attributes(body: Any) -> None:
    del body["auth_attrs"]


def other_content_type_in_the_attributes(body: Any) -> None:
    body["auth_attrs"][0]["values"] = ["signed_data"]


def originator_info(body: Any) -> None:
    body["originator_info"] = cms.OriginatorInfo({"certs": []})


def version_one(body: Any) -> None:
    body["version"] = "v1"


def other_content_type(body: Any) -> None:
    body["auth_encrypted_content_info"]["content_type"] = "signed_data"


def other_algorithm(body: Any) -> None:
    body["auth_encrypted_content_info"]["content_encryption_algorithm"]["algorithm"] = "aes128_gcm"


def short_icv(body: Any) -> None:
    parameters = asn1.GcmParameters({"nonce": SHARE.nonce, "icv_length": 12})
    body["auth_encrypted_content_info"]["content_encryption_algorithm"]["parameters"] = parameters


def no_content(body: Any) -> None:
    del body["auth_encrypted_content_info"]["encrypted_content"]


def nine_recipients(body: Any) -> None:
    body["recipient_infos"] = [body["recipient_infos"][0].copy() for _ in range(9)]


def no_recipients(body: Any) -> None:
    body["recipient_infos"] = []


def same_recipient_twice(body: Any) -> None:
    body["recipient_infos"].append(body["recipient_infos"][0].copy())


def recipient_with_a_password(body: Any) -> None:
    recipient = {
        "version": "v0",
        "key_encryption_algorithm": {"algorithm": "aes256_wrap"},
        "encrypted_key": bytes(40),
    }
    body["recipient_infos"] = [cms.RecipientInfo("pwri", cms.PasswordRecipientInfo(recipient))]


def other_recipient_type(body: Any) -> None:
    body["recipient_infos"][0].chosen["ori_type"] = f"{asn1.ARC}.4"


CHANGES: list[tuple[Callable[[Any], None], str]] = [
    (unauthenticated_attributes, "canonical"),
    (unknown_attribute, "canonical"),
    (second_context, "canonical"),
    (second_context_of_another_holder, "canonical"),
    (two_values_in_one_attribute, "canonical"),
    (no_context, "no AuthEnvelopedData"),
    (no_content_type, "canonical"),
    (no_attributes, "no AuthEnvelopedData"),
    (other_content_type_in_the_attributes, "canonical"),
    (originator_info, "canonical"),
    (version_one, "canonical"),
    (other_content_type, "canonical"),
    (other_algorithm, "canonical"),
    (short_icv, "canonical"),
    (no_content, "no AuthEnvelopedData"),
    (nine_recipients, "1 to 8"),
    (no_recipients, "1 to 8"),
    (same_recipient_twice, "different keys"),
    (recipient_with_a_password, "no AuthEnvelopedData"),
    (other_recipient_type, "canonical"),
]


@pytest.mark.parametrize(
    ("change", "reason"), CHANGES, ids=[change.__name__ for change, _ in CHANGES]
)
def test_what_the_profile_does_not_have_is_refused(
    change: Callable[[Any], None], reason: str
) -> None:
    refuse(changed(encode(SHARE), change), reason)


def test_the_changes_above_start_from_what_is_accepted() -> None:
    assert changed(encode(SHARE), lambda _: None) == encode(SHARE)


class RawTime(core.OctetString):  # type: ignore[misc]
    """A GeneralizedTime that asn1crypto does not set right."""

    tag = 24


class ContextWithRawTime(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar = [*asn1.Context._fields[:-1], ("created", RawTime)]


def change_of_context(field: str, value: Any) -> Callable[[Any], None]:
    def change(body: Any) -> None:
        context = ContextWithRawTime.load(body["auth_attrs"][1]["values"][0].dump())
        context[field] = value
        body["auth_attrs"][1]["values"] = [context]

    return change


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("version", 2, "canonical"),
        ("holder", 0, "holder"),
        ("epoch", 1 << 32, "epoch"),
        ("epoch", -1, "epoch"),
        pytest.param("threshold", 10**5000, "threshold", id="threshold-of-5000-digits"),
        ("wallet_id", bytes(15), "wallet_id"),
        ("created", b"20251122130000.5Z", "canonical"),
        ("created", b"20251122130000+0100", "canonical"),
        ("created", b"20251122130000", "canonical"),
        ("created", b"202511221300Z", "canonical"),
        ("created", b"19691231235959Z", "created"),
        ("created", b"00000101000000Z", "sealed blob"),
        ("created", b"20250230000000Z", "no AuthEnvelopedData"),
    ],
)
def test_a_context_beyond_its_ranges_or_in_another_form_is_refused(
    field: str, value: Any, reason: str
) -> None:
    refuse(changed(encode(SHARE), change_of_context(field, value)), reason)


def change_of_ktri(field: str, value: Any) -> Callable[[Any], None]:
    def change(body: Any) -> None:
        body["recipient_infos"][0].chosen[field] = value

    return change


OTHER_MASK = algos.RSAESOAEPParams({"hash_algorithm": {"algorithm": "sha256"}})
WITH_LABEL = algos.RSAESOAEPParams(
    {
        "hash_algorithm": {"algorithm": "sha256"},
        "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}},
        "p_source_algorithm": {"algorithm": "p_specified", "parameters": b"label"},
    }
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "v0"),
        ("key_encryption_algorithm", {"algorithm": "rsaes_oaep", "parameters": OTHER_MASK}),
        ("key_encryption_algorithm", {"algorithm": "rsaes_oaep", "parameters": WITH_LABEL}),
        ("key_encryption_algorithm", {"algorithm": "rsaes_pkcs1v15"}),
    ],
)
def test_an_rsa_recipient_in_another_form_is_refused(field: str, value: Any) -> None:
    blob = replace(SHARE, recipients=(RSA,))
    refuse(changed(encode(blob), change_of_ktri(field, value)), "sealed blob")
