"""What people see of a report."""

from __future__ import annotations

from hsm_mpc.bench.floor import FloorLine
from hsm_mpc.bench.report import Report, Row
from hsm_mpc.cli.bench import _table

SIGNED = Row(
    name="taproot.sign",
    note="a note",
    t=2,
    n=3,
    cpu_us=200.0,
    wall_us=210.0,
    floor_us=100.0,
    ratio_to_floor=2.0,
    peers={"frost_rs": 500.0},
    floor=(
        FloorLine("3.1.11", "verification", "schnorrsig_verify", 1, 40.0, 40.0),
        FloorLine("3.1.4", "sum of 2 points", "ec_pubkey_combine", 2, 10.0, 20.0),
        FloorLine("3.1.4", "sum of 3 points", "ec_pubkey_combine", 1, 20.0, 20.0),
        FloorLine("1.8.6a", "hash", "tagged_sha256", 0.5, 40.0, 20.0),
    ),
)
IN_LAB = Row(
    name="lab.sign",
    note="1 in flight",
    t=2,
    n=3,
    cpu_us=900.0,
    in_flight=1,
    per_second=80.04,
    p50_us=12000.0,
    p99_us=20000.0,
    transport="unix",
    spent_us={"client": 100.4, "signers": 800.0},
)
MEMORY = Row(name="agent.memory", note="", pss_kib={"signer": 10, "front": 20, "together": 30})


def lines_of(*rows: Row) -> list[str]:
    return _table(Report({}, {}, rows)).splitlines()


def test_a_row_shows_figures_peers_and_note() -> None:
    head, row, peer, *_ = lines_of(SIGNED)
    assert head.split() == ["cpu", "µs", "wall", "µs", "floor", "µs", "ratio", "note"]
    assert row.split() == ["taproot.sign", "2-of-3", "200.0", "210.0", "100.0", "2.00", "a", "note"]
    assert peer.strip() == "frost_rs: 500.0 µs CPU, 2.50 times ours"


def test_a_floor_is_added_up_by_step_and_function_in_the_order_of_numbers() -> None:
    lines = lines_of(SIGNED)
    at = lines.index("floor of taproot.sign 2-of-3: 100.0 µs")
    assert [line.split() for line in lines[at + 1 :]] == [
        ["1.8.6a", "20.0", "µs", "0.5", "×", "tagged_sha256"],
        ["3.1.4", "40.0", "µs", "3", "×", "ec_pubkey_combine"],
        ["3.1.11", "40.0", "µs", "1", "×", "schnorrsig_verify"],
    ]


def test_what_does_not_apply_is_not_shown() -> None:
    assert [line.strip() for line in lines_of(MEMORY)[1:]] == [
        "agent.memory",
        "signer 10 KiB, front 20 KiB, together 30 KiB",
    ]


def test_a_lab_shows_throughput_and_where_the_time_goes() -> None:
    shown = [line.strip() for line in lines_of(IN_LAB)[2:]]
    assert shown == [
        "80.0 a second; p50 12000 µs, p99 20000 µs; transport unix",
        "CPU per signature: client 100 µs, signers 800 µs",
    ]


def test_a_refresh_shows_signing_beside_it_and_its_slow_parts() -> None:
    row = Row(
        name="lab.refresh",
        note="",
        wall_us=500_000.0,
        p50_us=12000.0,
        p99_us=20000.0,
        p99_alone_us=15000.0,
        failed=0,
        parts_us={"keys": 900.4, "registers": 4000.0},
    )
    shown = [line.strip() for line in lines_of(row)[2:]]
    assert shown == [
        "signing meanwhile: p50 12000 µs, p99 20000 µs; without: p99 15000 µs",
        "slow parts of one holder alone: keys 900 µs, registers 4000 µs",
    ]
