from __future__ import annotations

import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.scripts.conftest import Write

LINT = Path(sys.executable).parent / "lint-imports"

CONTRACT = """[importlinter]
root_package = tiny
include_external_packages = True
contract_types =
    forbidden_if_present: scripts.checks.forbidden_if_present.ForbiddenIfPresent
[importlinter:contract:c]
name = c
type = forbidden_if_present
source_modules =
    tiny.source
    tiny.later
forbidden_modules =
    tiny.forbidden
    tiny.much_later
    random
"""


def test_contracts_name_only_modules_of_the_layers() -> None:
    """A contract skips a module that does not exist, so a misspelled one would hold for nothing."""
    settings = ConfigParser()
    settings.read(ROOT / ".importlinter")
    placed = set(re.findall(r"\w+", settings["importlinter:contract:layers"]["layers"]))
    for contract in settings.sections()[2:]:
        named = re.findall(
            r"hsm_mpc\.(\w+)",
            settings[contract]["source_modules"]
            + settings[contract]["forbidden_modules"]
            + settings[contract].get("ignore_imports", ""),
        )
        assert set(named) <= placed, contract


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("import json", True),
        ("import random", False),
        ("from tiny import forbidden", False),
    ],
)
def test_absent_modules_are_skipped_and_present_ones_are_not(
    project: Path, write: Write, source: str, kept: bool
) -> None:
    write(".importlinter", CONTRACT)
    for name, text in {"__init__": "", "source": source, "forbidden": ""}.items():
        write(f"tiny/{name}.py", text + "\n")
    run = subprocess.run([LINT, "--no-cache"], cwd=project, capture_output=True, text=True)
    assert (run.returncode == 0) is kept, run.stdout
    assert f"{int(kept)} kept, {int(not kept)} broken" in run.stdout
