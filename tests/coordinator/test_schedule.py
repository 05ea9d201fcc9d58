"""Wallets are refreshed by the clock: when it is due, one at a time, and never in quiet hours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.coordinator import refresh_scheduler
from hsm_mpc.coordinator.refresh_scheduler import RefreshScheduler
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.schedule import QuietHours, Schedule
from hsm_mpc.errors import Refused
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.wire.calls import HolderMethod
from tests.coordinator.office import Office, soon

H, H2 = EpochHash(b"h" * 32), EpochHash(b"i" * 32)
WALLET = WalletId(b"w" * 16)
Honest = Callable[[Sequence[bytes]], tuple[bytes, ...]]
MIDNIGHT = 20_000 * 24 * 3600
HOUR = 3600


def test_an_epoch_is_due_when_it_is_as_old_as_the_interval() -> None:
    schedule = Schedule(interval=1000, jitter=0)
    assert not schedule.is_due(H, 5000, 5999)
    assert schedule.is_due(H, 5000, 6000)


def test_each_epoch_is_put_off_by_a_time_of_its_own() -> None:
    schedule = Schedule(interval=1000, jitter=100_000)

    def put_off(h: EpochHash) -> int:
        return next(late for late in range(100_001) if schedule.is_due(h, 0, 1000 + late))

    assert put_off(H) != put_off(H2)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 10_000))
def test_no_epoch_is_put_off_by_more_than_the_jitter(h: bytes, jitter: int) -> None:
    schedule = Schedule(interval=1000, jitter=jitter)
    assert schedule.is_due(EpochHash(h), 0, 1000 + jitter)
    assert not schedule.is_due(EpochHash(h), 0, 999)


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("08:00-18:30", (8, 12, 18.4), (7.9, 18.5, 0)),
        ("22:00-06:00", (22, 23.9, 0, 5.9), (6, 12, 21.9)),
        ("00:00-00:00", (), (0, 12, 23.9)),
    ],
)
def test_nothing_begins_in_quiet_hours(
    hours: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    schedule = Schedule(interval=60, jitter=0, quiet=(QuietHours.parse(hours),))
    for hour in inside:
        assert not schedule.is_due(H, 0, MIDNIGHT + int(hour * HOUR))
    for hour in outside:
        assert schedule.is_due(H, 0, MIDNIGHT + int(hour * HOUR))


def test_the_age_of_an_epoch_is_kept_until_the_next_one(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r")
    assert registry.since(WALLET, H, 100) == 100
    registry.close()
    registry = Registry(tmp_path / "r")
    assert registry.since(WALLET, H, 200) == 100
    assert registry.since(WALLET, H2, 300) == 300
    assert registry.since(WALLET, H2, 400) == 300


def test_an_epoch_that_was_seen_by_a_clock_ahead_is_seen_anew(tmp_path: Path) -> None:
    """Else it would not be refreshed before that time comes."""
    registry = Registry(tmp_path / "r")
    assert registry.since(WALLET, H, 10**12) == 10**12
    assert registry.since(WALLET, H, 1000) == 1000
    assert registry.since(WALLET, H, 2000) == 1000


@pytest.fixture
def hourly(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Two wallets, refreshed each hour; what is reported."""
    monkeypatch.setattr(refresh_scheduler, "_PAUSE", 0.01)
    office.made("first")
    office.made("second")
    reports: list[str] = []
    with scheduled(office, reports):
        assert soon(lambda: ages(office) == 2)
        yield reports


@contextmanager
def scheduled(office: Office, reports: list[str]) -> Iterator[None]:
    scheduler = RefreshScheduler(
        Schedule(HOUR, 0), office.refresher, office.registry, office.world.clock, reports.append
    )
    scheduler.begin()
    try:
        yield
    finally:
        scheduler.end()


def ages(office: Office) -> int:
    """How many wallets it has looked at."""
    with office.registry._lock:
        ((count,),) = office.registry._database.execute("SELECT count(*) FROM ages").fetchall()
    return int(count)


def said(reports: list[str], lines: int) -> bool:
    return soon(lambda: len(reports) == lines)


