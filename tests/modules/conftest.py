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
SECONDS = 240.0
"""Of a machine that has much else to do."""


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


@pytest.fixture
def holder_folder(facts: dict[str, Any], folder_of_the_run: Path, name: str) -> Path:
    """That of a holder on the module `name`, after `holder init`, with a share (shares.py)."""
    assert facts["share"] is True
    return folder_of_the_run / name


@cache
def _facts(parent: Path, name: str) -> dict[str, Any]:
    kind, folder = KINDS[name], parent / name
    arena = Arena(16 * 1024)
    make_holder_folder(folder, LABEL, kind, arena)
    arena.close()
    (folder / TOKEN).mkdir(mode=0o700, exist_ok=True)
    told, _ = told_by("facts", folder, name)
    return told


def told_by(
    program: str, folder: Path, name: str, *more: object, seconds: float = SECONDS
) -> tuple[dict[str, Any], str]:
    """What a program of this folder prints about the token of a holder on the module `name`: its
    JSON document, and its standard error."""
    command = [sys.executable, "-P", "-m", f"tests.modules.{program}", folder, *more]
    told = subprocess.run(
        [*KINDS[name].before(folder), *(str(each) for each in command)],
        env=environment({**os.environ, "PYTHONPATH": str(ROOT)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
    )
    assert told.returncode == 0, told.stderr.decode()
    found: dict[str, Any] = json.loads(told.stdout)
    return found, told.stderr.decode()
