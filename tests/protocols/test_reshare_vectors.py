"""A resharing, byte for byte as a reference makes it from the specification alone (section 8.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hsm_mpc.protocols import reshare
from hsm_mpc.protocols.reshare_complaint import accuse, judge
from hsm_mpc.protocols.reshare_messages import ReshareSetup, ShareDealing
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, Take, publish
from tests.protocols.keygen import decoded, scripted
from tests.protocols.reshare_vectors import CASES, FILE, made
from tests.protocols.test_refresh_vectors import parsed, secret


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-of-{case[1]}")
def vector(request: pytest.FixtureRequest, any_suite: Suite) -> dict[str, Any]:
    name = "ed25519" if b"Ed25519" in any_suite.suite_id else "secp256k1"
    t, n, *_ = request.param
    cases = json.loads(FILE.read_text("ascii"))
    (found,) = [case for case in cases if (case["suite"], case["t"], case["n"]) == (name, t, n)]
    chosen: dict[str, Any] = found
    return chosen


def setup_of(suite: Suite, vector: dict[str, Any]) -> ReshareSetup:
    old, new = (
        [suite.group.base_multiple(decoded(suite, each)) or b"" for each in parsed(vector[name])]
        for name in ("delivery_secrets", "receiver_secrets")
    )
    session, epoch = bytes.fromhex(vector["session"]), parsed(vector["commitments"])
    dealers, threshold = vector["dealers"], vector["new_t"]
    return ReshareSetup.of(suite, session, dealers, old, epoch, new, threshold)


def test_the_file_of_resharings_is_what_its_reference_makes() -> None:
    assert made() == FILE.read_text("ascii")


def test_every_dealing_and_every_new_share(
    any_suite: Suite, take: Take, vector: dict[str, Any]
) -> None:
    """Steps 6.8.2 and 6.8.3."""
    setup, messages = setup_of(any_suite, vector), {}

    def slot(name: str, index: int) -> Secret:
        return secret(take, vector, name, index)

    for dealer, drawn in zip(vector["dealers"], vector["dealings"], strict=True):
        scalars = parsed([*drawn["coefficients"], drawn["ephemeral_secret"]])
        draws = scripted(any_suite, 999, *(decoded(any_suite, each) for each in scalars))
        own = slot("delivery_secrets", dealer), slot("shares", dealer)
        messages[dealer] = reshare.deal(setup, dealer, *own, draws).to_all
        assert messages[dealer].hex() == drawn["dealing"]
    assert list(reshare.check(setup, messages)) == parsed(vector["new_commitments"])
    for index in range(1, vector["new_n"] + 1):
        renewed = reshare.receive(setup, index, slot("receiver_secrets", index), messages)
        assert list(renewed.commitments) == parsed(vector["new_commitments"])
        assert publish(renewed.share).hex() == vector["new_shares"][index - 1]
        abort(renewed)


def test_every_complaint_of_a_new_holder(
    any_suite: Suite, take: Take, protocol_arena: Arena, vector: dict[str, Any]
) -> None:
    """Steps 6.8.3, 6.4.8 and 6.7.6."""
    setup, wanted = setup_of(any_suite, vector), vector["complaint"]
    accuser, dealer = wanted["accuser"], vector["dealers"][0]
    dealing = ShareDealing.from_bytes(bytes.fromhex(wanted["false_dealing"]), setup)
    draws = scripted(any_suite, decoded(any_suite, bytes.fromhex(wanted["nonce"])))
    delivery = secret(take, vector, "receiver_secrets", accuser)
    complaint = accuse(setup, accuser, delivery, dealer, dealing, draws)
    assert complaint.to_bytes().hex() == wanted["complaint"]
    assert judge(setup, accuser, complaint, dealing, protocol_arena)
