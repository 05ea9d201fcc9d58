"""How old the shares of a holder are, and which of them waits for its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.app import shares
from hsm_mpc.app.holder import OpenHolder
from hsm_mpc.app.status import held_shares
from hsm_mpc.errors import Tampered
from hsm_mpc.ids import WalletId
from hsm_mpc.store.epochs import Epochs
from tests.agent.simulate import Worlds
from tests.coordinator.office import Office


class StoreOf:
    """As much of an opened holder as a list of shares wants."""

    def __init__(self, holder: ActingHolder) -> None:
        self._holder = holder

    def epochs(self) -> Iterator[tuple[WalletId, Epochs]]:
        for wallet_id in self._holder.store.wallet_ids():
            yield wallet_id, self._holder.epochs(wallet_id)


@pytest.fixture
def office(worlds: Worlds, tmp_path: Path) -> Iterator[Office]:
    with Office.opened(worlds(3), tmp_path / "coordinator") as office:
        yield office


def held_by(office: Office, index: int) -> list[tuple[str, int, str, bool]]:
    holder = cast(OpenHolder, StoreOf(office.world.parties[index].acting))
    return [(each.wallet, each.epoch, each.state, each.retires) for each in held_shares(holder)]


def test_the_oldest_share_comes_first_and_an_epoch_waits_beside_its_successor(
    office: Office,
) -> None:
    office.made("b")
    office.world.now[0] += 60
    office.made("a")
    assert held_by(office, 1) == [("b", 0, "active", False), ("a", 0, "active", False)]
    office.world.now[0] += 60
    office.links[3].down = True
    office.client.refresh("b", (3,))
    assert held_by(office, 1) == [
        ("b", 0, "active", True),
        ("a", 0, "active", False),
        ("b", 1, "adopted", False),
    ]
    assert held_by(office, 3) == [("b", 0, "active", False), ("a", 0, "active", False)]
    office.links[3].down = False
    wallet = office.registry.named("b")
    assert wallet is not None
    office.refresher.advance(wallet)
    assert held_by(office, 1) == [("a", 0, "active", False), ("b", 1, "active", False)]
    holder = cast(OpenHolder, StoreOf(office.world.parties[1].acting))
    assert [each.sealed_at.timestamp() for each in held_shares(holder)] == [
        office.world.clock() - 60,
        office.world.clock(),
    ]


def test_shares_that_are_replaced_meanwhile_are_looked_for_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.made("a")
    honest, failures = shares.of, [Tampered("gone meanwhile")] * 2

    def gone(holder: OpenHolder) -> shares.Shares:
        if failures:
            raise failures.pop()
        return honest(holder)

    monkeypatch.setattr(shares, "of", gone)
    assert held_by(office, 1) == [("a", 0, "active", False)]
    failures += [Tampered("gone for good")] * 3
    with pytest.raises(Tampered):
        held_by(office, 1)
