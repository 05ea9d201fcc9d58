"""The command line as its users run it: a process of its own on the folder of a holder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, both outputs."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Stdout, which holds exactly one JSON document."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def run(softhsm_module: str) -> Run:
    """`run("doctor", config=…)`: hsm-mpc with these arguments."""

    def call(*arguments: str, config: Path | None = None, stdin: str | None = None) -> Ran:
        command = [sys.executable, "-m", "hsm_mpc.cli.main"]
        if config is not None:
            command += ["--config", str(config)]
        done = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            input=stdin,
            cwd=REPOSITORY,
            env={**os.environ, "HSM_MPC_SOFTHSM_MODULE": softhsm_module},
            timeout=600,  # ends what hangs; a busy machine may be slow
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def finished_story(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `demo --share` leaves behind: a holder whose one wrapping key is destroyed."""
    folder = tmp_path_factory.mktemp("story") / "h1"
    assert run("demo", "--share", "--dir", str(folder)).code == 0
    return folder


@pytest.fixture(scope="session")
def fresh_holder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A holder after `lab holder` and `holder init`; nobody changes it: see `holder`."""
    folder = tmp_path_factory.mktemp("fresh") / "h1"
    assert run("lab", "holder", "--dir", str(folder)).code == 0
    assert run("holder", "init", config=folder / "holder.yaml").code == 0
    return folder


@pytest.fixture
def holder(fresh_holder: Path, tmp_path: Path) -> Path:
    """A copy of a fresh holder, for a test that spoils it. The configuration moves with it."""
    folder = tmp_path / "h1"
    shutil.copytree(fresh_holder, folder)
    conf = folder / "softhsm2.conf"
    conf.write_text(conf.read_text("utf-8").replace(str(fresh_holder), str(folder)), "utf-8")
    return folder
