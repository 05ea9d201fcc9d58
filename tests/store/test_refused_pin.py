"""store/refused_pin.py: a refused PIN is not tried again until its source changed (decision 10)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsm_mpc.errors import PinRefused, Tampered
from hsm_mpc.store.refused_pin import RefusedPin

SOURCE = (4711, 1_700_000_000_123_456_789)
REWRITTEN = (4711, 1_700_000_001_000_000_000)
REPLACED = (4712, 1_700_000_000_123_456_789)


@pytest.fixture
def refused(folder: Path) -> RefusedPin:
    return RefusedPin(folder / "refused-pin")


def test_without_a_refusal_every_source_may_be_tried(refused: RefusedPin) -> None:
    assert not refused.check(SOURCE)
    assert not refused.check(None)


def test_forgetting_nothing_costs_nothing(
    refused: RefusedPin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fsync")
    refused.forget()


def test_a_refused_pin_is_not_tried_twice(refused: RefusedPin) -> None:
    refused.remember(SOURCE)
    for _ in range(2):
        with pytest.raises(PinRefused, match="holder login") as refusal:
            refused.check(SOURCE)
        assert not refusal.value.retryable


@pytest.mark.parametrize("changed", [REWRITTEN, REPLACED, (0,)])
def test_a_changed_source_is_tried_once(refused: RefusedPin, changed: tuple[int, ...]) -> None:
    refused.remember(SOURCE)
    assert refused.check(changed)
    refused.remember(changed)
    with pytest.raises(PinRefused):
        refused.check(changed)


def test_a_refusal_stands_until_another_pin_is_accepted(refused: RefusedPin) -> None:
    refused.remember(SOURCE)
    assert refused.check(REWRITTEN)
    assert refused.check(REWRITTEN)
    with pytest.raises(PinRefused):
        refused.check(SOURCE)
    refused.forget()
    assert not refused.check(REWRITTEN)
    assert not refused.check(SOURCE)


def test_a_refused_pin_from_a_prompt_waits_for_a_login(refused: RefusedPin) -> None:
    refused.remember(None)
    with pytest.raises(PinRefused):
        refused.check(None)
    refused.forget()
    assert not refused.check(None)


def test_a_prompt_does_not_count_as_a_changed_file(refused: RefusedPin) -> None:
    refused.remember(SOURCE)
    with pytest.raises(PinRefused):
        refused.check(None)


def test_a_file_counts_as_another_source_than_a_prompt(refused: RefusedPin) -> None:
    refused.remember(None)
    assert refused.check(SOURCE)


def test_times_before_1970_are_kept(refused: RefusedPin) -> None:
    refused.remember((1, -5))
    with pytest.raises(PinRefused):
        refused.check((1, -5))


@pytest.mark.parametrize("content", [b"", b"1 2", b"1  2\n", b"x\n", b"1 2\n\n", b"1" * 300])
def test_a_damaged_record_is_no_permission(folder: Path, content: bytes) -> None:
    path = folder / "refused-pin"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(Tampered, match="refused-pin"):
        RefusedPin(path).check(SOURCE)
    assert os.listdir(folder) == ["refused-pin"]
