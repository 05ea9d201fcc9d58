"""Structure only: no test here judges how long anything took."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hsm_mpc.secure.arena import Arena
from tests.agent.conftest import shielded as shielded
from tests.agent.conftest import stores as stores
from tests.agent.conftest import worlds as worlds
from tests.cli.conftest import run as run
from tests.softhsm import hsm_module as hsm_module
from tests.softhsm import pin_arena as pin_arena
from tests.softhsm import shared_token as shared_token
from tests.softhsm import token as token


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena(128 * 1024)
    yield made
    made.close()
