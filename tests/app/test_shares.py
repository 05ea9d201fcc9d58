"""Sealed shares as an operator asks for them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hsm_mpc.app import shares
from hsm_mpc.app.shares import ListedShare, Shares
from hsm_mpc.errors import BadInput

NOWHERE = Path("/nowhere")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def listed(wallet: str, epoch: int) -> ListedShare:
    return ListedShare(wallet, "taproot", epoch, "active", f"{wallet}-{epoch}", (), (), 500, NOW)


def test_of_two_epochs_the_newer_one_is_inspected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store lists them by their hashes, in whichever order those are."""
    held = tuple(listed("treasury", epoch) for epoch in (9, 10, 8))
    monkeypatch.setattr(shares, "list_all", lambda *_: Shares((*held, listed("savings", 11))))
    monkeypatch.setattr(shares, "inspect", str)
    assert str(shares.inspect_wallet(NOWHERE, "treasury", prompt=False)) == "treasury-10"
    with pytest.raises(BadInput, match="no wallet of that name"):
        shares.inspect_wallet(NOWHERE, "vault", prompt=False)
