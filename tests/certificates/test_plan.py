"""PLAN and consent: their bytes, and what a consent signs (step 1.6.7)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from hsm_mpc.certificates.plan import Consent, Plan, PlanKind, consent_message
from hsm_mpc.errors import BadEncoding, InvalidSignature
from hsm_mpc.tags import Tag
from tests.software_identity import p256_key

PLAN = Plan(PlanKind.PROPOSAL, b"proposal")
EXPIRY = 0x0102030405060708


def signed() -> Consent:
    signature = p256_key(1).sign(Tag.CONSENT, consent_message(PLAN.digest, EXPIRY))
    return Consent(PLAN.digest, EXPIRY, signature)


def test_a_plan_is_its_kind_and_its_bytes() -> None:
    assert PLAN.to_bytes() == b"\1proposal"
    assert PLAN.digest == hashlib.sha256(b"\1proposal").digest()
    assert Plan.from_bytes(PLAN.to_bytes()) == PLAN


@pytest.mark.parametrize("source", [b"", b"\0plan", b"\5plan", b"\6plan", b"\xffplan"])
def test_no_other_kind_is_known(source: bytes) -> None:
    with pytest.raises(BadEncoding):
        Plan.from_bytes(source)


def test_a_consent_names_plan_and_expiry_and_is_signed() -> None:
    consent = signed()
    consent.verify(p256_key(1).public.verify)
    assert consent.to_bytes()[:40] == PLAN.digest + EXPIRY.to_bytes(8, "big")
    assert Consent.from_bytes(consent.to_bytes()) == consent


def test_a_consent_of_another_holder_or_to_another_thing_does_not_verify() -> None:
    consent = signed()
    with pytest.raises(InvalidSignature):
        consent.verify(p256_key(2).public.verify)
    for changed in (
        Consent(b"o" * 32, EXPIRY, consent.signature),
        Consent(PLAN.digest, EXPIRY + 1, consent.signature),
    ):
        with pytest.raises(InvalidSignature):
            changed.verify(p256_key(1).public.verify)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:10]])
def test_a_consent_of_another_length_does_not_parse(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadEncoding):
        Consent.from_bytes(change(signed().to_bytes()))
