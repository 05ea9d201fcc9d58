"""Each module's facts, found once for the whole run in a process and private folders of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hsm_mpc.lab.holder_folder import make_holder_folder
from hsm_mpc.lab.kind import TOKEN
from hsm_mpc.lab.kinds import KINDS
from hsm_mpc.lab.processes import environment
from hsm_mpc.secure.arena import Arena
from tests.conftest import ROOT, skip_where_left_out

LABEL = "facts"
SECONDS = 60.0


@pytest.fixture(scope="session")
def folder_of_the_run(softhsm_module: str) -> Iterator[Path]:
    """A short path, for sockets."""
    os.environ["HSM_MPC_SOFTHSM_MODULE"] = softhsm_module
    folder = Path(tempfile.mkdtemp(prefix="hsm-mpc-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def facts(folder_of_the_run: Path, name: str) -> dict[str, Any]:
    """What is so on the module `name`, which the test is parametrised with."""
    skip_where_left_out(name)
    return _facts(folder_of_the_run, name)


@cache
def _facts(parent: Path, name: str) -> dict[str, Any]:
    kind, folder = KINDS[name], parent / name
    arena = Arena(16 * 1024)
    make_holder_folder(folder, LABEL, kind, arena)
    arena.close()
    (folder / TOKEN).mkdir(mode=0o700, exist_ok=True)
    # It takes what it started along when it ends: the daemons are its children.
    told = subprocess.run(
        [*kind.before(folder), sys.executable, "-P", "-m", "tests.modules.facts", str(folder)],
        env=environment({**os.environ, "PYTHONPATH": str(ROOT)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=SECONDS,
        check=True,
    )
    found: dict[str, Any] = json.loads(told.stdout)
    return found
