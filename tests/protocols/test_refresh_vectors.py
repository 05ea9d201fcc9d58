"""A refresh, byte for byte as a reference makes it from the specification alone (section 8.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hsm_mpc.protocols import refresh
from hsm_mpc.protocols.refresh_complaint import accuse, judge
from hsm_mpc.protocols.refresh_messages import RefreshSetup, ZeroDealing
from hsm_mpc.protocols.rounds import abort, advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, Take, publish
from tests.protocols.keygen import decoded, scripted
from tests.protocols.refresh_vectors import CASES, FILE, made
from tests.secure.bytes_of import filled


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-of-{case[1]}")
def vector(request: pytest.FixtureRequest, any_suite: Suite) -> dict[str, Any]:
    name = "ed25519" if b"Ed25519" in any_suite.suite_id else "secp256k1"
    t, n, _ = request.param
    cases = json.loads(FILE.read_text("ascii"))
    (found,) = [case for case in cases if (case["suite"], case["t"], case["n"]) == (name, t, n)]
    chosen: dict[str, Any] = found
    return chosen


def parsed(encoded: list[str]) -> list[bytes]:
    return [bytes.fromhex(each) for each in encoded]


def setup_of(suite: Suite, vector: dict[str, Any]) -> RefreshSetup:
    secrets = [decoded(suite, each) for each in parsed(vector["delivery_secrets"])]
    keys = [suite.group.base_multiple(v) or b"" for v in secrets]
    session = bytes.fromhex(vector["session"])
    return RefreshSetup.of(suite, session, vector["dealers"], keys, parsed(vector["commitments"]))


def secret(take: Take, vector: dict[str, Any], name: str, index: int) -> Secret:
    return filled(take(32), bytes.fromhex(vector[name][index - 1]))


def test_the_file_is_what_its_reference_makes() -> None:
    assert made() == FILE.read_text("ascii")


def test_every_dealing_and_every_renewed_share(
    any_suite: Suite, take: Take, vector: dict[str, Any]
) -> None:
    """Steps 6.4.1 to 6.4.5, and 6.4.7 at whoever did not deal."""
    setup, keeps, messages = setup_of(any_suite, vector), {}, {}
    for dealer, drawn in zip(vector["dealers"], vector["dealings"], strict=True):
        scalars = parsed([*drawn["coefficients"], drawn["ephemeral_secret"]])
        draws = scripted(any_suite, *(decoded(any_suite, each) for each in scalars))
        delivery = secret(take, vector, "delivery_secrets", dealer)
        keeps[dealer], outbox = refresh.deal(setup, dealer, delivery, draws)
        assert outbox.to_all.hex() == drawn["dealing"]
        messages[dealer] = outbox.to_all
    for index in range(1, vector["n"] + 1):
        own = [secret(take, vector, name, index) for name in ("delivery_secrets", "shares")]
        if index in keeps:
            renewed = advance(refresh.combine, keeps[index], own[0], own[1], messages)
        else:
            renewed = refresh.catch_up(setup, index, own[0], own[1], messages)
        assert list(renewed.commitments) == parsed(vector["renewed_commitments"])
        assert publish(renewed.share).hex() == vector["renewed_shares"][index - 1]
        abort(renewed)


def test_every_complaint(
    any_suite: Suite, take: Take, protocol_arena: Arena, vector: dict[str, Any]
) -> None:
    """Steps 6.4.8 and 6.7.6."""
    setup, wanted = setup_of(any_suite, vector), vector["complaint"]
    accuser, dealer = wanted["accuser"], vector["dealers"][0]
    dealing = ZeroDealing.from_bytes(bytes.fromhex(wanted["false_dealing"]), setup)
    draws = scripted(any_suite, decoded(any_suite, bytes.fromhex(wanted["nonce"])))
    delivery = secret(take, vector, "delivery_secrets", accuser)
    complaint = accuse(setup, accuser, delivery, dealer, dealing, draws)
    assert complaint.to_bytes().hex() == wanted["complaint"]
    assert judge(setup, accuser, complaint, dealing, protocol_arena) == dealer
