"""Nothing in the project may lead to one machine, name a package registry, or wait to be done."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.checks.files import lines_of, project_files

# Written apart so that this file does not find itself.
_FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.-])/" + r"(?:work|root|home/\w+)/"),
    "a registry's host": re.compile(
        r"\b(?:pypi\.org|pythonhosted\.org|deb\.debian\.org|archive\.ubuntu\.com"
        r"|crates\.io|registry\.npmjs\.org|proxy\.golang\.org|repo1?\.maven\.org)\b".replace(
            r"\.", r"[.]"
        )
    ),
    "a note to do something later": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b"),
}


def machine_paths(root: Path) -> list[str]:
    """No absolute path of a user's folder, no registry host, no note of unfinished work."""
    return [
        f"{path.relative_to(root)}:{number}: {what}"
        for path in project_files(root)
        for number, line in enumerate(lines_of(path), 1)
        for what, pattern in _FORBIDDEN.items()
        if pattern.search(line)
    ]
