"""What a register may promise and vote next (section 6.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.agent.succession.votes import acknowledge, adopt, obey, order, promise
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.errors import Refused
from hsm_mpc.hsm.register import Register, Vote
from hsm_mpc.ids import EpochHash

FRESH = Register(EpochHash(b"e" * 32))
LOW, MIDDLE, HIGH = Attempt(1, 0x8001), Attempt(2, 0x8000), Attempt(2, 0x8001)
ONE, OTHER = EpochHash(b"1" * 32), EpochHash(b"2" * 32)


def rule_of(refused: pytest.ExceptionInfo[Refused]) -> str:
    return refused.value.rule


def test_a_promise_rises_and_never_falls() -> None:
    """Compared as 80-bit integers: the counter first, then the initiator (section 6.3)."""
    register = FRESH
    for attempt in (LOW, MIDDLE, HIGH):
        register = promise(register, attempt)
        assert register == replace(FRESH, promised=attempt.to_bytes())
        for again in (attempt, LOW):
            with pytest.raises(Refused) as refused:
                promise(register, again)
            assert rule_of(refused) == "attempt-overtaken"


def test_a_promise_keeps_the_votes() -> None:
    voted = replace(FRESH, acked=Vote(LOW.to_bytes(), ONE), adopted=Vote(LOW.to_bytes(), ONE))
    raised = promise(voted, HIGH)
    assert (raised.acked, raised.adopted) == (voted.acked, voted.adopted)


def test_only_the_attempt_that_was_promised_last_is_acknowledged() -> None:
    register = promise(FRESH, MIDDLE)
    assert acknowledge(register, MIDDLE, ONE).acked == Vote(MIDDLE.to_bytes(), ONE)
    for other in (LOW, HIGH):
        with pytest.raises(Refused) as refused:
            acknowledge(register, other, ONE)
        assert rule_of(refused) == "attempt-overtaken"


def test_one_successor_is_acknowledged_in_an_attempt() -> None:
    register = acknowledge(promise(FRESH, MIDDLE), MIDDLE, ONE)
    assert acknowledge(register, MIDDLE, ONE) == register
    with pytest.raises(Refused) as refused:
        acknowledge(register, MIDDLE, OTHER)
    assert rule_of(refused) == "other-vote"
    later = promise(register, HIGH)
    assert acknowledge(later, HIGH, OTHER).acked == Vote(HIGH.to_bytes(), OTHER)


def test_nothing_below_the_promise_is_adopted_and_adopting_promises() -> None:
    register = promise(FRESH, MIDDLE)
    with pytest.raises(Refused) as refused:
        adopt(register, LOW, ONE)
    assert rule_of(refused) == "attempt-overtaken"
    for attempt in (MIDDLE, HIGH):
        adopted = adopt(register, attempt, ONE)
        assert adopted.promised == attempt.to_bytes()
        assert adopted.adopted == Vote(attempt.to_bytes(), ONE)


def test_only_the_vote_that_is_there_is_said_again_below_the_promise() -> None:
    register = promise(adopt(FRESH, LOW, ONE), HIGH)
    assert adopt(register, LOW, ONE) == register
    for attempt, successor in ((LOW, OTHER), (MIDDLE, ONE)):
        with pytest.raises(Refused) as refused:
            adopt(register, attempt, successor)
        assert rule_of(refused) == "attempt-overtaken"


def test_one_successor_is_adopted_in_an_attempt_and_another_in_a_later_one() -> None:
    register = adopt(FRESH, MIDDLE, ONE)
    assert adopt(register, MIDDLE, ONE) == register
    with pytest.raises(Refused) as refused:
        adopt(register, MIDDLE, OTHER)
    assert rule_of(refused) == "other-vote"
    assert adopt(register, HIGH, OTHER).adopted == Vote(HIGH.to_bytes(), OTHER)


# ORDER


def ordered(successor: EpochHash) -> Register:
    return replace(FRESH, order=successor)


def test_order_frees_a_holder_that_promised_more() -> None:
    """Step 6.5.9: it keeps its promise, and takes what is ordered below it."""
    register = obey(promise(FRESH, HIGH), MIDDLE, ONE)
    vote = Vote(MIDDLE.to_bytes(), ONE)
    assert register == Register(FRESH.epoch_hash, HIGH.to_bytes(), None, vote, ONE)


def test_who_has_promised_less_promises_the_attempt_that_is_ordered() -> None:
    for before in (FRESH, promise(FRESH, LOW)):
        assert obey(before, MIDDLE, ONE).promised == MIDDLE.to_bytes()


def test_an_order_replaces_what_was_adopted_before() -> None:
    for successor in (ONE, OTHER):
        register = obey(adopt(FRESH, LOW, successor), MIDDLE, ONE)
        assert (register.adopted, register.order) == (Vote(MIDDLE.to_bytes(), ONE), ONE)


@pytest.mark.parametrize("attempt", [MIDDLE, HIGH])
def test_order_against_own_adoption(attempt: Attempt) -> None:
    register = adopt(FRESH, attempt, OTHER)
    with pytest.raises(Refused) as refused:
        obey(register, MIDDLE, ONE)
    assert rule_of(refused) == "other-vote"


@pytest.mark.parametrize("attempt", [MIDDLE, HIGH])
def test_a_later_adoption_of_what_is_ordered_stays(attempt: Attempt) -> None:
    register = adopt(FRESH, attempt, ONE)
    assert obey(register, MIDDLE, ONE) == replace(register, order=ONE)


def test_second_order_for_one_epoch() -> None:
    assert obey(obey(FRESH, MIDDLE, ONE), HIGH, ONE).order == ONE
    for register in (obey(FRESH, MIDDLE, ONE), ordered(ONE)):
        with pytest.raises(Refused) as refused:
            obey(register, HIGH, OTHER)
        assert rule_of(refused) == "other-order"


def test_a_holder_signs_an_order_for_what_it_has_adopted_last() -> None:
    register = adopt(FRESH, MIDDLE, ONE)
    assert order(register, ONE) == replace(register, order=ONE)
    for other in (FRESH, promise(FRESH, HIGH), adopt(register, HIGH, OTHER)):
        with pytest.raises(Refused) as refused:
            order(other, ONE)
        assert rule_of(refused) == "not-adopted"


def test_who_has_signed_an_order_signs_and_adopts_no_other() -> None:
    register = order(adopt(FRESH, MIDDLE, ONE), ONE)
    assert order(register, ONE) == register
    assert adopt(register, HIGH, ONE).adopted == Vote(HIGH.to_bytes(), ONE)
    with pytest.raises(Refused) as refused:
        adopt(register, HIGH, OTHER)
    assert rule_of(refused) == "other-order"
    with pytest.raises(Refused) as refused:
        order(replace(register, adopted=Vote(HIGH.to_bytes(), OTHER)), OTHER)
    assert rule_of(refused) == "other-order"
