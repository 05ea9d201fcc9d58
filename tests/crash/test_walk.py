"""Random walks through key generations, signatures, losses, repeats, deaths and faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import ClassVar

import pytest

from tests.agent.simulate import Worlds
from tests.crash.walking import HOLDERS, Walk
from tests.crash.walks import walked

pytestmark = pytest.mark.usefixtures("shielded")


FEW = [pytest.param(18, True, id="few")]
MANY = [pytest.param(54, False, id=f"many-{part}", marks=pytest.mark.long) for part in range(8)]


@pytest.mark.parametrize(("walks", "chosen"), FEW + MANY)
def test_a_random_walk_loses_no_key(
    worlds: Worlds, report_line: Callable[[str], None], walks: int, chosen: bool
) -> None:
    """The few are always the same, the many are others each time."""

    class Here(Walk):
        world: ClassVar = worlds(len(HOLDERS))
        calls: ClassVar = Counter[str]()

    walked(Here, walks, steps=40, always_the_same=chosen)
    assert {"wallets made and used", "died", "signatures"} <= Here.calls.keys(), Here.calls
    counts = ", ".join(f"{count} {what}" for what, count in sorted(Here.calls.items()))
    report_line(
        f"random walk: {walks} walks; rules by their fault, and what came of them: {counts}"
    )
