from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from hsm_mpc.bench import lab


def test_so_many_signatures_are_in_flight() -> None:
    at_once, most = 0, 0
    lock = threading.Lock()
    messages: set[bytes] = set()

    def sign(message: bytes) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            messages.add(message)
        time.sleep(0.002)
        with lock:
            at_once -= 1

    row = lab.signing_row("taproot", sign, {"coordinator": [os.getpid()]}, in_flight=4, seconds=0.1)
    assert most == 4
    assert (row.name, row.scheme, row.in_flight) == ("lab.sign", "taproot", 4)
    assert (row.transport, row.t, row.n) == ("unix", 2, 3)
    assert row.per_second and row.p50_us and row.p99_us
    assert 2000 <= row.p50_us <= row.p99_us
    assert list(row.spent_us) == ["client", "coordinator"]
    assert row.cpu_us == pytest.approx(sum(row.spent_us.values()), abs=0.11)
    assert len(messages) > 40


def test_a_percentile_is_one_of_the_values() -> None:
    assert lab.percentile([5.0, 1.0, 3.0], 99) == 5.0
    assert lab.percentile([1.0] * 99 + [7.0], 99) == 7.0
    assert lab.percentile([1.0] * 199 + [7.0], 99) == 1.0


def test_memory_is_told_by_process_and_together() -> None:
    row = lab.memory_row({"signer": os.getpid(), "front": os.getpid()})
    assert row.name == "agent.memory"
    assert row.pss_kib["signer"] > 1000
    assert row.pss_kib["together"] == row.pss_kib["signer"] + row.pss_kib["front"]
    assert "PSS" in row.note


def test_what_only_root_may_know_is_replaced_by_all_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = lab._field

    def forbidden(file: Path, name: str) -> int:
        if file.name == "smaps_rollup":
            raise PermissionError
        return known(file, name)

    monkeypatch.setattr(lab, "_field", forbidden)
    row = lab.memory_row({"signer": os.getpid()})
    assert row.pss_kib["signer"] > 1000
    assert "RSS" in row.note
    assert "PSS" not in row.note
