"""Repairs on disk: what was said, and what waits for a share (step 6.7.2)."""

from __future__ import annotations

from pathlib import Path

from hsm_mpc.store.repairs import RepairDocument, Repairs
from tests.named_steps import observed

SID = b"s" * 32


def test_what_was_said_in_a_repair_is_there_again(folder: Path) -> None:
    repairs = Repairs(folder)
    assert repairs.orders() == ()
    repairs.keep(SID, RepairDocument.ORDER, b"order")
    repairs.keep(b"t" * 32, RepairDocument.SPLIT, b"split")
    assert repairs.kept(SID, RepairDocument.ORDER) == b"order"
    assert repairs.kept(SID, RepairDocument.SPLIT) is None
    assert repairs.orders() == (b"order",)


def test_a_lineage_takes_the_place_of_the_one_before(folder: Path) -> None:
    repairs = Repairs(folder / "wallet")
    assert repairs.lineage() is None
    repairs.put_lineage(b"one")
    repairs.put_lineage(b"one and two")
    assert repairs.lineage() == b"one and two"


def test_an_offer_takes_the_place_of_the_one_before(folder: Path) -> None:
    repairs = Repairs(folder / "wallet")
    assert repairs.offer() is None
    steps: list[str] = []
    with observed(lambda when, name: steps.append(name)):
        repairs.remove_offer()
    assert steps == []
    repairs.put_offer(b"one")
    repairs.put_offer(b"two")
    assert repairs.offer() == b"two"
    repairs.remove_offer()
    assert repairs.offer() is None
