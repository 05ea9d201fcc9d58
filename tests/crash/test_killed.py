"""SIGKILL of one holder before and after every step of a key generation and of a signature.

The relay and the other holder live on, and the relay goes on with the messages that it has. Then:
no key that nobody names, no half wallet, a whole audit log, no share that does not open, no nonce
that was used twice; and either the wallet is finished, or its name is free again.
"""

from __future__ import annotations

import pytest

from hsm_mpc.errors import Refused
from tests.agent.making import Making
from tests.agent.rounds import Round
from tests.crash.deaths import MOMENTS, WHICH_STEPS, Moment
from tests.crash.driving import drive, is_free_again, outcome_order, signed, signed_by_both
from tests.crash.invariants import NonceBook
from tests.crash.mortal import DiedError, Mortal, Place

ATTRIBUTES_COMPARED = 19
"""Of a wrapping key, by its first use after a start."""


@pytest.mark.long
@WHICH_STEPS
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_key_generation_killed_at_any_step(place: Place, moment: Moment, questions: bool) -> None:
    """Step 6.6 for epoch 0: kill_at_every_write."""
    world, (mortal, other) = place
    number, outcomes = 0, []
    while True:
        making = Making.of(world, f"w{number}")
        mortal.call("die_at", moment, number, questions)
        try:
            drive(making)
            break
        except DiedError:
            mortal.start()
        remains = mortal.remains()
        try:
            drive(making)
            outcomes.append("finished")
        except Refused:
            outcomes.append(remains.states.get(making.wallet_id, "nothing"))
            if making.wallet_id in remains.states:
                mortal.party.ceremonies.discard(making.wallet_id)
            assert making.wallet_id not in mortal.remains().states
            assert is_free_again(making)
            mortal.call("give_up")
            _give_up(other, making)
        else:
            assert mortal.remains().states[making.wallet_id] == "active"
            signed(world, making.certificate(), b"after step %d" % number)
        for each in (mortal, other):
            each.call("clear")
        number += 1
    assert outcome_order(outcomes) == ["nothing", "prepared", "finished"]
    assert number > 100


def _give_up(other: Mortal, making: Making) -> None:
    """The other holder ends it, too: by itself, or by its operator."""
    other.call("give_up")
    if making.wallet_id in other.remains().states:
        other.party.ceremonies.discard(making.wallet_id)


@WHICH_STEPS
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signature_killed_at_any_step(place: Place, moment: Moment, questions: bool) -> None:
    """Steps 3.3.4 and 3.4.15: nonces are gone, wallets stay, and no nonce is used twice."""
    world, (mortal, _) = place
    making = Making.of(world)
    drive(making)
    certificate, book, number = making.certificate(), NonceBook(), 0
    while True:
        round_ = Round(world, certificate, b"message %d" % number)
        mortal.call("die_at", moment, number, questions)
        try:
            signed_by_both(round_, book)
            break
        except DiedError:
            mortal.start()
        book.died(1)
        assert mortal.remains().states == {bytes(making.wallet_id): "active"}
        if round_.commits.keys() == {1, 2}:
            with pytest.raises(Refused, match="no nonce was made here"):
                round_.sign(1, round_.listed())
        signed_by_both(round_, book)
        mortal.kill()  # so that every round begins with the same steps
        mortal.start()
        book.died(1)
        number += 1
    assert number == (8 + ATTRIBUTES_COMPARED if questions else 4)


def test_a_holder_killed_between_rounds_is_as_one_that_never_was(place: Place) -> None:
    world, (mortal, other) = place
    making = Making.of(world)
    making.hellos = [making.greet(index) for index in (1, 2)]
    mortal.kill()
    mortal.start()
    assert mortal.remains().states == {}
    with pytest.raises(Refused):
        making.deal(1)
    _give_up(other, making)
    again = Making.of(world, "again")
    drive(again)
    round_ = signed(world, again.certificate(), b"message")
    mortal.kill()
    mortal.start()
    assert mortal.remains().states == {bytes(again.wallet_id): "active"}
    with pytest.raises(Refused):
        round_.sign(1)
    signed(world, again.certificate(), b"another")
