"""No copy of a share, of a nonce or of a product of them is at rest outside of the protected pages.

The secrets are those of step 3.4.13. Looked for after every call that reads or writes one of them,
while a lease is open, and once it is used, expired or its SIGN refused.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.conftest import NO_MEMFD_SECRET
from tests.memory_scan.looks import BACKENDS, SCANNERS, SECRET_PAGES, Looks, scanned
from tests.memory_scan.signing_secrets import SECRETS

pytestmark = pytest.mark.serial

ABORTS: Final = {
    "own COMMIT replaced": "ProtocolAbort",
    "nonce no point": "ProtocolAbort",
    "output key changed": "BadInput",
    "result wrong": "Tampered",
}
OPENING: Final = ["data key unwrapped", "share opened"]
DRAWING: Final = ["hashed", "hashed", "joined", "hashed", "hashed", *2 * ["multiplied with G"]]
SIGNING: Final = [
    *("multiplied with G", "multiplied", "added", "multiplied", "added"),
    "multiplied with G",  # the partial signature, before it is released
]
ONE_SIGN: Final = "−(k_1 + b·k_2)"
"""In memory for every second signature, on average."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(scanner, marks=pytest.mark.long) if scanner == "root" else scanner
        for scanner in SCANNERS
    ],
)
def looks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, softhsm_module: str
) -> Looks:
    """The scan itself, once as each kind of scanner."""
    return scanned("signing", request.param, tmp_path_factory.mktemp("scan"), softhsm_module)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_piece_of_a_signers_secret_is_outside_of_the_protected_pages(
    looks: Looks, backend: str
) -> None:
    kind = f"{backend}:careful"
    for checkpoint in looks.checkpoints(kind):
        hits = {hit for hit in looks.hits(kind, checkpoint) if not hit[3]}
        assert hits == set(), checkpoint


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_signer_went_all_the_ways_that_the_scan_is_about(looks: Looks, backend: str) -> None:
    seen = looks.checkpoints(f"{backend}:careful")
    stepwise = [each for each in seen[: seen.index("thread over")] if each != "negated"]
    signed = [*OPENING, *DRAWING, "committed", *OPENING, *SIGNING, "released"]
    assert stepwise[2:] == signed
    after = seen[seen.index("thread over") + 1 :]
    assert after[:5] == ["committed", "released", "committed", "expired", "many signed"]
    refused = [(f"{name}: {failure}", f"{name}: over") for name, failure in ABORTS.items()]
    assert after[5:] == [*(each for pair in refused for each in pair), "all over", "arena closed"]


def test_every_secret_of_a_signature_was_in_the_protected_pages(looks: Looks) -> None:
    """Where the scan looks for the right values, it finds them while they are there."""
    found = looks.secrets("locked:careful", protected=True)
    assert found | {ONE_SIGN} == set(SECRETS)


def test_an_open_lease_is_two_nonces_and_nothing_else(looks: Looks) -> None:
    assert looks.secrets("locked:careful", "committed", protected=True) == {"k_1", "k_2"}


def test_what_was_wiped_is_not_even_in_the_protected_pages(looks: Looks) -> None:
    refused = [f"{name}: {failure}" for name, failure in ABORTS.items()]
    over = [f"{name}: over" for name in ABORTS]
    for checkpoint in ["released", "thread over", "expired", "many signed", *refused, *over]:
        assert looks.hits("locked:careful", checkpoint) == set(), checkpoint


@pytest.mark.skipif("memfd_secret" not in BACKENDS, reason=NO_MEMFD_SECRET)
def test_nobody_reads_an_open_lease_in_secret_memory(looks: Looks) -> None:
    kind = "memfd_secret:careful"
    assert looks.hits(kind) == set()
    assert looks.unreadable(kind)["committed"] == {SECRET_PAGES}
    assert looks.unreadable(kind)["arena closed"] == set()


def test_everything_else_was_read(looks: Looks) -> None:
    assert looks.everything_was_read()


@pytest.mark.parametrize("secret", SECRETS)
def test_a_copy_that_is_kept_is_found_whatever_it_is_of(looks: Looks, secret: str) -> None:
    found = looks.hits("locked:leaking", "copies kept")
    assert (secret, "forward", "anonymous", False) in found
