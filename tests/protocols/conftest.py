"""One arena for the tests of the protocols; whatever a test takes is wiped when it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hsm_mpc.protocols.suite import Suite
from hsm_mpc.protocols.suite_ed25519 import CocktailEd25519
from hsm_mpc.protocols.suite_secp256k1 import CocktailSecp256k1
from hsm_mpc.secure.arena import Arena, Take
from hsm_mpc.secure.xaes import Xaes256Gcm
from tests.protocols.keygen import STATICS, Dealt, Party, deal, parties


@pytest.fixture(scope="session")
def protocol_arena() -> Iterator[Arena]:
    arena = Arena(512 * 1024)
    yield arena
    arena.close()


@pytest.fixture
def take(protocol_arena: Arena) -> Iterator[Take]:
    with protocol_arena.scope() as take:
        yield take


@pytest.fixture(scope="session")
def suite() -> CocktailSecp256k1:
    return CocktailSecp256k1(Xaes256Gcm())


@pytest.fixture(scope="session", params=["secp256k1", "ed25519"])
def any_suite(request: pytest.FixtureRequest, suite: CocktailSecp256k1) -> Suite:
    """Each of the suites that are built."""
    return suite if request.param == "secp256k1" else CocktailEd25519()


@pytest.fixture
def three(any_suite: Suite, take: Take) -> list[Party]:
    """2-of-3, before round 1."""
    return parties(any_suite, take, 2, STATICS)


@pytest.fixture
def dealt(three: list[Party]) -> Dealt:
    return deal(three)
