"""What a register may promise and vote next (section 6.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.agent.succession.votes import acknowledge, adopt, promise
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


def test_one_successor_is_adopted_in_an_attempt_and_another_in_a_later_one() -> None:
    register = adopt(FRESH, MIDDLE, ONE)
    assert adopt(register, MIDDLE, ONE) == register
    with pytest.raises(Refused) as refused:
        adopt(register, MIDDLE, OTHER)
    assert rule_of(refused) == "other-vote"
    assert adopt(register, HIGH, OTHER).adopted == Vote(HIGH.to_bytes(), OTHER)
