"""What waits for somebody is asked on, whatever else goes wrong (step 6.5.7)."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.coordinator import refresh_keeper
from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.refresh_keeper import RefreshKeeper
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.successions import Succession
from hsm_mpc.errors import Refused
from hsm_mpc.wire.calls import HolderMethod
from tests.coordinator.office import Office, soon

Honest = Callable[[Sequence[bytes]], tuple[bytes, ...]]
Newest = tuple[EpochBody, Succession | None]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh_keeper, "_PAUSE", 0.01)


@contextmanager
def kept(office: Office) -> Iterator[list[str]]:
    """A keeper at work; what it reports."""
    reports: list[str] = []
    keeper = RefreshKeeper(office.refresher, office.registry, reports.append)
    keeper.begin()
    yield reports
    keeper.end()


def retired(office: Office, name: str) -> bool:
    newest = office.client.show(name).newest
    return newest is not None and newest.retired and not newest.waiting_for


def waiting(office: Office, name: str) -> None:
    """A wallet whose refresh waits for holder 3."""
    office.made(name)
    office.links[3].down = True
    office.client.refresh(name, [3])


def test_who_comes_back_catches_up_by_itself(office: Office) -> None:
    waiting(office, "treasury")
    with kept(office):
        office.links[3].down = False
        assert soon(lambda: retired(office, "treasury"))


def test_the_keeper_asks_and_begins_no_attempt(office: Office) -> None:
    """However often a holder says that the one under way is overtaken (step 6.5.11)."""
    asked = [0]

    def never(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.ADOPT:
            asked[0] += 1
            raise Refused("attempt-overtaken", "a higher attempt than this one was joined")
        return honest(parts)

    office.made()
    office.links[3].tamper = never
    office.client.refresh("treasury", [])
    with kept(office):
        before = asked[0]
        assert soon(lambda: asked[0] > before + 3)
    assert office.links[1].asked.count(HolderMethod.JOIN) == 1


def test_a_registry_that_fails_once_does_not_end_the_keeper(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(office, "treasury")
    honest, failures = Registry.living, [sqlite3.OperationalError("disk I/O error")]

    def once(registry: Registry) -> tuple[Registered, ...]:
        if failures:
            raise failures.pop()
        return honest(registry)

    monkeypatch.setattr(Registry, "living", once)
    with kept(office):
        office.links[3].down = False
        assert soon(lambda: retired(office, "treasury"))
    assert not failures


def test_a_wallet_that_cannot_be_looked_at_costs_the_others_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.made("broken")
    waiting(office, "treasury")
    honest = Refresher.newest

    def damaged(refresher: Refresher, wallet: Registered) -> Newest:
        if wallet.name == "broken":
            raise IndexError("a row is missing")
        return honest(refresher, wallet)

    monkeypatch.setattr(Refresher, "newest", damaged)
    with kept(office) as reports:
        office.links[3].down = False
        assert soon(lambda: retired(office, "treasury"))
        assert any("broken" in report for report in reports)


def test_what_fails_because_all_of_it_ends_is_no_failure(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry is closed, and the links are: of each wallet there would be a line."""
    office.made()
    reached, ended = threading.Event(), threading.Event()

    def closed(*_: object) -> Newest:
        reached.set()
        ended.wait(5)
        raise sqlite3.ProgrammingError("Cannot operate on a closed database.")

    monkeypatch.setattr(Refresher, "newest", closed)
    with kept(office) as reports:
        assert reached.wait(5)
    ended.set()
    assert soon(lambda: not any(each.name == "refresh" for each in threading.enumerate()))
    assert reports == []
