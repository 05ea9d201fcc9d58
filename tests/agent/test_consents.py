"""A holder takes part in nothing that its operator has not read and agreed to (step 1.6.7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.consents import MOST_PLANS, Consents, plan_of
from hsm_mpc.certificates.plan import Consent, Plan, PlanKind
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.errors import Refused, Tampered
from hsm_mpc.store.holder import HolderStore
from tests.agent.making import Making, events, is_empty
from tests.agent.simulate import LAB_POLICY, World

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def asking(world: World) -> World:
    """Holder 1 asks its operator, the others consent by themselves."""
    world.asking = frozenset({1})
    world.restarted(1)
    return world


def consents_of(world: World, index: int = 1) -> Consents:
    return world.parties[index].ceremonies.consents


def refusal(making: Making) -> Refused:
    with pytest.raises(Refused) as refused:
        making.greet(1)
    return refused.value


def test_what_nobody_has_agreed_to_is_refused_and_kept_for_the_operator(asking: World) -> None:
    making = Making.of(asking)
    digest = plan_of(making.proposal).digest
    refused = refusal(making)
    assert refused.rule == "consent"
    assert digest.hex() in str(refused)
    (waiting,) = consents_of(asking).waiting()
    assert (waiting.digest, waiting.proposal) == (digest, making.proposal)
    assert (waiting.policy_file, waiting.consented) == (LAB_POLICY, False)
    assert is_empty(asking.parties[1])
    making.greet(2)  # which asks nobody


def test_what_was_agreed_to_is_done_once(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    digest = plan_of(making.proposal).digest
    consent = consents_of(asking).agree(digest)
    holder = asking.parties[1].acting
    consent.verify(holder.identity.key)
    assert (consent.plan_digest, consent.expiry) == (digest, making.proposal.deadline)
    assert "plan-consented" in events(asking.parties[1])
    making.active()
    assert consents_of(asking).waiting() == []
    assert holder.store.plans.digests() == ()


def test_a_consent_is_for_this_plan_only(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    consents_of(asking).agree(plan_of(making.proposal).digest)
    for other in (Making.of(asking, t=3), Making.of(asking, "another"), Making.of(asking)):
        assert refusal(other).rule == "consent"


def test_a_consent_outlives_a_restart_and_not_its_deadline(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    consents_of(asking).agree(plan_of(making.proposal).digest)
    asking.restarted(1)
    assert consents_of(asking).waiting()[0].consented
    asking.now[0] = making.proposal.deadline
    assert consents_of(asking).waiting()[0].consented
    asking.now[0] += 1
    assert consents_of(asking).waiting() == []
    assert asking.parties[1].acting.store.plans.digests() == ()
    assert refusal(making).rule == "deadline"


def test_a_plan_may_be_declined_also_after_it_was_agreed_to(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    digest = plan_of(making.proposal).digest
    consents_of(asking).agree(digest)
    consents_of(asking).decline(digest)
    assert events(asking.parties[1])[-1] == "plan-declined"
    assert refusal(making).rule == "consent"
    assert not consents_of(asking).waiting()[0].consented


def test_nobody_agrees_to_what_does_not_wait(asking: World) -> None:
    for decide in (consents_of(asking).agree, consents_of(asking).decline):
        with pytest.raises(Refused) as refused:
            decide(b"d" * 32)
        assert refused.value.rule == "unknown-plan"


def test_agreeing_twice_is_agreeing_once(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    digest = plan_of(making.proposal).digest
    assert consents_of(asking).agree(digest) == consents_of(asking).agree(digest)
    assert events(asking.parties[1]).count("plan-consented") == 1


def test_a_forged_consent_is_tampering(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    digest = plan_of(making.proposal).digest
    other = asking.parties[2].acting
    forged = Consent(digest, making.proposal.deadline, b"s" * 64).to_bytes()
    asking.parties[1].acting.store.plans.agree(digest, forged)
    assert other.identity.key != asking.parties[1].acting.identity.key
    with pytest.raises(Tampered):
        making.greet(1)


def test_a_consent_to_another_plan_is_none(asking: World) -> None:
    making, other = Making.of(asking), Making.of(asking, "other")
    refusal(making)
    refusal(other)
    consents = consents_of(asking)
    agreed = consents.agree(plan_of(other.proposal).digest)
    plans = asking.parties[1].acting.store.plans
    plans.agree(plan_of(making.proposal).digest, agreed.to_bytes())
    assert refusal(making).rule == "consent"


def test_so_many_plans_wait_and_an_undecided_one_makes_room(asking: World) -> None:
    makings = [Making.of(asking, f"w{number}") for number in range(MOST_PLANS + 1)]
    for number, making in enumerate(makings):
        making.proposal = replace(making.proposal, deadline=making.proposal.deadline + number)
    for making in makings[:MOST_PLANS]:
        refusal(making)
    consents_of(asking).agree(plan_of(makings[0].proposal).digest)
    refusal(makings[-1])
    names = [each.proposal.name for each in consents_of(asking).waiting()]
    assert names == ["w0", *(f"w{number}" for number in range(2, MOST_PLANS + 1))]
    refusal(makings[-1])  # asked again, it takes nobody's place
    assert len(consents_of(asking).waiting()) == MOST_PLANS


def test_asked_whether_it_would_take_part_a_holder_says_so(asking: World) -> None:
    making = Making.of(asking)

    def considers(index: int) -> bool:
        return asking.parties[index].ceremonies.consider(making.message(), making.policy)

    assert (considers(1), considers(2)) == (False, True)
    consents_of(asking).agree(plan_of(making.proposal).digest)
    assert considers(1)
    making.greet(1)
    assert considers(1)  # it does take part
    late = Making.of(asking, "late")
    late.proposal = replace(late.proposal, deadline=asking.clock() - 1)
    with pytest.raises(Refused, match="deadline"):
        asking.parties[1].ceremonies.consider(late.message(), late.policy)


def test_what_a_crash_left_of_a_plan_is_removed_at_start(asking: World) -> None:
    making = Making.of(asking)
    store: HolderStore = asking.parties[1].acting.store
    digest = plan_of(making.proposal).digest
    refusal(making)
    (store._folder / "plans" / digest.hex() / "plan").unlink()
    asking.restarted(1)
    assert list((store._folder / "plans").iterdir()) == []


def test_a_plan_that_is_not_what_its_name_says_is_tampering(asking: World) -> None:
    making, holder = Making.of(asking), asking.parties[1].acting
    refusal(making)
    path = holder.store._folder / "plans" / plan_of(making.proposal).digest.hex() / "plan"
    path.write_bytes(plan_of(Making.of(asking, "other").proposal).to_bytes())
    with pytest.raises(Tampered):
        consents_of(asking).waiting()


def test_a_kept_plan_that_does_not_parse_is_tampering(asking: World) -> None:
    holder: ActingHolder = asking.parties[1].acting
    holder.store.plans.offer(Plan(PlanKind.PROPOSAL, b"no proposal").to_bytes(), b"")
    with pytest.raises(Tampered):
        consents_of(asking).waiting()


def test_outside_of_a_lab_every_operator_is_asked(
    world: World,
) -> None:
    holder = replace(world.parties[1].acting, asks_operator=False)
    proposal: Proposal = world.proposal("treasury", 2)
    with pytest.raises(Refused) as refused:
        Consents(holder).require(plan_of(proposal), LAB_POLICY)
    assert refused.value.rule == "consent"
