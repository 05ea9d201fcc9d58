"""`hsm-mpc bench --quick` as a script sees it."""

from __future__ import annotations

from typing import Any

import pytest

from hsm_mpc.bench import peers
from tests.bench.tables import SIZES
from tests.cli.conftest import Run

FIELDS = {
    "name",
    "t",
    "n",
    "cpu_us",
    "wall_us",
    "floor_us",
    "ratio_to_floor",
    "peers",
    "note",
}
WITH_FLOOR = ("signer.", "taproot.", "ed25519.", "envelope.")


def rows(run: Run, only: str) -> list[dict[str, Any]]:
    ran = run("--json", "bench", "--quick", "--only", only)
    assert ran.code == 0, ran.err
    assert {"machine", "versions", "rows"} == set(ran.document)
    found: list[dict[str, Any]] = ran.document["rows"]
    for row in found:
        assert set(row) >= FIELDS
        assert row["name"].startswith(only)
        if row["name"].startswith(WITH_FLOOR):
            assert row["floor_us"] == pytest.approx(
                sum(line["us"] for line in row["floor"]), abs=0.1
            )
            ratio = row["cpu_us"] / row["floor_us"]
            rounding = 0.005 + 0.06 * (1 + ratio) / row["floor_us"]
            assert row["ratio_to_floor"] == pytest.approx(ratio, abs=rounding)
            for line in row["floor"]:
                assert set(line) == {"step", "operation", "function", "count", "each_us", "us"}
    return found


@pytest.mark.long
def test_all_rows_are_measured_in_one_run(run: Run) -> None:
    """Several of them want a token, and a process has one folder of SoftHSM2 tokens."""
    names = {row["name"] for row in rows(run, "")}
    assert {"signer.unseal", "taproot.repair", "ed25519.dkg", "lab.refresh"} <= names


@pytest.mark.long
def test_the_rows_of_a_signer(run: Run) -> None:
    *unsealed, partial = rows(run, "signer")
    assert [row["name"] for row in unsealed] == 2 * ["signer.unseal"]
    for row, wallets in zip(unsealed, ("1 wrapping key", "50 wrapping keys"), strict=True):
        above = row["cpu_us"] - row["floor_us"]
        said, rest = row["note"].split(" µs above the bare decryption, target 60; ")
        assert float(said) == pytest.approx(above, abs=0.2)
        assert rest == f"{wallets} on the token"
    assert partial["name"] == "signer.partial"
    assert list(partial["spent_us"]) == [
        "unsealing and mathematics",
        "two audit lines",
        "envelopes and the rest",
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("taproot.sign", marks=pytest.mark.long),
        pytest.param("taproot.dkg", marks=pytest.mark.long),
        pytest.param("ed25519.sign", marks=pytest.mark.long),
        pytest.param("ed25519.dkg", marks=pytest.mark.long),
        pytest.param("taproot.refresh", marks=pytest.mark.long),
        pytest.param("ed25519.refresh", marks=pytest.mark.long),
        pytest.param("taproot.repair", marks=pytest.mark.long),
        pytest.param("ed25519.repair", marks=pytest.mark.long),
    ],
)
def test_a_row_for_each_size(run: Run, name: str) -> None:
    found = rows(run, name)
    assert [(row["name"], row["t"], row["n"]) for row in found] == [(name, *s) for s in SIZES]
    for row in found:
        if name.endswith((".refresh", ".repair")):
            assert row["peers"] == {}, "the peer has no such thing"
        elif peers._FROST is None:
            assert row["peers"] == {}
            assert "frost_rs is not installed" in row["note"]
        else:
            assert "frost_rs" in row["peers"]


def test_envelopes_are_counted_apart(run: Run) -> None:
    assert [row["name"] for row in rows(run, "envelope")] == ["envelope.sign", "envelope.verify"]


@pytest.mark.long
def test_a_whole_lab(run: Run) -> None:
    *found, refreshed = rows(run, "lab")
    assert (refreshed["name"], refreshed["failed"]) == ("lab.refresh", 0)
    asked = [(row["scheme"], row["in_flight"]) for row in found]
    assert asked == [("taproot", 1), ("taproot", 8), ("ed25519", 1), ("ed25519", 8)]
    for row in found:
        assert (row["name"], row["transport"]) == ("lab.sign", "unix")
        assert row["note"].startswith(f"{row['scheme']}, {row['in_flight']} in flight")
        assert row["per_second"] > 0
        assert 0 < row["p50_us"] <= row["p99_us"]
        assert list(row["spent_us"]) == ["client", "coordinator", "signers", "fronts"]


@pytest.mark.long
def test_the_memory_of_a_holder(run: Run) -> None:
    (row,) = rows(run, "agent")
    assert list(row["pss_kib"]) == ["signer", "front", "together"]


def test_a_prefix_of_nothing_measures_nothing(run: Run) -> None:
    assert rows(run, "nothing") == []
