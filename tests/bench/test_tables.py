from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from hsm_mpc.bench import curve, tables
from hsm_mpc.bench.dkg import Holders, ext_bytes
from hsm_mpc.bench.floor import Count
from hsm_mpc.bench.operation import Operation
from hsm_mpc.secure.arena import Arena
from tests.bench.tables import SIZES, STAND_IN, all_tables
from tests.conftest import ROOT

STEP = re.compile(r"^(?:\|\s*)?\**(\d+(?:\.\d+)+[a-z]?)\**(?=[\s.:|]|$)", re.MULTILINE)


def times(table: Iterable[Count], operation: Operation, step: str | None = None) -> float:
    return sum(
        count.times
        for count in table
        if count.operation == operation and step in (None, count.step)
    )


def test_every_step_stands_in_the_protocols(arena: Arena) -> None:
    pages = (ROOT / "docs" / "protocols").glob("*.md")
    known = {step for page in pages for step in STEP.findall(page.read_text("utf-8"))}
    for name, table in all_tables(arena):
        unknown = {count.step for count in table} - known
        assert not unknown, (name, unknown)


def test_every_count_is_positive(arena: Arena) -> None:
    for name, table in all_tables(arena):
        assert all(count.times > 0 for count in table), name


@pytest.mark.parametrize("t", [2, 3, 11])
def test_a_signature_verifies_every_partial_once_at_each_end(t: int) -> None:
    table = tables.signature(t, 32, STAND_IN)
    assert times(table, curve.TWO_PRODUCTS, "3.4.12") == t
    assert times(table, curve.TWO_PRODUCTS, "3.5.1") == t
    assert times(table, curve.POINT_PRODUCT) == (t + 1) + 2 * t
    assert times(table, curve.SECRET_TIMES_G) == 3 * t
    assert times(table, curve.PARSE_POINT) == 2 * t * (t - 1) + 2 * t


@pytest.mark.parametrize(("t", "n"), SIZES)
def test_a_key_generation_checks_each_dealt_share(t: int, n: int) -> None:
    table = tables.key_generation(t, n, ext_bytes(n), STAND_IN)
    assert times(table, curve.SECRET_TIMES_G, "2.5.8") == n
    sums = [count for count in table if count.step == "2.5.8" and "sum" in count.operation.name]
    # n dealers, t − 1 sums each, at each of n holders; a floor is that of one holder
    assert sum(count.times for count in sums) * n == n * (t - 1) * n
    assert times(table, curve.KEY_AGREEMENT) == 3 * n
    assert times(table, curve.TWO_PRODUCTS) == 2 * (n - 1)


def test_a_released_partial_is_checked_by_its_signer_as_each_of_a_signature() -> None:
    alone = tables.released_partial(2, 32, STAND_IN, STAND_IN, STAND_IN)
    both = tables.signature(2, 32, STAND_IN)
    for operation in (curve.TWO_PRODUCTS, curve.POINT_PRODUCT):
        assert times(both, operation, "3.4.12") == 2 * times(alone, operation, "3.4.12") == 2


def test_the_transcript_is_as_long_as_the_table_says(arena: Arena) -> None:
    holders = Holders(2, 3, arena)
    for keep in holders.generate().values():
        assert len(keep.transcript) == tables.transcript_bytes(2, 3, ext_bytes(3))
    holders.close()
