"""Generated parts of the documents are what their generator makes today."""

from __future__ import annotations

from pathlib import Path

from scripts.checks.files import project_files
from scripts.checks.generate_docs import regenerated

REMEDY = ".venv/bin/python -m scripts.checks.generate_docs"


def docs_fresh(root: Path) -> list[str]:
    """Every Markdown file equals itself with its generated parts made anew."""
    problems = []
    for page in project_files(root, ".md"):
        text = page.read_text("utf-8")
        try:
            fresh = regenerated(text)
        except KeyError as unknown:
            problems.append(f"{page.relative_to(root)}: no generator called {unknown}")
            continue
        if fresh != text:
            problems.append(f"{page.relative_to(root)}: old; run {REMEDY}")
    return problems
