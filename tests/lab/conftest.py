"""One lab of three holders with a 2-of-3 wallet, for all tests of this folder that ask for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.labs import Lab


@pytest.fixture(scope="session")
def three(softhsm_module: str) -> Iterator[Lab]:
    """A lab that is up, with the wallet `treasury`."""
    os.environ["HSM_MPC_SOFTHSM_MODULE"] = softhsm_module
    folder = Path(tempfile.mkdtemp(prefix="hsm-mpc-test-"))
    lab = Lab(folder / "lab", softhsm_module)
    try:
        lab.lab("up")
        lab.well("wallet", "create", "treasury", "--scheme", "taproot", "--threshold", "2")
        yield lab
    finally:
        if lab.folder.exists():
            lab.lab("destroy")
        shutil.rmtree(folder)


@pytest.fixture
def lab(three: Lab) -> Lab:
    """For a test that leaves everything up."""
    return three


@pytest.fixture
def battered(three: Lab) -> Iterator[Lab]:
    """The same lab, for a test that does not: everything is up again after it."""
    yield three
    three.lab("up")


@pytest.fixture(scope="session")
def message(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("messages") / "message"
    file.write_bytes(b"pay the baker")
    return file
