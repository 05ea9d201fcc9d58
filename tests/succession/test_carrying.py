"""Who says that it has adopted a successor proves it by the attempts between (step 6.5.2)."""

from __future__ import annotations

import hashlib

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.encoding import u8
from hsm_mpc.errors import BadInput, HsmMpcError
from hsm_mpc.succession.carrying import check_carried
from hsm_mpc.succession.propose import check_propose
from tests.succession.making import COORDINATOR, Refresh

MADE = 1_700_000_000
CERTIFICATE = b"its certificate"


class Link(Refresh):
    """An attempt that carries on what holder 2 says it adopted in attempt `earlier`."""

    def __init__(self, counter: int, earlier: int, successor: bytes = b"h" * 32) -> None:
        super().__init__()
        self.counter = counter
        self.earlier = earlier
        self.successor = successor

    def adoption(self, index: int) -> bytes:
        if index != 2:
            return u8(0)
        earlier = Attempt(self.earlier, COORDINATOR).to_bytes()
        return u8(1) + earlier + self.successor + hashlib.sha256(CERTIFICATE).digest()

    def choice(self) -> bytes:
        return u8(1) + self.successor

    def certificates(self) -> list[bytes]:
        return [CERTIFICATE]


def carried(top: Refresh, *history: Refresh) -> None:
    check_carried(
        check_propose(top.proposed(), top.first, top.keys),
        Attempt(MADE, COORDINATOR),
        [each.propose() for each in history],
        top.first,
        top.keys,
    )


def refusal_of(top: Refresh, *history: Refresh) -> str:
    with pytest.raises(BadInput) as refusal:
        carried(top, *history)
    return str(refusal.value)


def test_what_the_attempt_that_made_it_adopted_needs_no_proof_between() -> None:
    carried(Link(MADE + 1, MADE))


def test_each_attempt_between_is_shown() -> None:
    top, middle, low = Link(MADE + 3, MADE + 2), Link(MADE + 2, MADE + 1), Link(MADE + 1, MADE)
    carried(top, middle, low)
    assert "not proven" in refusal_of(top)
    assert "not proven" in refusal_of(top, middle)


def test_nothing_more_than_those_is_shown() -> None:
    low = Link(MADE + 1, MADE)
    assert "more attempts are shown" in refusal_of(low, low)


def test_an_attempt_in_which_nobody_had_adopted_carries_nothing_on() -> None:
    assert "nothing was adopted before" in refusal_of(Refresh())


@pytest.mark.parametrize("later", [0, 1])
def test_an_adoption_is_older_than_the_attempt_that_tells_of_it(later: int) -> None:
    assert "nothing was adopted before" in refusal_of(Link(MADE + 1, MADE + 1 + later))


def test_a_link_is_the_attempt_that_was_named() -> None:
    other = Link(MADE + 3, MADE)
    assert "another attempt" in refusal_of(Link(MADE + 4, MADE + 2), other)


def test_a_link_carries_the_same_successor_on() -> None:
    other = Link(MADE + 1, MADE, b"i" * 32)
    assert "another attempt" in refusal_of(Link(MADE + 2, MADE + 1), other)


def test_a_link_is_a_proposal_that_holds() -> None:
    class Alone(Link):
        members = (2,)

    with pytest.raises(HsmMpcError, match="1 holders joined, 2 are wanted"):
        carried(Link(MADE + 2, MADE + 1), Alone(MADE + 1, MADE))
