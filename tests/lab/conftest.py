"""One lab of three holders with a 2-of-3 wallet, for all tests of this folder that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm_mpc.lab.kinds import KINDS
from tests.conftest import skip_where_left_out
from tests.lab.labs import Lab, temporary_lab


@pytest.fixture(scope="session")
def three(softhsm_module: str) -> Iterator[Lab]:
    """A lab that is up, with the wallet `treasury`."""
    with temporary_lab(softhsm_module) as lab:
        lab.well("wallet", "create", "treasury", "--scheme", "taproot", "--threshold", "2")
        yield lab


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


@pytest.fixture
def mixed(softhsm_module: str) -> Iterator[Lab]:
    """Four holders on four modules."""
    for name in KINDS:
        skip_where_left_out(name)
    with temporary_lab(softhsm_module, list(KINDS)) as lab:
        yield lab
