from __future__ import annotations

from pathlib import Path

from scripts.checks.assurance import assurance
from tests.scripts.conftest import Write

TESTS = "def test_a_thing(x):\n    ...\n\nclass W:\n    def test_two(self):\n        ...\n"


def test_named_tests_that_exist_are_fine(project: Path, write: Write) -> None:
    write("tests/a/test_things.py", TESTS)
    write("docs/assurance.md", "| `test_a_thing` | `test_two` | `tests/memory_scan` |\n")
    assert assurance(project) == []


def test_no_page_is_fine(project: Path) -> None:
    assert assurance(project) == []


def test_a_named_test_that_does_not_exist_is_found(project: Path, write: Write) -> None:
    write("tests/a/test_things.py", TESTS)
    write("docs/assurance.md", "| `test_gone` |\n")
    assert assurance(project) == ["docs/assurance.md: no test is called test_gone"]
