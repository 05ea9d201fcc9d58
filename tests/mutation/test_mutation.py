"""docs/mutants.md names every check of the source, and a test that fails without it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.mutation.page import PAGE, ROOT, all_checks, claims, whole

REMEDY = "run .venv/bin/python -m tests.mutation, read the difference, commit it"


def test_the_page_has_every_check_and_no_other() -> None:
    page = PAGE.read_text("utf-8")
    assert page.splitlines() == whole(all_checks(), claims(page)).splitlines(), REMEDY


def test_every_check_is_claimed_by_a_test_that_is_there() -> None:
    claimed = claims(PAGE.read_text("utf-8"))
    assert [check.name for check in all_checks() if check.name not in claimed] == [], REMEDY
    for test in set(claimed.values()):
        file, _, function = test.partition("::")
        source = (ROOT / file).read_text("utf-8")
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), f"no test is called {test}"


@pytest.mark.long
def test_every_missing_check_is_noticed_by_the_test_that_claims_it(
    report_line: Callable[[str], None],
) -> None:
    command = [sys.executable, "-m", "tests.mutation", "--compare"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report_line(ended.stdout.splitlines()[-1])
