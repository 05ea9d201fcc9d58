"""Floors are worth nothing if an operation returns at once because an argument is bad."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

from hsm_mpc.bench import curve, edwards, operations
from hsm_mpc.bench.operation import Operation
from hsm_mpc.secure.arena import Arena
from tests.bench.tables import all_tables

OF_LIBSECP256K1 = (
    "ec_",
    "ecdh",
    "ecdsa_",
    "schnorrsig_",
    "tagged_sha256",
)


WITHOUT_ANSWER = (
    "crypto_core_ed25519_scalar_reduce",
    "crypto_core_ed25519_scalar_mul",
    "crypto_core_ed25519_scalar_add",
)


@pytest.fixture(scope="module")
def every_operation() -> list[Operation]:
    arena = Arena(16 * 1024)
    return sorted({count.operation for _, table in all_tables(arena) for count in table}, key=str)


def test_every_operation_runs(every_operation: list[Operation]) -> None:
    assert len(every_operation) > 50
    for operation in every_operation:
        operation.prepared()(2)


def answers(
    wanted: list[Operation], monkeypatch: pytest.MonkeyPatch
) -> dict[str, tuple[str, list[object]]]:
    """By the name of an operation: its function, and what each of its calls answers."""
    found: dict[str, tuple[str, list[object]]] = {}

    def recorded(*calls: tuple[Callable[..., object], *tuple[Any, ...]]) -> None:
        found[operation.name] = operation.function, [call[0](*call[1:]) for call in calls]

    for module in (curve, edwards, operations):
        monkeypatch.setattr(module, "calls", recorded)
    for operation in wanted:
        operation.prepared()
    return found


def test_every_function_of_libsecp256k1_succeeds(
    every_operation: list[Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [each for each in every_operation if each.function.startswith(OF_LIBSECP256K1)]
    found = answers(wanted, monkeypatch)
    assert len(found) > 12
    assert all(set(each) == {1} for _, each in found.values()), found


def test_every_function_of_libsodium_succeeds(
    every_operation: list[Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [each for each in every_operation if each.function.startswith("crypto_")]
    found = answers(wanted, monkeypatch)
    assert len(found) > 12
    for function, answered in found.values():
        if function == "crypto_core_ed25519_is_valid_point":
            assert answered == [1]
        elif function in WITHOUT_ANSWER:
            assert answered == [None]
        else:
            assert answered == [0], function


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
