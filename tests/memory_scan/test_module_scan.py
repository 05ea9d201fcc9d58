"""What is left in memory on each module: of ours nothing; of the module's what is said here.

Each module has memory of its own (own_memory.c), so that its leftovers and ours are told apart.
docs/threat-model.md has the same table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from hsm_mpc.lab.kinds import KINDS
from tests.conftest import skip_where_left_out
from tests.memory_scan import own_memory
from tests.memory_scan.looks import SCANNERS, Looks, scanned
from tests.memory_scan.module_scene import ModuleFolder

KIND: Final = "locked:careful"
"""Pages that the scanner can read, so that it sees that it looks for the right values."""

OF_THE_MODULE: Final = own_memory.MAPPING
OF_THE_SERVER: Final = "process p11-kit-remote"
LEFTOVERS: Final = {
    "softhsm": set[tuple[str, str]](),
    "nss": set[tuple[str, str]](),
    "p11kit": {
        ("PIN", OF_THE_MODULE),
        ("PIN", OF_THE_SERVER),
        ("data key", OF_THE_MODULE),
        ("data key", OF_THE_SERVER),
    },
    "opencryptoki": {("data key", OF_THE_MODULE)},
}
"""Secret and place, at any checkpoint."""
NEVER_LEFT: Final = {"x", "v"}
"""A share is never given to a module."""
GOOD_WAY: Final = ["logged in", "data key unwrapped", "share opened", "wiped"]


def _marks(name: str) -> list[pytest.MarkDecorator]:
    """One worker has all tests of one scan; the gate has that of NSS, and SoftHSM2's own."""
    group = pytest.mark.xdist_group(f"module scan, {name}")
    return [group] if name == "nss" else [group, pytest.mark.long]


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=_marks(name)) for name in LEFTOVERS]
)
def kind_name(request: pytest.FixtureRequest) -> str:
    """The kinds of tokens."""
    skip_where_left_out(request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def looks(kind_name: str, softhsm_module: str) -> Iterator[Looks]:
    """The scan of one holder's process, and of the processes that its module brings along."""
    with (
        tempfile.TemporaryDirectory(prefix="hsm-mpc-scan-") as place,  # short, for sockets
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("HSM_MPC_SOFTHSM_MODULE", softhsm_module)
        folder = ModuleFolder(Path(place))
        own_memory.made(folder.path)
        before = KINDS[kind_name].before(folder.holder)
        yield scanned("module", SCANNERS[0], folder.path, kind_name, kinds=[KIND], before=before)


def outside(looks: Looks, checkpoint: str) -> set[tuple[str, str]]:
    """Secrets outside of the protected pages, and where."""
    hits = looks.hits(KIND, checkpoint)
    return {(secret, where) for secret, _, where, protected in hits if not protected}


def test_outside_of_protected_pages_is_what_the_module_leaves_and_nothing_else(
    looks: Looks, kind_name: str
) -> None:
    found = set[tuple[str, str]]()
    for checkpoint in looks.checkpoints(KIND)[:-1]:
        found |= outside(looks, checkpoint)
    assert found == LEFTOVERS[kind_name]
    assert not {secret for secret, _ in found} & NEVER_LEFT


def test_every_secret_was_there_to_be_found(looks: Looks) -> None:
    assert looks.everything_was_read()
    seen = looks.checkpoints(KIND)[1:]
    assert seen == ["PIN read", *GOOD_WAY, "refused", "many opened", "copies kept"]
    assert looks.secrets(KIND, "PIN read", protected=True) == {"PIN"}
    assert looks.secrets(KIND, "share opened", protected=True) == {"data key", "x", "v"}
    assert looks.secrets(KIND, "wiped", protected=True) == set()


def test_a_copy_of_ours_is_found_beside_what_the_module_leaves(looks: Looks) -> None:
    ours = {where for _, where in outside(looks, "copies kept")} - {OF_THE_MODULE, OF_THE_SERVER}
    assert ours == {"anonymous"}
    found = {secret for secret, where in outside(looks, "copies kept") if where == "anonymous"}
    assert found == {"PIN", "data key", "x", "v"}
