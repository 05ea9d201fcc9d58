"""docs/mutants.md: every check, and the test that fails without it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.mutation.checks import Check, checks_below

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "mutants.md"
FOLDERS: Final = (
    "protocols",
    "succession",
    "sealing",
    "store",
    "wire",
    "groups",
    "certificates",
    "policy",
)

_ROW = re.compile(r"^\| `(?P<check>.+)` \| `(?P<test>[^`]+)` \|$")
_HEADING = re.compile(r"^## (?P<path>.+\.py)$")

INTRODUCTION: Final = """\
# Checks, and the tests that notice when one is gone

Every check below the folders of this table is deleted in turn, and the test that stands beside it
is run: it fails. `tests/mutation` finds the checks in the source, makes the trials and writes this
page: `.venv/bin/python -m tests.mutation`. Every run of the tests compares the page with the
source; `scripts/test --long` makes all trials anew.

{counts}

These are checks, and this is how they are deleted:

- An `if` or `elif` that raises, calls what never returns, names a culprit, adds to a list that is
  raised for later, or leaves with nothing (`return`, `return None`, `return False`, `continue`,
  `break`): the condition is computed still, and what it says is not heeded. Of `a or b`,
  `not (a and b)`, `not a <= b <= c` and `(a, b) != (c, d)` each part by itself.
- An `if` whose `else` does that; that returns a value where nothing is returned behind it; that
  adds what is good to a list which must not stay empty; that is the way out of a loop which
  refuses, or goes on, while nothing passes; that removes from the disk: it always holds.
- An `if` that holds a number to a cap: as the first. `x[:MOST]`: becomes `x`.
- A statement that calls what by its name only refuses (`require…`, `check…`, `refuse…`, `verify…`,
  `expect…`, `accept…`, `blame…`, `raise_if…`, `end`, `lock`, `flock`, `make_room`, `expire`,
  `drop_torn`; `parse_point` and `public_share` where nobody takes what they give): the statement
  goes; of `require(a and b)` each part.
- A `raise` that no `if` guards, and what an `except` does instead of raising (names a culprit,
  `return False`, `continue`, `break`): the statement goes.
- `require_…(x)`, `check_…(x)`, `checked_name(x)` and `parse_point(x)`, used as a value: become `x`.
- The `if` of a comprehension, and of `return x if … else None`: it always lets through.
- What a function that gives a `bool` says at last: always yes, and in a second trial always no.
- `for … : pass`, which reads only to check: the loop goes.
- What makes a library or the kernel refuse: `load(strict=True)`, `maximum_concurrent_rpcs`,
  `O_NOFOLLOW`, `O_EXCL`, `LOCK_NB`.

No checks of their own are: an `except` that raises our error for another, since the check is where
the other comes from; an `if` between two ways to go on; a conversion without which there is no
value (`Scheme(number)`, `parse_scalar`, `reader.take(16)`); `zip(…, strict=True)` over lists that
were made together; what a module does while it is loaded.

That a check is gone is noticed when a test fails, when its process dies in it, or when it has not
ended after 30 seconds. A module that no longer loads, or a fixture that fails, notices nothing.
Processes that a test starts lack the check, too, if they get its environment. Random examples are
the same each time.

To see one fail: `HSM_MPC_MUTANT='hsm_mpc/FILE FUNCTION: CHECK' .venv/bin/python -m pytest -p
tests.mutation.mutant tests/TEST`.
"""


@cache
def all_checks() -> list[Check]:
    """Every check that the page tells of."""
    return [check for folder in FOLDERS for check in checks_below(ROOT, f"hsm_mpc/{folder}")]


def claims(page: str) -> dict[str, str]:
    """The test that the page names for each check, by the check's name."""
    found, path = {}, ""
    for line in page.splitlines():
        if heading := _HEADING.match(line):
            path = heading["path"]
        elif row := _ROW.match(line):
            name = f"hsm_mpc/{path} {row['check']}".replace("\\|", "|")
            found[name] = f"tests/{row['test']}".replace("\\|", "|")
    return found


def whole(checks: Sequence[Check], claimed: Mapping[str, str]) -> str:
    """The page."""
    sections = []
    for path, each in groupby(checks, key=lambda check: check.path):
        rows = [_row(check, claimed.get(check.name, "")) for check in each]
        title = f"\n## {path.removeprefix('hsm_mpc/')}\n"
        sections.append("\n".join([title, "| check | noticed by |", "|---|---|", *rows, ""]))
    return INTRODUCTION.replace("{counts}", _counts(checks)) + "".join(sections)


def _counts(checks: Sequence[Check]) -> str:
    """How many there are, by package."""
    packages = Counter(check.path.split("/")[1] for check in checks)
    rows = [f"| `{package}/` | {count} |" for package, count in packages.items()]
    return "\n".join(["| package | checks |", "|---|---|", *rows, f"| all | {len(checks)} |"])


def _row(check: Check, test: str) -> str:
    shown = f"{check.function}: {check.text}".replace("|", "\\|")
    by = f"`{test.removeprefix('tests/')}`".replace("|", "\\|") if test else "nobody"
    return f"| `{shown}` | {by} |"
