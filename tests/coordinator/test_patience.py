"""One round's seconds for all that a holder is asked about an attempt, and each holder its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field

import pytest

from hsm_mpc.coordinator.links import CALLS_AT_ONCE, HolderLinks
from hsm_mpc.coordinator.patience import Patience
from hsm_mpc.errors import BackendError, Refused
from hsm_mpc.wire.calls import HolderMethod
from tests.coordinator.test_links import ROSTER

SECONDS = 5.0
"""Much more than anything here takes on a machine that is busy."""
SHORT = 0.5


@dataclass
class Link:
    """A holder that takes its time, whatever it is given."""

    takes: float = 0.0
    failure: Exception | None = None
    given: list[float] = field(default_factory=list)

    def call(self, method: int, parts: Sequence[bytes], timeout: float) -> tuple[bytes, ...]:
        self.given.append(timeout)
        time.sleep(self.takes)
        if self.failure is not None:
            raise self.failure
        return (b"said",)

    def close(self) -> None:
        """Nothing to give up."""


@dataclass
class Judges:
    """Three of them, and how long they are waited for."""

    made: dict[int, Link]
    links: HolderLinks
    patience: Patience

    def asked(self, *among: int) -> dict[int, object]:
        return {**self.patience.asked(self.links, HolderMethod.JUDGE, [], among or (1, 2, 3))}


@pytest.fixture
def judges() -> Iterator[Judges]:
    made = {index: Link() for index in (1, 2, 3)}
    links = HolderLinks(ROSTER, made, SECONDS)
    yield Judges(made, links, Patience(links.seconds))
    links.close()


def test_each_has_what_its_own_answers_have_left(judges: Judges) -> None:
    """A slow one costs the others nothing, and what it has used it is not given again."""
    judges.made[2].takes = 1.0
    assert [*judges.asked()] == [1, 2, 3]
    judges.made[2].takes = 0.0
    assert [*judges.asked()] == [1, 2, 3]
    assert judges.made[2].given[0] == SECONDS
    assert judges.made[2].given[1] <= SECONDS - 1.0
    for index in (1, 3):
        assert judges.made[index].given[1] > SECONDS - 1.0


def test_who_has_used_its_time_up_is_asked_nothing_more(judges: Judges) -> None:
    judges.patience = Patience(SHORT)
    judges.made[2].takes = SECONDS
    began = time.monotonic()
    late = judges.asked()[2]
    assert isinstance(late, BackendError)
    assert "holder h2 is too slow" in str(late)
    assert SHORT <= time.monotonic() - began < SECONDS
    assert [*judges.asked()] == [1, 3]
    assert len(judges.made[2].given) == 1


def test_who_has_not_answered_once_is_asked_nothing_more(judges: Judges) -> None:
    judges.made[1].failure = BackendError("gone")
    judges.made[3].failure = Refused("not-proven", "no")
    assert [*judges.asked()] == [1, 2, 3]
    assert [*judges.asked()] == [2, 3]


def test_it_is_the_same_holder_in_another_roster(judges: Judges) -> None:
    judges.made[3].failure = BackendError("gone")
    judges.asked(3)
    new = judges.links.seated(ROSTER.among(["h2", "h3"]))
    assert [*judges.patience.asked(new, HolderMethod.COMPLAIN, [], new.indices)] == [1]


def test_whose_threads_are_all_taken_is_not_waited_for_longer(judges: Judges) -> None:
    judges.patience = Patience(SHORT)
    stalled = threading.Event()
    taken = [judges.links.submit(1, stalled.wait) for _ in range(CALLS_AT_ONCE)]
    began = time.monotonic()
    try:
        assert isinstance(judges.asked()[1], BackendError)
        assert SHORT <= time.monotonic() - began < SECONDS
    finally:
        stalled.set()
    wait(taken)
    assert judges.made[1].given == []


def test_they_are_asked_at_once(judges: Judges) -> None:
    for link in judges.made.values():
        link.takes = 1.5
    began = time.monotonic()
    assert [*judges.asked()] == [1, 2, 3]
    assert time.monotonic() - began < 2 * 1.5
