"""The same facts on four modules; what one cannot do, or does wrongly, stands in the tables."""

from __future__ import annotations

import gzip
from typing import Any, Final

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.xdist_group("modules")  # so that one worker finds them, once

ALL: Final = ("softhsm", "nss", "p11kit", "opencryptoki")

MANUFACTURER: Final = {
    "softhsm": "SoftHSM project",
    "nss": "Mozilla Foundation",
    "p11kit": "SoftHSM project",
    "opencryptoki": "IBM",
}
MEASURED: Final = {
    "softhsm": None,
    "nss": ("libnss3", "2:3.87"),
    "p11kit": ("p11-kit-modules", "0.24"),
    "opencryptoki": ("libopencryptoki0", "3.8.1"),
}
"""The package and version that the tables tell of; another system's may do better, never worse."""

USES: Final = {
    "softhsm": ("aes-gcm", "P256"),
    "nss": ("aes-gcm", "P256"),
    "p11kit": ("rsa-oaep-sha1", "P256"),
    "opencryptoki": ("rsa-oaep-sha256", "RSA3072"),
}
"""What wraps, and what signs."""
LACKS: Final[dict[str, list[str]]] = {
    "softhsm": [],
    "nss": [],
    "p11kit": ["AES-256-GCM in the token", "RSA-3072 OAEP with SHA-256 in the token"],
    "opencryptoki": ["AES-256-GCM in the token", "ECDSA P-256 in the token"],
}
"""What would be used first, had the token it."""

KEEPS_REGISTERS: Final = {
    "softhsm": "as data objects",
    "nss": "as labels of secret keys",
    "p11kit": "as data objects",
    "opencryptoki": "as data objects",
}
GIVES_AWAY: Final[dict[str, list[str]]] = {
    "softhsm": [],
    "nss": ["key-not-local", "non-extractable-is-wrapped"],
    "p11kit": [],
    "opencryptoki": [],
}
AFTER_A_WRONG_PIN: Final = {
    "softhsm": "FEW_TRIES_LEFT",
    "nss": "READY",  # it counts nothing
    "p11kit": "FEW_TRIES_LEFT",
    "opencryptoki": "FEW_TRIES_LEFT",
}


def is_measured(name: str) -> bool:
    """Whether what was unpacked is the version of the tables."""
    if (measured := MEASURED[name]) is None:
        return True
    package, version = measured
    documents = ROOT / ".local" / name / "unpacked" / "usr" / "share" / "doc" / package
    with gzip.open(documents / "changelog.Debian.gz", "rt", encoding="utf-8") as changes:
        return f"({version}" in changes.readline()


on_each = pytest.mark.parametrize("name", ALL)


@on_each
def test_a_new_token_is_made_by_token_init_and_found_again(
    facts: dict[str, Any], name: str
) -> None:
    assert facts["created"]["label"] == "facts"
    assert facts["created_again"]["failed"].startswith("NameTaken")
    assert facts["found"]["manufacturer"].startswith(MANUFACTURER[name])
    assert facts["found"]["pin"] == "READY"
    assert "with serial another" in facts["another_serial"]["failed"]


@on_each
def test_python_pkcs11_gets_the_module_as_we_initialised_it(
    facts: dict[str, Any], name: str
) -> None:
    """Were it another one, it would not be initialised, and say nothing."""
    assert facts["shared"]


@on_each
def test_a_wrong_pin_reaches_the_token_once(facts: dict[str, Any], name: str) -> None:
    wrong = facts["wrong_pin"]
    assert wrong["refused"]["failed"].startswith("PinRefused")
    assert "CKR_PIN_INCORRECT" in wrong["refused"]["failed"]
    assert (wrong["tries"], wrong["pin"]) == (1, AFTER_A_WRONG_PIN[name])
    assert facts["logged_in"] == "READY"


@on_each
def test_the_token_draws_at_random(facts: dict[str, Any], name: str) -> None:
    assert facts["random"] == 4


@on_each
def test_the_self_test_finds_what_wraps_and_what_signs(facts: dict[str, Any], name: str) -> None:
    uses = facts["uses"]
    lacks = [reason.partition(":")[0] for reason in uses["instead_of"]]
    assert set(lacks) <= set(LACKS[name])
    if is_measured(name):
        assert (uses["wrapping"], uses["identity"]) == USES[name]
        assert lacks == LACKS[name]


@on_each
def test_a_wrapping_key_is_made_found_and_destroyed(facts: dict[str, Any], name: str) -> None:
    """With all attributes of step 6.2.3; what a module gets wrong is accepted by name."""
    assert facts["wrapping_key"] == [False, True, False]


@on_each
def test_a_share_is_sealed_and_opened(facts: dict[str, Any], name: str) -> None:
    assert facts["share"] is True


@on_each
def test_a_register_is_kept_in_the_form_that_the_token_takes(
    facts: dict[str, Any], name: str
) -> None:
    assert facts["register_form"] in ("as data objects", KEEPS_REGISTERS[name])
    assert not is_measured(name) or facts["register_form"] == KEEPS_REGISTERS[name]
    assert facts["register"] == [True, True, True, True]


@on_each
def test_what_the_token_gives_away_is_found_by_trying(facts: dict[str, Any], name: str) -> None:
    gives_away = facts["gives_away"]
    assert set(gives_away) <= set(GIVES_AWAY[name])
    assert not is_measured(name) or gives_away == GIVES_AWAY[name]
    if not gives_away:
        assert facts["accepted_by_nobody"] is None
        return
    refusal = facts["accepted_by_nobody"]["failed"]
    assert refusal.startswith("Refused")
    assert f"hsm.accept_findings: [{', '.join(gives_away)}]" in refusal


@on_each
def test_nothing_is_left_in_the_token(facts: dict[str, Any], name: str) -> None:
    assert facts["left_behind"] == 0


@on_each
def test_holder_init_takes_each_token(facts: dict[str, Any], name: str) -> None:
    assert facts["init"] == facts["uses"]["identity"]
    assert facts["keys"] == ["hsm-mpc/canary", "hsm-mpc/identity", "hsm-mpc/identity"]


@on_each
def test_holder_init_refuses_a_token_that_gives_keys_away_unless_that_is_accepted(
    facts: dict[str, Any], name: str
) -> None:
    strict = facts["init_accepting_nothing"]
    if facts["gives_away"]:
        assert strict["failed"].startswith("Refused")
        assert all(finding in strict["failed"] for finding in facts["gives_away"])
    else:
        assert strict == facts["init"]
