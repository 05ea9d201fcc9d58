from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checks.steps_cited import steps_cited
from tests.scripts.conftest import Write

STEPS = """# Keys

### 2.5 Rounds
2.5.1 Draw.
**2.5.2** Send; see 9.9.9.
- 2.5.3a: check.
| 2.6.1 | a row |
"""


def test_without_documents_nothing_is_checked(project: Path, write: Write) -> None:
    write("hsm_mpc/a.py", "# step 1.2.3\n")
    assert steps_cited(project) == []


@pytest.mark.parametrize(
    "citation",
    ["# step 2.5.1", "(step 2.5)", '"""step 2.5.3a."""', "steps 2.5.1, 2.5.2 and 2.6.1", "x = 9.9"],
)
def test_known_steps_pass(project: Path, write: Write, citation: str) -> None:
    write("docs/protocols/keys.md", STEPS)
    write("hsm_mpc/a.py", f"{citation}\n")
    assert steps_cited(project) == []


@pytest.mark.parametrize(
    ("citation", "unknown"),
    [
        ("# step 2.5.3", "2.5.3"),
        ("steps 2.5.1, 2.5.4", "2.5.4"),
        ("steps 2.5.1–2.5.9", "2.5.9"),
        ("# step 9.9.9", "9.9.9"),  # cited in a document, defined nowhere
        ("a step\n    7.1", "7.1"),
    ],
)
def test_an_unknown_step_is_found(project: Path, write: Write, citation: str, unknown: str) -> None:
    write("docs/protocols/keys.md", STEPS)
    write("hsm_mpc/a.py", f"\n{citation}\n")
    assert steps_cited(project) == [f"hsm_mpc/a.py:2: docs/protocols has no step {unknown}"]
