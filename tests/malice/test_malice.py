"""docs/malice.md says of every attack what comes of it today."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm_mpc.hsm.module import Module
from hsm_mpc.secure.arena import Arena
from tests.malice.page import GROUPS, INTRODUCTION, PAGE, attacked, headings, sections_of

REMEDY = "run .venv/bin/python -m tests.malice, read the difference, commit it"


LONG = (
    "adoptions",
    "orders",
    "confirmations of a repair",
    *(each for each in GROUPS if each.startswith("resharings")),
)
"""What would make the gate take twice as long."""


@pytest.mark.usefixtures("shielded")
@pytest.mark.parametrize(
    "group",
    [pytest.param(each, marks=pytest.mark.long if each in LONG else ()) for each in GROUPS],
)
def test_every_attack_fares_as_the_page_says(
    hsm_module: Module,
    pin_arena: Arena,
    stores: Path,
    group: str,
    report_line: Callable[[str], None],
) -> None:
    today = attacked(hsm_module, pin_arena, stores, group)
    assert sections_of(PAGE.read_text("utf-8"), group).splitlines() == today.splitlines(), REMEDY
    counts = re.findall(r"^Attacks: (\d+) \(taproot\), (\d+) \(ed25519\)\.$", today, re.MULTILINE)
    tried = sum(int(number) for pair in counts for number in pair)
    report_line(f"malice: {tried} attacks on {group}, as the page says")


def test_the_page_has_all_sections_and_no_other() -> None:
    page = PAGE.read_text("utf-8")
    assert page.startswith(INTRODUCTION)
    assert headings(page) == [name for _, names in GROUPS.values() for name in names]
