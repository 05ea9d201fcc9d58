"""What an operator is asked before a share goes for ever."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc.app import holder, shares
from hsm_mpc.cli import share
from hsm_mpc.cli.output import Output
from hsm_mpc.errors import BadInput
from tests.cli.test_output import Terminal


def test_a_person_says_yes_before_a_share_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    discarded: list[str] = []

    def discard(_: Path, wallet: str, __: bool) -> shares.Discarded:
        discarded.append(wallet)
        return shares.Discarded(wallet, "00" * 16)

    monkeypatch.setattr(holder, "protect", lambda: None)
    monkeypatch.setattr(shares, "discard", discard)
    monkeypatch.setattr(sys, "stdin", Terminal(sys.stdin))
    asked: list[str] = []

    def refuse(_: Output, question: str) -> None:
        asked.append(question)
        raise BadInput("not confirmed")

    with monkeypatch.context() as answering:
        answering.setattr(Output, "confirm", refuse)
        context: Any = SimpleNamespace(obj=Output(config=Path("holder.yaml")))
        with pytest.raises(BadInput):
            share.discard(context, "treasury")
    (question,) = asked
    assert "wallet treasury be destroyed, for ever" in question
    assert discarded == []
    context = SimpleNamespace(obj=Output(config=Path("holder.yaml"), yes=True))
    share.discard(context, "treasury")
    assert discarded == ["treasury"]