def declining(method: HolderMethod, refusal: Refused) -> Callable[..., tuple[bytes, ...]]:
    """A holder that says no to one question, always."""

    def tamper(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if asked is method:
            raise refusal
        return honest(parts)

    return tamper


def epochs(office: Office) -> list[int]:
    return [office.client.show(name).body.epoch for name in ("first", "second")]


def test_wallets_are_refreshed_when_the_hour_is_over(office: Office, hourly: list[str]) -> None:
    assert epochs(office) == [0, 0]
    office.world.now[0] += HOUR
    assert soon(lambda: hourly == ["schedule: first is in epoch 1"])
    assert soon(lambda: hourly[1:] == ["schedule: second is in epoch 1"])
    assert epochs(office) == [1, 1]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Returns once every wallet was looked at again."""
    looks, honest = [0], RefreshScheduler._looked_at

    def counted(scheduler: RefreshScheduler, wallet: Registered) -> None:
        honest(scheduler, wallet)
        looks[0] += 1

    def again() -> None:
        before = looks[0]
        assert soon(lambda: looks[0] > before + 4)

    monkeypatch.setattr(RefreshScheduler, "_looked_at", counted)
    return again


def test_who_is_away_is_waited_for_and_left_alone_for_a_while(
    office: Office, look: Callable[[], None], hourly: list[str]
) -> None:
    office.links[2].down = True
    office.world.now[0] += HOUR
    assert soon(lambda: len(hourly) == 2)
    assert all("is not refreshed" in line and "h2" in line for line in hourly)
    office.world.now[0] += 599
    look()
    assert len(hourly) == 2
    office.links[2].down = False
    office.world.now[0] += 1
    assert soon(lambda: "schedule: first is in epoch 1" in hourly[2:])


def test_who_fails_again_and_again_is_left_alone_twice_as_long_each_time(
    office: Office, look: Callable[[], None], hourly: list[str]
) -> None:
    office.links[2].down = True
    office.world.now[0] += HOUR
    for k, seconds in enumerate((600, 1200, 2400, 4800, 9600, 14400), 1):
        assert said(hourly, 2 * k)
        office.world.now[0] += seconds - 1
        look()
        assert len(hourly) == 2 * k
        office.world.now[0] += 1
    office.links[2].down = False
    office.world.now[0] += 14400
    assert soon(lambda: epochs(office) == [1, 1])
    look()
    office.links[2].down = True
    office.world.now[0] += HOUR
    assert soon(lambda: all("is not refreshed" in line for line in hourly[-2:]))
    office.links[2].down = False
    office.world.now[0] += 600  # the first failure since one went well
    assert soon(lambda: epochs(office) == [2, 2])


def test_where_holders_pause_they_are_left_alone_ever_longer(
    office: Office, look: Callable[[], None], hourly: list[str]
) -> None:
    """Each pauses for itself: tries that come before the end of all of them lead nowhere."""
    paused = Refused("too-many-attempts", "one in 28800 s here")
    office.links[2].tamper = declining(HolderMethod.JOIN, paused)
    office.world.now[0] += HOUR
    for k in range(1, 7):
        assert said(hourly, 2 * k)
        office.world.now[0] += 300 * 2**k
    assert said(hourly, 14)
    office.world.now[0] += 19_200 + 19_199
    look()
    assert len(hourly) == 14
    office.world.now[0] += 1
    assert said(hourly, 16)


def test_what_others_have_refreshed_meanwhile_is_held_off_no_longer(
    office: Office, look: Callable[[], None], hourly: list[str]
) -> None:
    office.links[2].down = True
    office.world.now[0] += HOUR
    assert said(hourly, 2)
    office.links[2].down = False
    for name in ("first", "second"):
        office.client.refresh(name, [])
    look()
    office.links[2].down = True
    office.world.now[0] += HOUR
    assert said(hourly, 4)
    office.links[2].down = False
    office.world.now[0] += 600  # as after a first failure
    assert soon(lambda: epochs(office) == [2, 2])


def test_another_attempt_after_which_the_same_epoch_waits_is_a_failure(
    office: Office, look: Callable[[], None], hourly: list[str]
) -> None:
    """One holder says for ever that every attempt is overtaken: each would cost all of them
    something on their disks, every 15 seconds (step 6.5.11).
    """
    overtaken = Refused("attempt-overtaken", "a higher attempt than this one was joined")
    office.links[3].tamper = declining(HolderMethod.ADOPT, overtaken)
    office.world.now[0] += HOUR
    assert said(hourly, 2)
    look()
    assert hourly == [f"schedule: {name} is in epoch 1" for name in ("first", "second")]
    office.world.now[0] += HOUR
    for k, seconds in enumerate((600, 1200, 2400), 2):
        assert said(hourly, 2 * k)
        attempts = office.links[1].asked.count(HolderMethod.JOIN)
        assert attempts == 2 * k
        office.world.now[0] += seconds - 1
        look()
        assert office.links[1].asked.count(HolderMethod.JOIN) == attempts
        if k == 4:
            office.links[3].tamper = None
        office.world.now[0] += 1
    assert set(hourly[2:8]) == {
        f"schedule: {name} is not refreshed: epoch 0 still waits for h3 to be retired"
        for name in ("first", "second")
    }
    assert said(hourly, 10)
    assert hourly[8:] == [f"schedule: {name} is in epoch 2" for name in ("first", "second")]


def test_a_holder_writes_no_line_of_its_own_into_the_log(office: Office, hourly: list[str]) -> None:
    def forged(*_: object) -> tuple[bytes, ...]:
        raise Refused("busy", "no\nschedule: second is in epoch 7\x1b[2J\u2028")

    office.links[2].tamper = forged
    office.world.now[0] += HOUR
    assert soon(lambda: len(hourly) == 2)
    assert all("is not refreshed: holder h2: no\\nschedule" in line for line in hourly)
    assert all(line.isprintable() for line in hourly)


def test_a_failure_by_a_clock_ahead_holds_nothing_off_when_it_is_set_back(
    office: Office, hourly: list[str]
) -> None:
    office.links[2].down = True
    office.world.now[0] += HOUR + 1000
    assert soon(lambda: len(hourly) >= 2)
    office.links[2].down = False
    office.world.now[0] -= 500
    assert soon(lambda: "schedule: first is in epoch 1" in hourly)


def test_what_somebody_refreshes_meanwhile_is_not_refreshed_again(
    office: Office, hourly: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = RefreshScheduler._due

    def by_hand(scheduler: RefreshScheduler, wallet: Registered) -> EpochHash | None:
        due = honest(scheduler, wallet)
        if due is not None:
            office.client.refresh(wallet.name, [])
        return due

    monkeypatch.setattr(RefreshScheduler, "_due", by_hand)
    office.world.now[0] += HOUR
    assert soon(lambda: len(hourly) >= 1)
    assert soon(lambda: len(hourly) == 2)
    assert epochs(office) == [1, 1]


def test_a_registry_that_fails_once_does_not_end_the_schedule(
    office: Office, hourly: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, failures = Registry.living, [OSError("disk I/O error")]

    def once(registry: Registry) -> tuple[Registered, ...]:
        if failures:
            raise failures.pop()
        return honest(registry)

    monkeypatch.setattr(Registry, "living", once)
    assert soon(lambda: hourly == ["schedule: the registry cannot be read: disk I/O error"])
    office.world.now[0] += HOUR
    assert soon(lambda: hourly[1:] == ["schedule: first is in epoch 1"])


def test_a_wallet_that_cannot_be_looked_at_costs_the_others_nothing(
    office: Office, hourly: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = RefreshScheduler._due

    def damaged(scheduler: RefreshScheduler, wallet: Registered) -> EpochHash | None:
        if wallet.name == "first":
            raise IndexError("a row is missing")
        return honest(scheduler, wallet)

    monkeypatch.setattr(RefreshScheduler, "_due", damaged)
    office.world.now[0] += HOUR
    assert soon(lambda: epochs(office) == [0, 1])
    assert "schedule: first is not refreshed: IndexError: a row is missing" in hourly
