"""The fast variant: a step raises, and the state is reopened from its folder and its token.

Deaths of one of two holders at every step of a key generation and of a signature, the HSM's reads
among them, each alone; and at every pair of steps, where the second death comes at any step of the
start after the first one, or of what is done then.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest

from hsm_mpc.agent.reservations import ROUND_SECONDS
from hsm_mpc.errors import Refused
from tests.agent.making import Making, is_empty
from tests.agent.rounds import Round
from tests.agent.simulate import World
from tests.crash.deaths import MOMENTS, Death, DeathError, Moment
from tests.crash.driving import drive, is_free_again, outcome_order, signed, signed_by_both
from tests.crash.invariants import NonceBook
from tests.crash.phoenix import Phoenix, clear
from tests.named_steps import nothing_happens

PARTS = 8
"""The pairs of a key generation, so that several workers share them."""

pytestmark = pytest.mark.usefixtures("shielded")


def wallet_made(phoenix: Phoenix, name: str, *deaths: Death) -> str:
    """A key generation through these deaths, the first of them now; `finished` or what was left.

    Whatever came of it is used or discarded, and both holders are as empty as before.
    """
    world, waiting = phoenix.world, iter([death.observer for death in deaths])
    making = Making.of(world, name)
    phoenix.watch = next(waiting)
    died = False
    while True:
        try:
            if died:
                phoenix.restart(next(waiting, nothing_happens))
            drive(making)
        except DeathError:
            died = True
        except Refused:
            outcome = _discarded(phoenix, making)
            break
        else:
            phoenix.watch = nothing_happens
            assert phoenix.remains().states[making.wallet_id] == "active"
            signed(world, making.certificate(), name.encode())
            outcome = "finished"
            break
    phoenix.renew()
    clear(world.parties[2])
    return outcome


def _discarded(phoenix: Phoenix, making: Making) -> str:
    """What is left of a key generation that cannot go on, before it is discarded."""
    phoenix.watch = nothing_happens
    outcome = phoenix.remains().states.get(making.wallet_id, "nothing")
    if outcome != "nothing":
        phoenix.party.ceremonies.discard(making.wallet_id)
    assert is_empty(phoenix.party)
    assert is_free_again(making)
    making.world.later[0] += ROUND_SECONDS + 1
    making.world.parties[2].ceremonies.expire()
    if making.world.parties[2].wallets.of(making.wallet_id):
        making.world.parties[2].ceremonies.discard(making.wallet_id)
    return outcome


@pytest.mark.long
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_key_generation_that_dies_at_any_step(
    phoenix: Phoenix, moment: Moment, report_line: Callable[[str], None]
) -> None:
    outcomes = []
    for number in itertools.count():
        death = Death.at(moment, number, questions=True)
        outcome = wallet_made(phoenix, f"w{number}", death)
        if not death.has_come:
            break
        outcomes.append(outcome)
    assert outcome_order(outcomes) == ["nothing", "prepared", "finished"]
    report_line(f"key generation: died {moment} each of {len(outcomes)} steps of one holder")


@pytest.mark.long
def test_a_key_generation_that_dies_twice_at_some_steps(
    phoenix: Phoenix, report_line: Callable[[str], None]
) -> None:
    chosen, both = random.Random(0), 0
    for number in range(50):
        deaths = Death.at("before", chosen.randrange(120)), Death.at("before", chosen.randrange(20))
        wallet_made(phoenix, f"w{number}", *deaths)
        both += deaths[1].has_come
    assert both > 25
    report_line(f"key generation: died at {both} pairs of steps, of all that --long tries")


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_a_key_generation_that_dies_twice_at_any_steps(
    phoenix: Phoenix, part: int, report_line: Callable[[str], None]
) -> None:
    pairs = 0
    for first in itertools.count(part, PARTS):
        for second in itertools.count():
            deaths = Death.at("before", first), Death.at("before", second)
            wallet_made(phoenix, f"w{first}-{second}", *deaths)
            if not deaths[1].has_come:
                break
            pairs += 1
        if not deaths[0].has_come:
            break
    assert pairs > 100
    report_line(f"key generation: died at {pairs} pairs of steps (part {part + 1} of {PARTS})")


@pytest.mark.parametrize(
    ("first_moment", "second_moment", "questions"),
    [
        pytest.param("before", "before", False, id="before-changes"),
        *(
            pytest.param(*moments, True, id="-".join(moments), marks=pytest.mark.long)
            for moments in itertools.product(MOMENTS, repeat=2)
        ),
    ],
)
def test_a_signature_that_dies_once_and_twice_at_any_steps(
    world: World,
    phoenix: Phoenix,
    first_moment: Moment,
    second_moment: Moment,
    questions: bool,
    report_line: Callable[[str], None],
) -> None:
    """Steps 3.3.4 and 3.4.15; the second round of both begins right after the first death."""
    count = Counter[int]()
    for first in itertools.count():
        phoenix.renew()
        clear(world.parties[2])
        making, book = Making.of(world, f"w{first}"), NonceBook()
        drive(making)
        certificate = making.certificate()
        for second in itertools.count():
            phoenix.restart()
            deaths = (
                Death.at(first_moment, first, questions),
                Death.at(second_moment, second, questions),
            )
            round_ = Round(world, certificate, b"%d, %d" % (first, second))
            came = died_signing(phoenix, round_, book, deaths)
            assert phoenix.remains().states == {bytes(making.wallet_id): "active"}
            signed_by_both(round_, book)
            count[came] += 1
            if came < 2:
                break
        if came < 1:
            break
    assert count[1] and count[2]
    report_line(
        f"signature: died at {count[2]} pairs of steps of one signer "
        f"({first_moment} and {second_moment})"
    )


def died_signing(
    phoenix: Phoenix, round_: Round, book: NonceBook, deaths: tuple[Death, Death]
) -> int:
    """How many deaths came, until both holders have signed."""
    for came, death in enumerate(deaths):
        book.died(phoenix.index)
        try:
            if came:
                phoenix.restart(death.observer)
            else:
                phoenix.watch = death.observer
            signed_by_both(round_, book)
        except DeathError:
            continue
        phoenix.watch = nothing_happens
        return came
    book.died(phoenix.index)
    phoenix.restart()
    return len(deaths)
