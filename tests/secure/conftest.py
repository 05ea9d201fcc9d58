"""An arena of four pages on each kind of protected memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.mapping import Backend, memfd_secret_exists
from tests.conftest import NO_MEMFD_SECRET


@pytest.fixture(params=["memfd_secret", "locked"])
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param == "memfd_secret" and not memfd_secret_exists():
        pytest.skip(NO_MEMFD_SECRET)
    kind: Backend = request.param
    return kind


@pytest.fixture
def arena(backend: Backend) -> Iterator[Arena]:
    arena = Arena(4 * 4096, backend)
    yield arena
    arena.close()
