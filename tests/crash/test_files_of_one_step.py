"""Files that one step writes: after a death at it they are there whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hsm_mpc import seed_file, steps
from hsm_mpc.app import administrator
from hsm_mpc.client.known import KnownWallets, Meaning
from hsm_mpc.coordinator.evidence import EvidenceFolder
from hsm_mpc.coordinator.quorum_actions import Exclude
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.successions import Succession
from hsm_mpc.encoding import lv32
from hsm_mpc.errors import BackendError, Refused
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.secure.arena import Arena
from tests.certificates.test_order import ORDER
from tests.coordinator.test_links import ROSTER
from tests.crash.deaths import MOMENTS, Moment, killing_at
from tests.store.children import in_child, killed


def dies(work: Callable[[], object], moment: Moment, number: int = 0) -> bool:
    """Whether a process that does this died at its step of this number."""

    def dying() -> None:
        steps.observe(killing_at(moment, number))
        work()

    return killed(dying)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_seed_is_there_or_can_be_made(tmp_path: Path, moment: Moment) -> None:
    file = tmp_path / "key"

    def make() -> None:
        with closing(Arena(16 * 1024)) as arena:
            seed_file.create(file, arena)

    def load() -> None:
        with closing(Arena(16 * 1024)) as arena:
            seed_file.load(file, arena)

    assert dies(make, moment)
    assert file.exists() == (moment == "after")
    in_child(load if file.exists() else make)


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_was_ordered_is_remembered_before_it_is_signed(tmp_path: Path, moment: Moment) -> None:
    file = tmp_path / "a.orders"
    administrator._remember(file, replace(ORDER, epoch_hash=EpochHash(b"e" * 32)))

    def remember() -> None:
        administrator._remember(file, ORDER)

    assert dies(remember, moment)
    assert len(file.read_text().splitlines()) == 1 + (moment == "after")
    in_child(remember)
    with pytest.raises(Refused):
        administrator._remember(file, replace(ORDER, successor=ORDER.epoch_hash))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_wallet_is_known_or_not_and_the_others_stay(tmp_path: Path, moment: Moment) -> None:
    known = KnownWallets(tmp_path / "client.wallets")
    meaning = Meaning("epoch", b"e" * 32)
    known.remember("savings", meaning)

    def remember() -> None:
        known.remember("treasury", meaning)

    assert dies(remember, moment)
    assert known.meaning("savings") == meaning
    assert known.meaning("treasury") == (meaning if moment == "after" else None)
    in_child(remember)
    assert known.meaning("treasury") == meaning


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_case_is_kept_sooner_or_later(tmp_path: Path, moment: Moment) -> None:
    case = Exclude(2, "wrong partial", (b"list", b"partial"))

    def keep() -> None:
        EvidenceFolder(tmp_path / "evidence", ROSTER).keep(case)

    assert dies(keep, moment)
    in_child(keep)
    (file,) = (tmp_path / "evidence").iterdir()
    assert file.read_bytes() == lv32(b"list") + lv32(b"partial")


def test_half_of_a_case_is_never_taken_for_it(tmp_path: Path) -> None:
    """What a death within the step leaves beside it is written over."""
    case = Exclude(2, "wrong partial", (b"list", b"partial"))
    folder = EvidenceFolder(tmp_path / "evidence", ROSTER)
    folder.keep(case)
    (file,) = (tmp_path / "evidence").iterdir()
    half = file.with_name(f".{file.name}.new")
    file.rename(half)
    half.write_bytes(b"half of i")
    folder.keep(case)
    (file,) = (tmp_path / "evidence").iterdir()
    assert file.read_bytes() == lv32(b"list") + lv32(b"partial")


WALLET = Registered("treasury", WalletId(b"1" * 16), b"certificate", ())
H = EpochHash(b"h" * 32)
SUCCESSION = Succession(WALLET.wallet_id, 1, b"propose", b"certificate", b"transcript", {})


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", range(10))
def test_a_registry_is_as_before_or_as_after(tmp_path: Path, number: int, moment: Moment) -> None:
    """Its steps: open, add, confirm, attempt, succession, age, plan, drop-plan, destroyed,
    repaired."""
    path = tmp_path / "registry"

    def register() -> None:
        registry = Registry(path)
        registry.add(WALLET)
        registry.confirm(WALLET.wallet_id, [b"done"])
        assert registry.next_counter(WALLET.wallet_id, 7) == 7
        registry.keep(SUCCESSION)
        assert registry.since(WALLET.wallet_id, H, 7) == 7
        registry.keep_plan("savings", b"plan", 9, 7)
        registry.drop_plan(b"plan")
        registry.keep_destroyed(WALLET.wallet_id, 2, b"destroyed")
        registry.keep_repaired(WALLET.wallet_id, H, 2, b"done")

    def look() -> None:
        kept = Registry(path)
        found = kept.named(WALLET.name)
        assert (found is not None) == (reached > 1), number
        assert found is None or found.dones == ((b"done",) if reached > 2 else ())
        assert kept.successions(WALLET.wallet_id) == ((SUCCESSION,) if reached > 4 else ())
        assert kept.since(WALLET.wallet_id, H, 9) == (7 if reached > 5 else 9)
        assert kept.next_counter(WALLET.wallet_id, 7) == (8 if reached > 3 else 7)
        assert kept.plans("savings") == ((b"plan",) if reached == 7 else ())
        destroyed = {2: b"destroyed"} if reached > 8 else {}
        assert kept.repaired(WALLET.wallet_id) == ({(H, 2): b"done"} if reached > 9 else {})
        assert kept.destroyed(WALLET.wallet_id) == destroyed
        assert bool(kept.living()) == (reached > 1 and not destroyed)

    reached = number + (moment == "after")
    assert dies(register, moment, number)
    in_child(look)


def test_a_registry_whose_disk_fails_says_so(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry._database.execute("PRAGMA query_only = ON")  # as on a disk that was made read-only
    with pytest.raises(BackendError, match=r"registry .*: attempt to write a readonly database"):
        registry.add(WALLET)
