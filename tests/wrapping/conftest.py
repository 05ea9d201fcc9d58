from __future__ import annotations

from collections.abc import Iterator

import pytest

from hsm_mpc.secure.arena import Arena
from tests.softhsm import hsm_module as hsm_module
from tests.softhsm import pin_arena as pin_arena
from tests.softhsm import shared_token as shared_token
from tests.softhsm import token as token
from tests.wrapping.softhsm import make_softhsm_key as make_softhsm_key
from tests.wrapping.softhsm import make_softhsm_rsa_key as make_softhsm_rsa_key


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena(16 * 1024)
    yield made
    made.close()
