from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from hsm_mpc.bench import curve, edwards, schemes, tables
from hsm_mpc.bench.dkg import Holders, ext_bytes
from hsm_mpc.bench.floor import Count
from hsm_mpc.bench.operation import Operation
from hsm_mpc.bench.refresh import Epoch
from hsm_mpc.bench.repair import Loss
from hsm_mpc.bench.schemes import ED25519, TAPROOT, MeasuredScheme
from hsm_mpc.bench.sign import Signers
from hsm_mpc.bench.tables_dkg import transcript_bytes
from hsm_mpc.bench.tables_refresh import refreshed
from hsm_mpc.bench.tables_repair import repaired
from hsm_mpc.groups.sharing import lagrange
from hsm_mpc.secure import sodium_ed25519
from hsm_mpc.secure.arena import Arena
from tests.bench.tables import SIZES, STAND_IN, all_tables, generation
from tests.conftest import ROOT

COSTLY = {
    "is_point": edwards.TEST_POINT,
    "multiplied": edwards.PRODUCT,
    "diffie_hellman": edwards.PRODUCT,
    "base_multiplied": edwards.BASE,
    "point_of": edwards.BASE,
}
"""Functions below the face of the group, by what they do in libsodium."""

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
    assert times(table, curve.POINT_PRODUCT, "3.4.12") == 2 * t
    assert times(table, curve.TWO_PRODUCTS, "3.5.1") == t
    assert times(table, curve.POINT_PRODUCT) == (t + 1) + 3 * t
    assert times(table, curve.SECRET_TIMES_G) == 4 * t
    assert times(table, curve.PARSE_POINT) == 2 * t * (t - 1) + 2 * t


@pytest.mark.parametrize(("t", "n"), SIZES)
def test_a_key_generation_checks_each_dealt_share(t: int, n: int) -> None:
    table = generation(TAPROOT, t, n, STAND_IN)
    assert times(table, curve.SECRET_TIMES_G, "2.5.8") == n
    sums = [count for count in table if count.step == "2.5.8" and "sum" in count.operation.name]
    # n dealers, t − 1 sums each, at each of n holders; a floor is that of one holder
    assert sum(count.times for count in sums) * n == n * (t - 1) * n
    assert times(table, curve.KEY_AGREEMENT) == 3 * n
    assert times(table, curve.TWO_PRODUCTS) == 2 * (n - 1)


def test_a_released_partial_is_checked_by_its_signer_as_each_of_a_signature() -> None:
    alone = tables.released_partial(2, 32, STAND_IN, STAND_IN, STAND_IN)
    both = tables.signature(2, 32, STAND_IN)
    for operation, often in ((curve.SECRET_TIMES_G, 1), (curve.POINT_PRODUCT, 2)):
        assert times(alone, operation, "3.4.12") == often
        assert times(both, operation, "3.4.12") == 2 * often


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Counter[Operation]:
    """How often the product calls what costs much on Ed25519, from here on."""
    counted: Counter[Operation] = Counter()

    def count_calls(name: str, operation: Operation) -> None:
        original = getattr(sodium_ed25519, name)

        def counting(*arguments: Any) -> Any:
            counted[operation] += 1
            return original(*arguments)

        monkeypatch.setattr(sodium_ed25519, name, counting)

    for name, operation in COSTLY.items():
        count_calls(name, operation)
    added = sodium_ed25519.added

    def counting_sums(points: Iterable[bytes]) -> bytes:
        addends = list(points)
        counted[edwards.SUM] += max(0, len(addends) - 1)
        return added(addends)

    monkeypatch.setattr(sodium_ed25519, "added", counting_sums)
    return counted


@pytest.mark.parametrize(("t", "n"), SIZES)
def test_a_signature_on_ed25519_does_no_more_than_its_floor_counts(
    t: int, n: int, arena: Arena, called: Counter[Operation]
) -> None:
    signers = Signers(ED25519, t, n, arena)
    signers.open_shares(2)
    signers.sign_anew()  # the public shares are computed once
    called.clear()
    signers.sign_anew()
    signers.close()
    table = ED25519.signature(t, 32, STAND_IN)
    assert called == {operation: times(table, operation) for operation in called}
    assert set(called) == {*COSTLY.values(), edwards.SUM}


