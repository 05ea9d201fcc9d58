"""A HSM that fails in the middle of a signature, and comes back, leaves no copy of a secret either.

Looked for after each fault, while its error lives, and after the signature that follows: share,
delivery key, data key, nonces, what is computed of them, and the PIN that is read to log in again.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.memory_scan.fault_target import FAULTS, FEW
from tests.memory_scan.looks import SCANNERS, Looks, scanned

HANDLED: Final = {"key unknown", "decrypted, doubtful"}
"""Faults after which the holder asks once more, and nobody is told."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("few", marks=[pytest.mark.xdist_group("fault scan"), pytest.mark.long]),
        pytest.param("all", marks=[pytest.mark.xdist_group("all faults scan"), pytest.mark.long]),
    ],
)
def kind(request: pytest.FixtureRequest) -> str:
    return f"locked:{request.param}"


@pytest.fixture(scope="module")
def looks(kind: str, tmp_path_factory: pytest.TempPathFactory, softhsm_module: str) -> Looks:
    folder = tmp_path_factory.mktemp("scan")
    return scanned("faults", SCANNERS[0], folder, softhsm_module, kinds=[kind])


def test_no_secret_is_outside_of_the_protected_pages_whatever_failed(
    looks: Looks, kind: str
) -> None:
    assert {hit for hit in looks.hits(kind) if not hit[3]} == set()
    assert looks.everything_was_read()


def test_each_fault_came_in_each_round_and_a_signature_after_it(looks: Looks, kind: str) -> None:
    seen = looks.checkpoints(kind)
    for name in FAULTS if kind.endswith(":all") else FEW:
        in_request, in_sign = (
            next(each for each in seen if each.startswith(f"{name} in {round_}: "))
            for round_ in ("request", "sign")
        )
        assert in_request.endswith(": went on") is (name in HANDLED)
        handled = name in HANDLED or name == "drawn, answer lost"  # nothing is drawn in round 2
        assert in_sign.endswith(": went on") is handled
        assert {f"{name}: committed", f"{name}: signed"} <= set(seen)
    assert seen.count("PIN read") == 3  # at the start, and once in each round when it was gone


def test_every_secret_at_rest_was_in_the_protected_pages_and_goes(looks: Looks, kind: str) -> None:
    assert "PIN" in looks.secrets(kind, "PIN read", protected=True)
    for name in FEW:
        assert looks.secrets(kind, f"{name}: committed", protected=True) == {"k_1", "k_2"}
    assert looks.hits(kind, "all over") == set()
