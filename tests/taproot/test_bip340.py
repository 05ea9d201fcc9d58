from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hsm_mpc.errors import InvalidSignature
from hsm_mpc.groups.secp256k1 import verify_bip340


def test_the_nineteen_vectors_of_bip_340_are_judged_as_published(vectors: Path) -> None:
    """Step 3.1.11: nine verify, ten do not; messages have 0 to 100 bytes."""
    with (vectors / "bips" / "bip-0340-test-vectors.csv").open(encoding="utf-8") as file:
        cases = list(csv.DictReader(file))
    assert len(cases) == 19
    for case in cases:
        key, message, signature = (
            bytes.fromhex(case[column]) for column in ("public key", "message", "signature")
        )
        if case["verification result"] == "TRUE":
            verify_bip340(key, message, signature)
        else:
            with pytest.raises(InvalidSignature):
                verify_bip340(key, message, signature)
