"""Deletes every check in turn and runs the test that claims it: `python -m tests.mutation`.

    --only TEXT    just the checks whose names contain TEXT
    --new          just those that the page names no test for
    --compare      search for no test and write nothing

Writes docs/mutants.md. A check without a test on that page, or whose test passes without it, gets
the first that fails among those of its package that reach it. Exit 1: nobody notices.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.checks import Check
from tests.mutation.page import FOLDERS, PAGE, ROOT, all_checks, claims, whole
from tests.mutation.recording import candidates, recorded
from tests.mutation.trials import Fate, Trial, load_libraries, results, workplace


def main(arguments: Sequence[str]) -> int:
    """See above."""
    parser = argparse.ArgumentParser("tests.mutation")
    parser.add_argument("--only", default="")
    parser.add_argument("--new", action="store_true")
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args(arguments)
    page = PAGE.read_text("utf-8") if PAGE.exists() else ""
    claimed, checks = claims(page), all_checks()
    chosen = [
        check
        for check in checks
        if options.only in check.name and not (options.new and check.name in claimed)
    ]
    load_libraries()
    with workplace() as place:
        left = _unnoticed(place, chosen, claimed)
        if not options.compare:
            left = _searched(place, left, claimed)
            PAGE.write_text(whole(checks, claimed), "utf-8")
    for check in left:
        print(f"noticed by nobody: {check.name}")
    if left:
        print(f"mutants: {len(chosen)} checks deleted in turn, {len(left)} noticed by nobody")
    else:
        print(f"mutants: {len(chosen)} checks deleted in turn, all noticed")
    return 1 if left else 0


def _unnoticed(place: Path, checks: Sequence[Check], claimed: dict[str, str]) -> list[Check]:
    """Those that no test claims, or whose test does not notice; it loses the claim."""
    named = tuple(dict.fromkeys(claimed[each.name] for each in checks if each.name in claimed))
    halves = [Trial("", named[half::2]) for half in (0, 1) if named[half::2]]
    passed = set[str]()
    for result in results(ROOT, _room(place, "whole"), halves):
        passed |= result.passed
    for test in [test for test in named if test not in passed]:
        print(f"fails, or is not there, with all checks: {test}")
    trials = [
        Trial(each.name, (claimed[each.name],))
        for each in checks
        if claimed.get(each.name) in passed
    ]
    noticed = set()
    for result in results(ROOT, _room(place, "claimed"), trials):
        if result.fate is Fate.NOTICED:
            noticed.add(result.trial.check)
        else:
            print(f"{result.fate.value}: {result.trial.check}")
    for name in [name for name in claimed if name not in noticed]:
        if any(each.name == name for each in checks):
            del claimed[name]
    return [each for each in checks if each.name not in noticed]


def _searched(place: Path, checks: Sequence[Check], claimed: dict[str, str]) -> list[Check]:
    """Those that no test of their own packages notices; the others get a claim."""
    if not checks:
        return []
    packages = [each for each in FOLDERS if any(f"/{each}/" in check.path for check in checks)]
    products = [f"hsm_mpc/{each}/" for each in packages]
    reached = recorded(
        ROOT, _room(place, "record"), products, [f"tests/{each}" for each in packages]
    )
    trials = [Trial(each.name, candidates(each, reached)) for each in checks]
    for result in results(ROOT, _room(place, "try"), [each for each in trials if each.tests]):
        if result.fate is Fate.NOTICED:
            claimed[result.trial.check] = result.test
            print(f"{result.trial.check}: noticed by {result.test}")
    return [each for each in checks if each.name not in claimed]


def _room(place: Path, name: str) -> Path:
    room = place / name
    room.mkdir()
    return room


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
