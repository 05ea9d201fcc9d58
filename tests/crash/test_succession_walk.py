"""Random walks through successions: races, losses, repeats, deaths, faults, restored disks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import ClassVar

import pytest

from tests.agent.simulate import Worlds
from tests.crash.mending import HOLDERS
from tests.crash.walking_successions import SuccessionWalk
from tests.crash.walks import walked

pytestmark = pytest.mark.usefixtures("shielded")

FEW = [pytest.param(9, True, id="few")]
MANY = [pytest.param(54, False, id=f"many-{part}", marks=pytest.mark.long) for part in range(8)]
OFTEN = {"epochs", "caught up", "died", "restored", "signatures"}
SELDOM = {
    "races lost",
    "overtaken",
    "repairs interrupted",
    "repaired in an undecided one",
}
"""Whether nine walks come to one of these is chance; fifty-four do."""


@pytest.mark.parametrize(("walks", "chosen"), FEW + MANY)
def test_a_random_walk_has_one_successor_of_each_epoch(
    worlds: Worlds, report_line: Callable[[str], None], walks: int, chosen: bool
) -> None:
    class Here(SuccessionWalk):
        world: ClassVar = worlds(len(HOLDERS))
        calls: ClassVar = Counter[str]()

    walked(Here, walks, steps=60, always_the_same=chosen)
    wanted = OFTEN if chosen else OFTEN | SELDOM
    assert {what for what in wanted if Here.calls[what] > 0} == wanted, Here.calls
    counts = ", ".join(f"{count} {what}" for what, count in sorted(Here.calls.items()))
    report_line(f"random walk of successions: {walks} walks; {counts}")