@pytest.mark.parametrize(("t", "n"), SIZES)
def test_a_key_generation_on_ed25519_does_no_more_than_its_floor_counts(
    t: int, n: int, arena: Arena, called: Counter[Operation]
) -> None:
    holders = Holders(ED25519.suite, t, n, arena)
    called.clear()
    holders.generate()
    holders.close()
    table = generation(ED25519, t, n, STAND_IN)
    called[edwards.TEST_POINT] -= n  # each holder parses its own static key, too
    assert called == {operation: n * times(table, operation) for operation in called}
    assert set(called) == {*COSTLY.values(), edwards.SUM}


@pytest.mark.parametrize(("t", "n"), SIZES)
def test_a_refresh_checks_each_delta(t: int, n: int) -> None:
    table = refreshed(TAPROOT.curve, t, n, STAND_IN)
    assert times(table, curve.SECRET_TIMES_G, "6.4.3") == n
    sums = [count for count in table if count.step == "6.4.3" and "sum" in count.operation.name]
    # n dealers, t − 2 sums each, at each of n holders; a floor is that of one holder
    assert sum(count.times for count in sums) * n == n * (t - 2) * n
    assert times(table, curve.KEY_AGREEMENT) == 3 * n
    assert times(table, curve.TWO_PRODUCTS) == 3 * (n - 1)


@pytest.mark.parametrize(("t", "n"), [(2, 3), (3, 5), pytest.param(11, 16, marks=pytest.mark.long)])
def test_a_refresh_on_ed25519_does_no_more_than_its_floor_counts(
    t: int, n: int, arena: Arena, called: Counter[Operation]
) -> None:
    epoch = Epoch(ED25519.suite, t, n, arena)
    called.clear()
    epoch.renew()
    epoch.close()
    table = refreshed(ED25519.curve, t, n, STAND_IN)
    called[edwards.BASE] -= n  # each holder makes sure that its delivery key is its own
    assert called == {operation: n * times(table, operation) for operation in called}
    assert set(called) == {*COSTLY.values(), edwards.SUM}


@pytest.mark.parametrize(("t", "n"), SIZES)
def test_a_repair_checks_each_delta_and_each_sum(t: int, n: int) -> None:
    table = repaired(TAPROOT.curve, t, n, STAND_IN)
    # t deltas are dealt to each of t helpers, and each is checked there
    assert times(table, curve.SECRET_TIMES_G, "6.7.4") == t * t
    # every party multiplies the public share of each helper by its factor
    assert times(table, curve.POINT_PRODUCT) == (t + 1) * t
    assert times(table, curve.KEY_AGREEMENT) == t * (3 * t + 2) + 2 * t
    # each R1 and each R2 has two proofs
    assert times(table, curve.TWO_PRODUCTS) == 2 * t * (t - 1) + 2 * 2 * t


@pytest.mark.parametrize(("t", "n"), [(2, 3), (3, 5), pytest.param(11, 16, marks=pytest.mark.long)])
def test_a_repair_on_ed25519_does_no_more_than_its_floor_counts(
    t: int, n: int, arena: Arena, called: Counter[Operation]
) -> None:
    loss = Loss(ED25519.suite, t, n, arena)
    called.clear()
    loss.repair()
    loss.close()
    table = repaired(ED25519.curve, t, n, STAND_IN)
    called[edwards.BASE] -= t + 1  # each party makes sure that its delivery key is its own
    order, helpers = ED25519.suite.group.order, range(1, t + 1)
    factors = [lagrange(helper, helpers, order, n) for helper in helpers]
    signs = sum(factor in (1, order - 1) for factor in factors)  # need no product
    called[edwards.PRODUCT] += (t + 1) * signs
    assert called == {operation: times(table, operation) for operation in called}
    assert set(called) == {*COSTLY.values(), edwards.SUM}


@pytest.mark.parametrize("scheme", schemes.ALL, ids=lambda scheme: scheme.name)
def test_the_transcript_is_as_long_as_the_table_says(scheme: MeasuredScheme, arena: Arena) -> None:
    holders = Holders(scheme.suite, 2, 3, arena)
    wanted = transcript_bytes(scheme.suite, 2, 3, ext_bytes(scheme.suite, 3))
    for keep in holders.generate().values():
        assert len(keep.transcript) == wanted
    holders.close()
