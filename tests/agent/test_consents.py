"""A holder takes part in nothing that its operator has not read and agreed to (step 1.6.7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.admission import admit
from hsm_mpc.agent.consents import FARTHEST_DEADLINE, MOST_PLANS, Consents
from hsm_mpc.agent.reservations import ROUND_SECONDS
from hsm_mpc.certificates.clients import Client
from hsm_mpc.certificates.plan import Consent, Plan, PlanKind, consent_message
from hsm_mpc.errors import BackendError, NameTaken, Refused
from hsm_mpc.identity import Algorithm, VerifyingKey
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.tags import Tag
from tests.agent.making import Making, events, is_empty, lines
from tests.agent.simulate import LAB_POLICY, World
from tests.named_steps import observed

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def asking(world: World) -> World:
    """Holder 1 asks its operator, the others consent by themselves."""
    world.asking = frozenset({1})
    world.restarted(1)
    return world


def consents_of(world: World, index: int = 1) -> Consents:
    return world.parties[index].ceremonies.consents


def considers(making: Making) -> bool:
    """Whether holder 1 would take part now."""
    return making.world.parties[1].ceremonies.consider(making.message(), making.policy)


def agreed(world: World, name: str = "treasury") -> Making:
    """A wallet to which the operator of holder 1 has consented."""
    making = Making.of(world, name)
    assert not considers(making)
    consents_of(world).agree(Plan.of(making.proposal).digest)
    return making


def refusal(making: Making) -> Refused:
    with pytest.raises(Refused) as refused:
        making.greet(1)
    return refused.value


def test_what_nobody_has_agreed_to_is_refused_and_kept_for_the_operator(asking: World) -> None:
    making = Making.of(asking)
    digest = Plan.of(making.proposal).digest
    refused = refusal(making)
    assert refused.rule == "consent"
    assert digest.hex() in str(refused)
    (waiting,) = consents_of(asking).waiting()
    assert (waiting.digest, waiting.asked) == (digest, making.proposal)
    assert (waiting.named, waiting.consented) == (LAB_POLICY, False)
    assert is_empty(asking.parties[1])
    making.greet(2)  # which asks nobody


def test_what_was_agreed_to_is_done_once(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    digest = Plan.of(making.proposal).digest
    consent = consents_of(asking).agree(digest)
    holder = asking.parties[1].acting
    consent.verify(holder.identity.key.verify)
    assert (consent.plan_digest, consent.expiry) == (digest, making.proposal.deadline)
    assert "plan-consented" in events(asking.parties[1])
    making.active()
    assert consents_of(asking).waiting() == []
    assert holder.store.plans.digests() == ()


def test_a_consent_is_for_this_plan_only(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    consents_of(asking).agree(Plan.of(making.proposal).digest)
    for other in (Making.of(asking, t=3), Making.of(asking, "another"), Making.of(asking)):
        assert refusal(other).rule == "consent"


def test_a_consent_outlives_a_restart_and_not_its_deadline(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    consents_of(asking).agree(Plan.of(making.proposal).digest)
    asking.restarted(1)
    assert consents_of(asking).waiting()[0].consented
    asking.now[0] = making.proposal.deadline
    assert consents_of(asking).waiting()[0].consented
    asking.now[0] += 1
    assert consents_of(asking).waiting() == []
    assert asking.parties[1].acting.store.plans.digests() == ()
    assert refusal(making).rule == "deadline"


def test_what_is_declined_is_refused_for_good_also_after_it_was_agreed_to(asking: World) -> None:
    making = agreed(asking)
    digest = Plan.of(making.proposal).digest
    consents_of(asking).decline(digest)
    assert events(asking.parties[1])[-1] == "plan-declined"
    asking.restarted(1)
    assert consents_of(asking).waiting() == []
    for asks in (considers, lambda making: making.greet(1)):
        with pytest.raises(Refused) as refused:
            asks(making)
        assert refused.value.rule == "declined"
    with pytest.raises(Refused, match="no plan"):
        consents_of(asking).agree(digest)


def test_nobody_agrees_to_what_does_not_wait(asking: World) -> None:
    for decide in (consents_of(asking).agree, consents_of(asking).decline):
        with pytest.raises(Refused) as refused:
            decide(b"d" * 32)
        assert refused.value.rule == "unknown-plan"


def test_agreeing_twice_is_agreeing_once(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    digest = Plan.of(making.proposal).digest
    assert consents_of(asking).agree(digest) == consents_of(asking).agree(digest)
    assert events(asking.parties[1]).count("plan-consented") == 1


def test_a_forged_consent_counts_for_nothing_and_is_told_of(asking: World) -> None:
    making, holder = Making.of(asking), asking.parties[1].acting
    digest, deadline = Plan.of(making.proposal).digest, making.proposal.deadline
    of_another = asking.parties[2].acting.identity.sign(
        Tag.CONSENT, consent_message(digest, deadline)
    )
    for forged in (Consent(digest, deadline, of_another).to_bytes(), b"no consent"):
        refusal(making)
        holder.store.plans.agree(digest, forged)
        assert not considers(making)
        assert "alarm" in events(asking.parties[1])
        assert not consents_of(asking).waiting()[0].consented
        holder.store.plans.forget(digest)


def test_a_consent_to_another_plan_is_none(asking: World) -> None:
    making, other = Making.of(asking), agreed(asking, "other")
    refusal(making)
    plans = asking.parties[1].acting.store.plans
    moved = plans.consent(Plan.of(other.proposal).digest)
    assert moved is not None
    plans.agree(Plan.of(making.proposal).digest, moved)
    assert refusal(making).rule == "consent"


def test_an_expired_consent_counts_for_nothing(asking: World) -> None:
    making, holder = Making.of(asking), asking.parties[1].acting
    refusal(making)
    digest, expiry = Plan.of(making.proposal).digest, asking.clock() - 1
    signature = holder.identity.sign(Tag.CONSENT, consent_message(digest, expiry))
    holder.store.plans.agree(digest, Consent(digest, expiry, signature).to_bytes())
    assert not considers(making)


def test_nobody_consents_to_what_is_too_late(asking: World) -> None:
    making = Making.of(asking)
    refusal(making)
    asking.now[0] = making.proposal.deadline + 1
    with pytest.raises(Refused) as refused:
        consents_of(asking).agree(Plan.of(making.proposal).digest)
    assert refused.value.rule == "unknown-plan"


def test_what_is_too_late_goes_by_itself(asking: World) -> None:
    """A clock that is set back finds no consent."""
    making = agreed(asking)
    asking.now[0] = making.proposal.deadline + 1
    consents_of(asking).tidy()
    assert asking.parties[1].acting.store.plans.digests() == ()


def test_so_many_plans_wait_and_no_other_takes_their_place(asking: World) -> None:
    for number in range(MOST_PLANS):
        refusal(Making.of(asking, f"w{number}"))
    late = Making.of(asking, "late")
    assert refusal(late).rule == "too-many-plans"
    first = consents_of(asking).waiting()[0]
    assert len(consents_of(asking).waiting()) == MOST_PLANS
    consents_of(asking).decline(first.digest)
    assert refusal(late).rule == "consent"
    assert refusal(late).rule == "consent"


def test_a_plan_is_short_and_has_an_end(asking: World) -> None:
    """All that waits is shown in one answer, and shown as it is signed."""
    making = Making.of(asking)
    making.proposal = replace(making.proposal, deadline=asking.clock() + FARTHEST_DEADLINE + 1)
    assert refusal(making).rule == "deadline"
    making.proposal = replace(making.proposal, deadline=making.proposal.deadline - 1)
    assert refusal(making).rule == "consent"
    clients = tuple(
        Client(f"c{number}", VerifyingKey(Algorithm.ED25519, number.to_bytes(31, "big") + b"\1"))
        for number in range(800)
    )
    longer = Making.of(asking, "longer")
    longer.proposal = replace(
        longer.proposal, clients=replace(longer.proposal.clients, clients=clients)
    )
    assert refusal(longer).rule == "plan-too-long"


def test_whoever_declines_while_the_plan_is_carried_out_is_told(asking: World) -> None:
    making = agreed(asking)
    digest, told = Plan.of(making.proposal).digest, list[str]()

    def observer(when: str, name: str) -> None:
        if (when, name) == ("before", "key.generate"):
            with pytest.raises(Refused) as refused:
                consents_of(asking).decline(digest)
            told.append(refused.value.rule)

    with observed(observer):
        making.greet(1)
    assert told == ["under-way"]


def test_a_plan_serves_once_whatever_comes_of_it(asking: World) -> None:
    """Nobody is asked again about what has ended, or is made."""
    ended, made = agreed(asking, "ended"), agreed(asking, "made")
    ended.greet(1)
    asking.later[0] += ROUND_SECONDS + 1
    with pytest.raises(Refused) as refused:
        considers(ended)
    assert refused.value.rule == "session-over"
    made.active()
    for asks in (considers, lambda making: making.greet(1)):
        with pytest.raises(NameTaken):
            asks(made)
    assert consents_of(asking).waiting() == []


@pytest.mark.parametrize("step", ["session-hello.sync", "plan-folder.hide"])
def test_a_consent_that_served_is_gone_though_a_crash_kept_it(asking: World, step: str) -> None:
    """Whatever the clocks say when the signer starts again: no second HELLO for that nonce."""
    making = agreed(asking)

    def observer(when: str, name: str) -> None:
        if (when, name) == ("before", step):
            raise BackendError("the disk fails")

    with observed(observer), pytest.raises(BackendError):
        making.greet(1)
    asking.now[0] += 3 * 24 * 3600
    asking.restarted(1)
    asking.restarted(1)
    asking.now[0] -= 3 * 24 * 3600
    assert consents_of(asking).waiting() == []
    assert refusal(making).rule in ("session-over", "consent")


def test_a_name_that_is_taken_is_refused_before_anybody_is_asked(asking: World) -> None:
    agreed(asking).active()
    with pytest.raises(NameTaken):
        considers(Making.of(asking))
    begun = agreed(asking, "begun")
    begun.greet(1)
    other = Making.of(asking, "begun")
    with pytest.raises(NameTaken):
        considers(other)
    assert considers(begun)
    changed = replace(begun.proposal, deadline=begun.proposal.deadline + 1)
    begun.proposal = changed
    with pytest.raises(NameTaken):
        considers(begun)
    assert consents_of(asking).waiting() == []


def test_the_audit_log_says_for_which_wallet_and_holds_the_proof(asking: World) -> None:
    making = agreed(asking)
    line = lines(asking.parties[1])[-1]
    assert (line["event"], line["name"]) == ("plan-consented", "treasury")
    assert line["wallet_id"] == making.wallet_id.hex()
    digest = Plan.of(making.proposal).digest
    consent = Consent(digest, making.proposal.deadline, bytes.fromhex(str(line["signature"])))
    consent.verify(asking.parties[1].acting.identity.key.verify)


def test_asked_whether_it_would_take_part_a_holder_says_so(asking: World) -> None:
    making = Making.of(asking)

    def considers(index: int) -> bool:
        return asking.parties[index].ceremonies.consider(making.message(), making.policy)

    assert (considers(1), considers(2)) == (False, True)
    consents_of(asking).agree(Plan.of(making.proposal).digest)
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
    digest = Plan.of(making.proposal).digest
    refusal(making)
    (store._folder / "plans" / digest.hex() / "plan").unlink()
    asking.restarted(1)
    assert list((store._folder / "plans").iterdir()) == []


@pytest.mark.parametrize("name", ["plan", "named"])
def test_what_is_shown_is_what_is_signed(asking: World, name: str) -> None:
    """A plan, or a policy beside it, that somebody has put in the place of another is not shown."""
    making, other = Making.of(asking), Making.of(asking, "other", policy=b"version: 1\n")
    refusal(making)
    refusal(other)
    folder = asking.parties[1].acting.store._folder / "plans"
    theirs = folder / Plan.of(other.proposal).digest.hex() / name
    path = folder / Plan.of(making.proposal).digest.hex() / name
    path.write_bytes(theirs.read_bytes())
    assert [each.asked for each in consents_of(asking).waiting()] == [other.proposal]
    assert events(asking.parties[1])[-1] == "alarm"
    assert refusal(making).rule == "consent"


def test_a_kept_plan_that_does_not_parse_is_told_of(asking: World) -> None:
    holder: ActingHolder = asking.parties[1].acting
    holder.store.plans.offer(Plan(PlanKind.PROPOSAL, b"no proposal").to_bytes(), b"")
    assert consents_of(asking).waiting() == []
    assert events(asking.parties[1])[-1] == "alarm"


def test_outside_of_a_lab_every_operator_is_asked(world: World) -> None:
    roster = replace(world.parties[1].acting.roster, lab=False)
    holder = replace(world.parties[1].acting, roster=roster)
    proposal = replace(world.proposal("treasury", 2), roster=roster)
    with pytest.raises(Refused) as refused:
        admit(holder, Consents(holder), proposal, LAB_POLICY)
    assert refused.value.rule == "consent"
