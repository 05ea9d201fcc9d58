"""Domain tags: written in one file, all different, and the same as the documented list."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from scripts.checks.files import lines_of, project_files

OWN = "hsm-mpc/v1/"
_OWN_TAG = re.compile(re.escape(OWN) + r"[a-z0-9/-]*[a-z0-9]")


def tags_unique(root: Path) -> list[str]:
    """A tag of ours stands only in hsm_mpc/tags.py, once, and in docs/protocols/tags.md."""
    package = root / "hsm_mpc"
    home = package / "tags.py"
    problems = [
        f"{path.relative_to(root)}:{number}: a tag of ours outside of tags.py; use Tag"
        for path in project_files(root, ".py")
        if path.is_relative_to(package) and path != home
        for number, line in enumerate(lines_of(path), 1)
        if OWN in line
    ]
    if not home.exists():
        return problems
    tags = _assigned_strings(home)
    problems += [
        f"hsm_mpc/tags.py: {tag} stands {count} times"
        for tag, count in Counter(tags).items()
        if count > 1
    ]
    listed = root / "docs" / "protocols" / "tags.md"
    if listed.exists():
        documented = set(_OWN_TAG.findall(listed.read_text("utf-8")))
        built = {tag for tag in tags if tag.startswith(OWN)}
        problems += [f"docs/protocols/tags.md lacks {tag}" for tag in sorted(built - documented)]
        problems += [f"hsm_mpc/tags.py lacks {tag}" for tag in sorted(documented - built)]
    return problems


def _assigned_strings(path: Path) -> list[str]:
    """Every string that the file assigns to a name, in order."""
    return [
        node.value.value
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
