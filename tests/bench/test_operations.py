"""Floors are worth nothing if an operation returns at once because an argument is bad."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

from hsm_mpc.bench import curve, operations
from hsm_mpc.bench.operation import Operation
from hsm_mpc.secure.arena import Arena
from tests.bench.tables import all_tables

OF_THE_CURVE = (
    "ec_",
    "ecdh",
    "ecdsa_",
    "schnorrsig_",
    "tagged_sha256",
)


@pytest.fixture(scope="module")
def every_operation() -> list[Operation]:
    arena = Arena(16 * 1024)
    return sorted({count.operation for _, table in all_tables(arena) for count in table}, key=str)


def test_every_operation_runs(every_operation: list[Operation]) -> None:
    assert len(every_operation) > 30
    for operation in every_operation:
        operation.prepared()(2)


def test_every_function_of_the_curve_succeeds(
    every_operation: list[Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: dict[str, list[object]] = {}

    def recorded(*calls: tuple[Callable[..., object], *tuple[Any, ...]]) -> None:
        answers[operation.name] = [call[0](*call[1:]) for call in calls]

    monkeypatch.setattr(curve, "calls", recorded)
    of_the_curve = [each for each in every_operation if each.function.startswith(OF_THE_CURVE)]
    for operation in of_the_curve:
        operation.prepared()
    assert len(answers) > 12
    assert all(set(each) == {1} for each in answers.values()), answers


def test_the_verified_ed25519_signature_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[object] = []
    monkeypatch.setattr(operations, "calls", lambda call: answers.append(call[0](*call[1:])))
    operations.ED25519_VERIFY.prepared()
    assert answers == [0]


def test_two_operations_of_one_name_are_the_same() -> None:
    assert curve.sum_of_points(3) == curve.sum_of_points(3)
    assert curve.sum_of_points(3) != curve.sum_of_points(4)


def test_a_window_opens_and_closes_the_pages(arena: Arena) -> None:
    operations.window(arena).prepared()(3)
    with arena.open():
        pass


def test_an_audit_line_is_durable_and_its_state_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    with tempfile.TemporaryFile() as log, tempfile.TemporaryFile() as state:
        operations.durable_line(log.fileno(), state.fileno()).prepared()(2)
        assert synced == [log.fileno()] * 2
        assert [os.fstat(file.fileno()).st_size for file in (log, state)] == [400, 48]
