from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BadInput
from hsm_mpc.ids import HolderIndex
from hsm_mpc.sealing.context import Context, Pair
from tests.sealing.blobs import PAIR_CONTEXT

LIMITS = {
    "holder": (1, 255),
    "scheme": (1, 255),
    "epoch": (0, (1 << 32) - 1),
    "threshold": (1, 255),
}


def changed(field: str, value: Any) -> Context:
    changes: dict[str, Any] = {field: value}
    return replace(PAIR_CONTEXT, **changes)


@pytest.mark.parametrize(("field", "limits"), LIMITS.items())
def test_a_field_at_its_limits_is_taken_and_one_beyond_is_refused(
    field: str, limits: tuple[int, int]
) -> None:
    lowest, highest = limits
    for value in limits:
        assert getattr(changed(field, value), field) == value
    for value in (lowest - 1, highest + 1):
        with pytest.raises(BadInput, match=f"{field} is"):
            changed(field, value)


@pytest.mark.parametrize(("field", "size"), [("wallet_id", 16), ("epoch_hash", 32)])
def test_a_name_of_another_length_is_refused(field: str, size: int) -> None:
    for length in (0, size - 1, size + 1):
        with pytest.raises(BadInput, match=f"{field} is {size} bytes"):
            changed(field, bytes(length))


@pytest.mark.parametrize(
    ("peer", "generation", "field"),
    [(0, 1, "peer"), (256, 1, "peer"), (1, 0, "generation"), (1, 65536, "generation")],
)
def test_a_pair_beyond_its_ranges_is_refused(peer: int, generation: int, field: str) -> None:
    with pytest.raises(BadInput, match=f"{field} is"):
        Pair(HolderIndex(peer), generation)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wallet_id", bytes(16)),
        ("holder", 2),
        ("scheme", 2),
        ("epoch", 4),
        ("threshold", 3),
        ("epoch_hash", bytes(32)),
        ("pair", Pair(HolderIndex(2), 8)),
    ],
)
def test_every_field_counts_and_a_difference_is_named(field: str, value: Any) -> None:
    other = changed(field, value)
    assert other != PAIR_CONTEXT
    assert PAIR_CONTEXT.differences(other) == (field,)
