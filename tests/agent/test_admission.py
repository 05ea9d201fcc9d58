"""What a holder takes no part in (steps 1.6.7, 2.6.1)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.admission import admit
from hsm_mpc.agent.consents import Consents
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.errors import Refused
from hsm_mpc.policy.rules import LARGEST_FILE
from hsm_mpc.roster import Member
from tests.agent.simulate import LAB_POLICY, World
from tests.software_identity import ed25519_key, p256_key


@pytest.fixture
def holder(world: World) -> ActingHolder:
    return world.parties[1].acting


@pytest.fixture
def proposal(world: World) -> Proposal:
    return world.proposal("treasury", 2)


def refused(holder: ActingHolder, proposal: Proposal, policy: bytes = LAB_POLICY) -> str:
    with pytest.raises(Refused) as caught:
        admit(holder, Consents(holder), proposal, policy)
    return caught.value.rule


def test_a_proposal_of_the_lab_is_admitted(holder: ActingHolder, proposal: Proposal) -> None:
    admit(holder, Consents(holder), proposal, LAB_POLICY)


def test_another_roster_is_refused(holder: ActingHolder, proposal: Proposal) -> None:
    members = list(proposal.roster.members)
    for other in (
        (members[1], members[0], members[2]),  # swapped_roster_order
        (*members[:2], Member("h3", p256_key(3).public)),  # foreign_identity_key
        (*members[:2], Member("h4", members[2].key)),
    ):
        roster = replace(proposal.roster, members=tuple(other))
        assert refused(holder, replace(proposal, roster=roster)) == "roster-not-pinned"


def test_a_holder_that_is_not_in_the_roster_takes_no_part(
    world: World, holder: ActingHolder, proposal: Proposal
) -> None:
    stranger = replace(holder.roster.members[0], key=p256_key(3).public)
    roster = replace(holder.roster, members=(stranger, *holder.roster.members[1:]))
    outside = replace(holder, roster=roster)
    assert refused(outside, replace(proposal, roster=roster)) == "not-a-member"


def test_a_lab_roster_outside_a_lab_is_refused(holder: ActingHolder, proposal: Proposal) -> None:
    assert refused(replace(holder, lab=False), proposal) == "lab-mark"


def test_outside_a_lab_nobody_consents_by_himself(holder: ActingHolder, proposal: Proposal) -> None:
    roster = replace(holder.roster, lab=False)
    outside = replace(holder, roster=roster, lab=False)
    assert refused(outside, replace(proposal, roster=roster)) == "consent"


@pytest.mark.parametrize("policy", [b"", LAB_POLICY + b"\n", b"version: 1\n"])
def test_policy_hash_differs_is_refused(
    holder: ActingHolder, proposal: Proposal, policy: bytes
) -> None:
    assert refused(holder, proposal, policy) == "policy-unknown"


@pytest.mark.parametrize("policy", [b"version: 2\n", b"{", b"\xff", b"[" * 1000])
def test_a_policy_that_cannot_be_read_is_refused(
    holder: ActingHolder, proposal: Proposal, policy: bytes
) -> None:
    named = replace(proposal, policy_hash=hashlib.sha256(policy).digest())
    assert refused(holder, named, policy) == "policy-unknown"


def test_a_policy_file_has_a_largest_size(holder: ActingHolder, proposal: Proposal) -> None:
    for size, fits in ((LARGEST_FILE, True), (LARGEST_FILE + 1, False)):
        policy = LAB_POLICY + b"#" * (size - len(LAB_POLICY))
        named = replace(proposal, policy_hash=hashlib.sha256(policy).digest())
        if fits:
            admit(holder, Consents(holder), named, policy)
        else:
            assert refused(holder, named, policy) == "policy-unknown"


def test_a_proposal_whose_deadline_has_passed_is_refused(
    world: World, holder: ActingHolder, proposal: Proposal
) -> None:
    admit(holder, Consents(holder), replace(proposal, deadline=world.clock()), LAB_POLICY)
    late = replace(proposal, deadline=world.clock() - 1)
    assert refused(holder, late) == "deadline"


def test_a_client_that_is_not_configured_is_refused(
    holder: ActingHolder, proposal: Proposal
) -> None:
    """Step 2.6.1: one among several is enough."""
    stranger = replace(proposal.clients.clients[0], name="you", key=ed25519_key(b"x" * 32).public)
    clients = replace(proposal.clients, clients=(*proposal.clients.clients, stranger))
    assert refused(holder, replace(proposal, clients=clients)) == "unknown-client"
