"""Code cites the protocol's numbered steps; every number must exist in the documents."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.checks.files import project_files

_NUMBER = r"\d+(?:\.\d+)+[a-z]?"
# "step 1.6.5", "steps 1.1.2, 1.1.3 and 2.5.4"; a range is checked at its ends.
_CITATION = re.compile(
    rf"\bsteps?\s+{_NUMBER}(?:(?:\s*,\s*|\s+and\s+|\s+to\s+|\s*[-–]\s*){_NUMBER})*"
)
# A step begins a line, a heading, a list entry or a table row.
_STEP = re.compile(rf"^(?:#+\s+|[-*]\s+|\|\s*)?\**({_NUMBER})\**(?=[\s.:|]|$)", re.MULTILINE)


def steps_cited(root: Path) -> list[str]:
    """Every step that hsm_mpc cites is a step of docs/protocols/*.md, once that folder exists."""
    documents = sorted((root / "docs" / "protocols").glob("*.md"))
    if not documents:
        return []
    steps = {step for path in documents for step in _STEP.findall(path.read_text("utf-8"))}
    problems = []
    for path in project_files(root, ".py"):
        if not path.is_relative_to(root / "hsm_mpc"):
            continue
        text = path.read_text("utf-8")
        for citation in _CITATION.finditer(text):
            line = text.count("\n", 0, citation.start()) + 1
            problems += [
                f"{path.relative_to(root)}:{line}: docs/protocols has no step {number}"
                for number in re.findall(_NUMBER, citation.group())
                if number not in steps
            ]
    return problems
