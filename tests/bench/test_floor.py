from __future__ import annotations

import time

import pytest

from hsm_mpc.bench.floor import AboveFloor, Count, FloorLine, above_floor
from hsm_mpc.bench.measure import Batch, Cost, Measured, repeated
from hsm_mpc.bench.operation import Operation


def sleeping(seconds: float) -> Batch:
    def batch(repeats: int) -> None:
        end = time.process_time() + seconds * repeats
        while time.process_time() < end:
            pass

    return batch


def test_a_floor_is_the_sum_of_its_lines() -> None:
    lines = (FloorLine("1.1", "a", "f", 2, 3.0, 6.0), FloorLine("1.2", "b", "g", 1, 4.0, 4.0))
    measured = AboveFloor(Cost(15.0, 99.0), lines, {})
    assert measured.floor_us == 10.0
    assert measured.ratio == 1.5


def test_each_operation_is_measured_once_and_counted_wherever_it_stands() -> None:
    prepared: list[str] = []

    def operation(name: str, us: float) -> Operation:
        def prepare() -> Batch:
            prepared.append(name)
            return sleeping(us / 1e6)

        return Operation(name, f"{name}()", prepare)

    table = [
        Count("1.1", operation("a", 200), 2),
        Count("1.2", operation("b", 300), 1),
        Count("1.3", operation("a", 200), 0.5),
    ]
    others = {"peer": Measured(repeated(lambda: None), 1)}
    measured = above_floor(Measured(sleeping(0.001), 1), table, rounds=3, others=others)
    assert prepared == ["a", "b"]
    assert [(line.step, line.operation, line.function, line.count) for line in measured.lines] == [
        ("1.1", "a", "a()", 2),
        ("1.2", "b", "b()", 1),
        ("1.3", "a", "a()", 0.5),
    ]
    first, second, third = measured.lines
    assert first.each_us == third.each_us != second.each_us
    assert third.us == pytest.approx(0.5 * third.each_us)
    assert list(measured.others) == ["peer"]
