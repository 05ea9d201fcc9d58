"""Every test that docs/assurance.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

_NAMED = re.compile(r"`(test_[a-z0-9_]+)`")
_DEFINED = re.compile(r"^\s*def (test_[a-z0-9_]+)\(", re.MULTILINE)


def assurance(root: Path) -> list[str]:
    """A line for each test that is named and not there."""
    page = root / "docs" / "assurance.md"
    if not page.is_file():
        return []
    defined: set[str] = set()
    for file in sorted((root / "tests").rglob("test_*.py")):
        defined.update(_DEFINED.findall(file.read_text("utf-8")))
    named = _NAMED.findall(page.read_text("utf-8"))
    return [f"docs/assurance.md: no test is called {name}" for name in named if name not in defined]
