"""A coordinator that lost its registry finds every wallet again, and believes nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hsm_mpc.coordinator import recovery
from hsm_mpc.errors import BadInput
from hsm_mpc.hsm.module import Module
from hsm_mpc.ids import WalletId
from hsm_mpc.secure.arena import Arena
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.holdings import Holding
from tests.agent.conftest import shielded
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World
from tests.coordinator.office import Office, soon

__all__ = ["shielded"]

Honest = Callable[[Sequence[bytes]], tuple[bytes, ...]]


@pytest.fixture
def lost(shared_world: tuple[World, Path], tmp_path: Path) -> Iterator[Office]:
    """A coordinator with an empty registry, whose holders have the wallet `treasury`."""
    with Office.opened(shared_world[0], tmp_path / "new") as office:
        yield office


@contextmanager
def lying(office: Office, index: int, change: Callable[[Holding], Holding]) -> Iterator[None]:
    """Holder `index` tells of its wallets what is not so; the others are away."""

    def tamper(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is not HolderMethod.WALLETS:
            return answer
        return tuple(change(Holding.from_bytes(each)).to_bytes() for each in answer)

    office.links[index].tamper = tamper
    for other in office.links.keys() - {index}:
        office.links[other].down = True
    yield
    office.links[index].tamper = None
    for other in office.links:
        office.links[other].down = False


def test_a_wallet_that_is_asked_for_is_found_at_the_holders(lost: Office) -> None:
    assert lost.client.names() == ()
    wallet = lost.client.show("treasury")
    assert lost.client.names() == ("treasury",)
    lost.signed(wallet)


def test_one_holder_is_enough_to_find_everything(lost: Office) -> None:
    lost.links[1].down = lost.links[3].down = True
    assert lost.client.show("treasury").threshold == 2


def test_a_wallet_can_be_signed_with_after_the_registry_was_lost(
    lost: Office, shared_world: tuple[World, Path]
) -> None:
    with Office.opened(*shared_world) as office:
        wallet = office.client.show("treasury")
    lost.links[2].down = True
    lost.signed(wallet)


def test_at_start_every_holder_is_asked_until_it_has_answered(
    lost: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_PAUSE", 0.01)
    for link in lost.links.values():
        link.down = True
    lost.recovery.begin()
    assert soon(lambda: len(lost.links[2].asked) > 1)
    lost.links[2].down = False
    assert soon(lambda: lost.registry.named("treasury") is not None)
    lost.recovery.end()


def test_what_is_known_is_not_asked_for_again(shared_office: Office) -> None:
    before = shared_office.registry.all()
    assert shared_office.recovery.from_all() == {1, 2, 3}
    assert shared_office.registry.all() == before


def test_a_certificate_that_does_not_verify_is_not_taken(lost: Office) -> None:
    def flip(holding: Holding) -> Holding:
        forged = bytearray(holding.certificate)
        forged[-1] ^= 1
        return replace(holding, certificate=bytes(forged))

    with lying(lost, 2, flip), pytest.raises(BadInput, match="no wallet called"):
        lost.client.show("treasury")


def test_the_name_is_the_certified_one(lost: Office) -> None:
    with lying(lost, 2, lambda holding: replace(holding, name="other")):
        with pytest.raises(BadInput):
            lost.client.show("other")
        assert lost.client.names() == ("treasury",)


def test_confirmations_that_are_none_are_not_taken(lost: Office) -> None:
    swapped = lying(lost, 2, lambda holding: replace(holding, dones=holding.dones[::-1]))
    with swapped, pytest.raises(BadInput):
        lost.client.show("treasury")


def test_a_wallet_without_certificate_is_nobody_s_yet(lost: Office) -> None:
    with lying(lost, 2, lambda holding: replace(holding, certificate=b"", dones=())):
        lost.recovery.from_all()
    assert lost.registry.all() == ()


def test_confirmations_that_were_missing_are_taken_later(lost: Office) -> None:
    with lying(lost, 2, lambda holding: replace(holding, dones=())):
        lost.recovery.from_all()
        (found,) = lost.registry.all()
        assert found.dones == ()
    lost.recovery.from_all()
    (found,) = lost.registry.all()
    assert len(found.dones) == 3


def test_of_two_wallets_of_one_name_the_first_stays(
    lost: Office, shared_world: tuple[World, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    lost.recovery.from_all()
    (found,) = lost.registry.all()
    with lost.registry._database:
        lost.registry._database.execute("UPDATE wallets SET wallet_id = ?", (b"?" * 16,))
    lost.recovery.from_all()
    (still,) = lost.registry.all()
    assert (still.wallet_id, still.name) == (WalletId(b"?" * 16), found.name)
    assert "registered already" in capfd.readouterr().err


def test_a_holder_that_tells_for_ever_is_left(lost: Office) -> None:
    """Its pages never end: the same wallet again and again."""

    def again(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        return honest([] if method is HolderMethod.WALLETS else parts)

    lost.links[1].tamper = again
    lost.links[2].down = lost.links[3].down = True
    assert lost.recovery.from_all() == frozenset()


def test_a_holder_that_tells_too_much_is_left(
    lost: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_MOST", 0)
    assert lost.recovery.from_all() == frozenset()


@pytest.mark.usefixtures("shielded")
def test_of_two_successors_the_one_that_was_retired_into_is_found(
    hsm_module: Module, pin_arena: Arena, tmp_path: Path
) -> None:
    """Holder 1 has adopted another one, of an attempt that the others went past without it."""
    with World.made(hsm_module, pin_arena, tmp_path, 4) as world:
        making = Making.of(world)
        certificate = making.active()
        overtaken = Refreshing(world, certificate.body, (1, 2, 4), making.dones)
        overtaken.made()
        overtaken.adopt(1)
        decided = Refreshing(world, certificate.body, (2, 3, 4), making.dones, attempts=1)
        decided.drive()
        with Office.opened(world, tmp_path / "coordinator") as office:
            found = office.client.show("treasury")
            assert found.body == decided.successor
            assert office.signed(found, b"pay", (2, 3)).epoch_hash == found.body.hash
            wallet = office.registry.named("treasury")
            assert wallet is not None
            office.refresher.advance(wallet)
            assert office.signed(found, b"pay", (1, 2)).epoch_hash == found.body.hash


@pytest.mark.usefixtures("shielded")
def test_confirmations_of_two_attempts_do_not_end_all_refreshing(
    hsm_module: Module, pin_arena: Arena, tmp_path: Path
) -> None:
    """Holder 1 has adopted in the attempt that made it, the others in one that carries it on."""
    with World.made(hsm_module, pin_arena, tmp_path, 4) as world:
        making = Making.of(world)
        certificate = making.active()
        made = Refreshing(world, certificate.body, (1, 2, 4), making.dones)
        made.made()
        made.adopt(1)
        made.adopt(2)
        carrying = Refreshing(world, certificate.body, (2, 3, 4), making.dones, attempts=1)
        carrying.joined()
        carrying.certificate, carrying.transcript = made.certificate, made.transcript
        carrying.adopt(3, made.transcript)
        world.now[0] += 10
        with Office.opened(world, tmp_path / "coordinator") as office:
            assert office.client.show("treasury").body == made.successor
            renewed = office.client.refresh("treasury", [])
            assert renewed.newest is not None
            assert renewed.newest.retired
