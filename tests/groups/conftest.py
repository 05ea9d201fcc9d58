"""One arena for the tests of the groups; whatever a test takes is wiped when it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hsm_mpc.secure.arena import Arena, Take


@pytest.fixture(scope="session")
def group_arena() -> Iterator[Arena]:
    arena = Arena()
    yield arena
    arena.close()


@pytest.fixture
def take(group_arena: Arena) -> Iterator[Take]:
    with group_arena.scope() as take:
        yield take
