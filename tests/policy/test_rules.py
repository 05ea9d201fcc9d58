"""Policy version 1 (step 1.6.8)."""

from __future__ import annotations

import pytest

from hsm_mpc.errors import BadConfig, Refused
from hsm_mpc.policy.rules import Administrators, Permission, Policy
from tests.software_identity import ed25519_key, p256_key

ED, P256 = ed25519_key(b"a" * 32).public, p256_key(7).public
ADMIN = {"alg": 2, "key": ED.encoded.hex()}
OTHER = {"alg": 1, "key": P256.encoded.hex()}


def test_a_policy_allows_exactly_what_it_lists() -> None:
    policy = Policy.from_document({"version": 1, "permissions": ["raw", "psbt"]})
    assert policy.administrators is None
    for permission in Permission:
        if permission in (Permission.RAW, Permission.PSBT):
            policy.require(permission)
        else:
            with pytest.raises(Refused, match=permission.value) as refused:
                policy.require(permission)
            assert refused.value.rule == "permission"


def test_every_permission_of_the_specification_is_known() -> None:
    names = ["raw", "message", "message-prefixed", "psbt", "ethereum-tx", "typed-data", "solana-tx"]
    policy = Policy.from_document({"version": 1, "permissions": names})
    assert {permission.value for permission in policy.permissions} == set(names)


@pytest.mark.parametrize("document", [None, {"version": 1}, {"version": 1, "permissions": []}])
def test_an_empty_policy_allows_nothing(document: object) -> None:
    policy = Policy.from_document(document)
    for permission in Permission:
        with pytest.raises(Refused):
            policy.require(permission)


def test_administrators_are_read() -> None:
    listed = {"threshold": 2, "keys": [ADMIN, OTHER]}
    policy = Policy.from_document({"version": 1, "administrators": listed})
    assert policy.administrators == Administrators(2, (ED, P256))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "mapping"),
        ("version: 1", "mapping"),
        ({}, "version None"),
        ({"version": 2}, "version 2"),
        ({"version": "1"}, "version '1'"),
        ({"version": True}, "version True"),
        ({"version": 1.0}, "version 1.0"),
        ({"version": 1, "permission": []}, "unknown key permission"),
        ({"version": 1, 2: []}, "unknown key 2"),
        ({"version": 1, "permissions": "raw"}, "a list"),
        ({"version": 1, "permissions": None}, "a list"),
        ({"version": 1, "permissions": ["RAW"]}, "unknown permission 'RAW'"),
        ({"version": 1, "permissions": [1]}, "unknown permission 1"),
        ({"version": 1, "permissions": [["raw"]]}, "unknown permission"),
    ],
)
def test_anything_else_is_refused(document: object, reason: str) -> None:
    with pytest.raises(BadConfig, match=reason):
        Policy.from_document(document)


@pytest.mark.parametrize(
    ("administrators", "reason"),
    [
        (None, "a mapping"),
        ([], "a mapping"),
        ({}, "a threshold"),
        ({"threshold": 1}, "a list of keys"),
        ({"threshold": True, "keys": [ADMIN]}, "a threshold"),
        ({"threshold": 1, "keys": ADMIN}, "a list of keys"),
        ({"threshold": 1, "keys": [ADMIN], "more": 1}, "unknown key more"),
        ({"threshold": 0, "keys": [ADMIN]}, "0 of 1"),
        ({"threshold": 2, "keys": [ADMIN]}, "2 of 1"),
        ({"threshold": 1, "keys": []}, "1 of 0"),
        ({"threshold": 1, "keys": [ADMIN, ADMIN]}, "twice"),
        ({"threshold": 1, "keys": ["key"]}, "a mapping"),
        ({"threshold": 1, "keys": [{**ADMIN, "name": "x"}]}, "unknown key name"),
        ({"threshold": 1, "keys": [{"alg": 2}]}, "key, in hex"),
        ({"threshold": 1, "keys": [{**ADMIN, "alg": "2"}]}, "alg, a number"),
        ({"threshold": 1, "keys": [{**ADMIN, "alg": 4}]}, "4 is not a valid"),
        ({"threshold": 1, "keys": [{**ADMIN, "key": "xy"}]}, "the key of an administrator"),
        ({"threshold": 1, "keys": [{**ADMIN, "key": "00"}]}, "32 bytes"),
        ({"threshold": 1, "keys": [{**ADMIN, "key": ADMIN["key"].upper()}]}, "lower-case"),  # type: ignore[attr-defined]
    ],
)
def test_impossible_administrators_are_refused(administrators: object, reason: str) -> None:
    with pytest.raises(BadConfig, match=reason):
        Policy.from_document({"version": 1, "administrators": administrators})
