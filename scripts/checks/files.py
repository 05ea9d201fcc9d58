"""Which files the checks look at."""

from __future__ import annotations

import subprocess
from pathlib import Path


def project_files(root: Path, *suffixes: str) -> list[Path]:
    """The files under `root` that git tracks or would track, sorted; of these suffixes, if any."""
    # Reading is harmless, whoever the folder belongs to.
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    command = [*git, "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    paths = {root / name for name in listed.split("\0") if name}
    return sorted(
        path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)
    )


def lines_of(path: Path) -> list[str]:
    """The lines of a text file; none if it is not UTF-8 text."""
    try:
        return path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        return []
