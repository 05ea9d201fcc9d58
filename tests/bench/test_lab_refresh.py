"""A client that signs all the time while wallets are refreshed, and what a refresh is made of."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hsm_mpc.bench import lab_refresh
from hsm_mpc.bench.lab_refresh import MeasuredWallet
from hsm_mpc.errors import BackendError
from hsm_mpc.hsm.token import Token
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import Worlds
from tests.crash.driving import BOTH, drive
from tests.named_steps import observed


def slow_refresh() -> None:
    time.sleep(0.05)


def test_each_wallet_is_signed_with_while_it_is_refreshed() -> None:
    signed: Counter[str] = Counter()

    def sign(name: str, _: bytes) -> None:
        signed[name] += 1
        time.sleep(0.001)

    wallets = [MeasuredWallet(partial(sign, name), slow_refresh) for name in ("a", "b")]
    row = lab_refresh.row("taproot", wallets, {"keys": 7.04}, seconds=0.05)
    assert signed["b"] > 3
    assert signed["a"] > signed["b"]  # it was signed with before, too
    assert (row.name, row.scheme, row.t, row.n) == ("lab.refresh", "taproot", 2, 3)
    assert row.wall_us and row.wall_us >= 50_000
    assert row.p50_us and row.p99_us and row.p99_alone_us
    assert 1000 <= row.p50_us <= row.p99_us
    assert (row.failed, row.parts_us) == (0, {"keys": 7.0})


def test_a_request_that_fails_is_counted_and_ends_nothing() -> None:
    calls = 0

    def sign(_: bytes) -> None:
        nonlocal calls
        calls += 1
        time.sleep(0.001)
        if calls % 3 == 0:
            raise BackendError("away")

    row = lab_refresh.row("taproot", [MeasuredWallet(sign, slow_refresh)], {}, seconds=0.05)
    assert row.failed == calls // 3
    assert f"{row.failed} requests failed" in row.note


@pytest.mark.usefixtures("shielded")
def test_a_refresh_is_made_of_so_many_slow_parts(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, seen = worlds(2), Counter[str]()
    making = Making.of(world)
    drive(making)
    refreshing = Refreshing(world, making.certificate().body, BOTH, making.dones)

    def synced(honest: Callable[[int], None], descriptor: int) -> None:
        seen["synced"] += 1
        honest(descriptor)

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, partial(synced, getattr(os, name)))

    def observer(moment: str, name: str) -> None:
        seen[f"{moment} {name}"] += 1

    with observed(observer):
        refreshing.drive()
    holders = len(BOTH)
    assert seen["after key.generate"] == holders * lab_refresh.KEYS_MADE
    assert seen["after register.create"] == holders * lab_refresh.REGISTERS_WRITTEN
    assert seen["synced"] == holders * lab_refresh.FILES_MADE_DURABLE


def test_each_part_is_measured_alone(token: Token, tmp_path: Path) -> None:
    parts = lab_refresh.parts(token, tmp_path / "durable", rounds=3)
    assert parts.keys() == {"keys", "registers", "files"}
    assert all(us > 0 for us in parts.values())
