from __future__ import annotations

import gc
import time

from hsm_mpc.bench.measure import Measured, repeated, side_by_side


def test_every_round_runs_all_operations_one_after_another() -> None:
    ran: list[str] = []
    side_by_side(
        [
            Measured(repeated(lambda: ran.append("a")), 2),
            Measured(lambda n: ran.append(f"b{n}"), 3),
        ],
        rounds=2,
    )
    assert ran == ["a", "b1", *(["a", "a", "b3"] * 2)]


def test_what_is_laid_out_beforehand_is_not_timed() -> None:
    laid_out: list[int] = []

    def before(repeats: int) -> None:
        laid_out.append(repeats)
        time.sleep(0.02)

    (cost,) = side_by_side([Measured(repeated(lambda: None), 4, before)], rounds=3)
    assert laid_out == [1, 4, 4, 4]
    assert cost.wall_us < 5000


def test_the_time_is_shared_out_among_repeats_and_parties() -> None:
    def sleep(repeats: int) -> None:
        time.sleep(0.002 * repeats)

    alone, shared = side_by_side([Measured(sleep, 5), Measured(sleep, 5, parties=2)], rounds=3)
    assert alone.wall_us > 2000
    assert 1000 < shared.wall_us < alone.wall_us


def test_no_garbage_is_collected_meanwhile_and_again_after() -> None:
    states: list[bool] = []
    side_by_side([Measured(repeated(lambda: states.append(gc.isenabled())), 1)], rounds=2)
    assert states == [False] * 3
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        side_by_side([Measured(repeated(lambda: None), 1)], rounds=1)
        assert not gc.isenabled()
    finally:
        gc.enable()
