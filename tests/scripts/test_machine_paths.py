from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checks.machine_paths import machine_paths
from tests.scripts.conftest import Write

# Joined here, so that the check does not find this file.
FOUND = ["/" + "work/x", "see /" + "root/.ssh", "/" + "home/ann/x", "https://pypi" + ".org/simple"]
UNFINISHED = ["# TO" + "DO: later", "FIX" + "ME"]


@pytest.mark.parametrize("line", FOUND + UNFINISHED)
def test_it_is_found_with_its_line(project: Path, write: Write, line: str) -> None:
    write("docs/a.md", f"first\n{line}\n")
    (problem,) = machine_paths(project)
    assert problem.startswith("docs/a.md:2: ")


@pytest.mark.parametrize("line", ["our/work/x", "/usr/lib", "todo", "METHODOLOGY", "/workshop/x"])
def test_what_only_looks_like_it_passes(project: Path, write: Write, line: str) -> None:
    write("docs/a.md", line)
    assert machine_paths(project) == []


def test_binary_and_ignored_files_are_left_alone(project: Path, write: Write) -> None:
    write(".gitignore", "ignored\n")
    write("ignored", FOUND[0])
    (project / "picture").write_bytes(b"\xff\xfe" + FOUND[0].encode())
    assert machine_paths(project) == []
