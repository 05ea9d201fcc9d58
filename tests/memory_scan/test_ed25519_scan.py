"""An Ed25519 signer leaves no copy of share, nonces or a product of them, as a taproot signer does.

The secrets are those of step 4.5, scalars low byte first and last. Looked for after every call that
reads or writes one of them, while a lease is open, and once it is used, expired or its SIGN
refused.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.memory_scan.ed25519_secrets import SECRETS
from tests.memory_scan.looks import BACKENDS, SCANNERS, Looks, scanned

pytestmark = [pytest.mark.serial, pytest.mark.long]

ABORTS: Final = {
    "own COMMIT replaced": "ProtocolAbort",
    "nonce no point": "ProtocolAbort",
    "result wrong": "Tampered",
}
OPENING: Final = ["data key unwrapped", "share opened"]
DRAWING: Final = ["drawn", "hashed", "reduced", "found a scalar", "multiplied with B"]
SIGNING: Final = [
    *(3 * ["found a scalar"]),
    *("multiplied with B", "multiplied", "added", "multiplied", "added"),
    *("found a scalar", "multiplied with B"),  # the partial signature, before it is released
]


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory, softhsm_module: str) -> Looks:
    folder = tmp_path_factory.mktemp("scan")
    return scanned("ed25519", SCANNERS[-1], folder, softhsm_module)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_piece_of_a_signers_secret_is_outside_of_the_protected_pages(
    looks: Looks, backend: str
) -> None:
    kind = f"{backend}:careful"
    for checkpoint in looks.checkpoints(kind):
        assert {hit for hit in looks.hits(kind, checkpoint) if not hit[3]} == set(), checkpoint
    assert looks.everything_was_read()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_signer_went_all_the_ways_that_the_scan_is_about(looks: Looks, backend: str) -> None:
    seen = looks.checkpoints(f"{backend}:careful")
    stepwise = seen[2 : seen.index("thread over")]
    assert stepwise == [*OPENING, *2 * DRAWING, "committed", *OPENING, *SIGNING, "released"]
    after = seen[seen.index("thread over") + 1 :]
    assert after[:5] == ["committed", "released", "committed", "expired", "many signed"]
    refused = [(f"{name}: {failure}", f"{name}: over") for name, failure in ABORTS.items()]
    assert after[5:] == [*(each for pair in refused for each in pair), "all over", "arena closed"]


def test_every_secret_of_a_signature_was_in_the_protected_pages(looks: Looks) -> None:
    assert looks.secrets("locked:careful", protected=True) == set(SECRETS)


def test_an_open_lease_is_two_nonces_and_nothing_else(looks: Looks) -> None:
    assert looks.secrets("locked:careful", "committed", protected=True) == {"d", "e"}


def test_what_was_wiped_is_not_even_in_the_protected_pages(looks: Looks) -> None:
    over = [f"{name}: over" for name in ABORTS]
    for checkpoint in ["released", "thread over", "expired", "many signed", *over]:
        assert looks.hits("locked:careful", checkpoint) == set(), checkpoint


@pytest.mark.parametrize("secret", SECRETS)
def test_a_copy_that_is_kept_is_found_whatever_it_is_of(looks: Looks, secret: str) -> None:
    found = looks.hits("locked:leaking", "copies kept")
    assert (secret, "forward", "anonymous", False) in found
