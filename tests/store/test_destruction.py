"""A wallet's end on disk (step 6.10.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm_mpc.store.destruction import Destruction, DestructionDocument
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import EpochState
from tests.named_steps import observed
from tests.store.records import INDEX, KEY, WALLET, H, record


def test_an_end_is_decided_once_it_is_on_disk(folder: Path) -> None:
    destruction = Destruction(folder)
    assert not destruction.is_decided
    destruction.keep(DestructionDocument.DESTROY, b"what goes")
    assert destruction.is_decided
    assert destruction.kept(DestructionDocument.DESTROY) == b"what goes"
    assert destruction.kept(DestructionDocument.DESTROYED) is None


@pytest.mark.parametrize("state", [EpochState.ACTIVE, EpochState.STAGED])
def test_nothing_but_public_documents_is_left(folder: Path, state: EpochState) -> None:
    epochs = Epochs(folder / "wallet", WALLET, INDEX, KEY.sign, KEY.public.verify)
    epochs.seal(record(state), b"blob")
    epochs.keep(H, EpochDocument.CERTIFICATE, b"certificate")
    epochs.forget_shares()
    left = [path.name for path in (folder / "wallet").rglob("*") if path.is_file()]
    assert left == ["certificate"]
    steps: list[str] = []
    with observed(lambda when, name: steps.append(name)):
        epochs.forget_shares()
    assert steps == []
