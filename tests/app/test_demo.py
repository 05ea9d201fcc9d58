"""The demo is true: what it tells, it has done, on real processes and a real chain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsm_mpc.app import demo
from hsm_mpc.demo.chain import MATURITY
from hsm_mpc.errors import BadInput
from hsm_mpc.lab.processes import environment
from tests.conftest import ROOT, skip_where_left_out

COMMAND = [sys.executable, "-m", "hsm_mpc.cli.main"]


@pytest.fixture
def pkcs11_tool(monkeypatch: pytest.MonkeyPatch) -> str:
    skip_where_left_out("opensc")
    program = (ROOT / ".local/opensc/program").read_text("utf-8").strip()
    monkeypatch.setenv("HSM_MPC_PKCS11_TOOL", program)
    return program


def ran(module: str, *arguments: str) -> str:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment({**os.environ, "HSM_MPC_SOFTHSM_MODULE": module}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.xdist_group("lab")
@pytest.mark.usefixtures("pkcs11_tool")
def test_the_demo_tells_a_wallets_life(softhsm_module: str, tmp_path: Path) -> None:
    told = json.loads(ran(softhsm_module, "--json", "demo", "--dir", str(tmp_path / "lab")))
    start = MATURITY + 7
    assert told["heights"] == [start, *range(start, start + 8)]
    assert told["epoch"] == 4
    assert told["lamports"] == 10**9
    assert told["second_address"] != told["address"]
    assert told["old_share_noise"] is True
    assert told["old_key_listed"] == [True, False]
    assert told["refusal"] == "2 of 3 needed holders answer; missing: h3, h4, h5"
    assert told["share_opened"] is True
    assert told["share_noise"] is True
    assert told["address"].startswith("bcrt1p")
    status = json.loads(ran(softhsm_module, "--json", "lab", "status", "--dir", told["folder"]))
    assert status["supervisor_pid"] is None
    ran(softhsm_module, "lab", "destroy", "--dir", told["folder"])


def test_the_demo_takes_no_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="already there"):
        demo.tell(tmp_path, lambda _: None)
