"""What a coordinator remembers survives it, and one name has one wallet."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.errors import BackendError, NameTaken
from hsm_mpc.ids import WalletId

ONE = Registered("one", WalletId(b"1" * 16), b"certificate", ())


def test_what_was_added_is_there_after_the_next_start(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r")
    registry.add(ONE)
    registry.close()
    assert Registry(tmp_path / "r").named("one") == ONE


def test_a_wallet_is_found_by_name_and_by_id(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r")
    registry.add(ONE)
    assert registry.with_id(ONE.wallet_id) == ONE
    assert (registry.named("two"), registry.with_id(WalletId(b"2" * 16))) == (None, None)


def test_all_wallets_are_listed_by_name(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r")
    other = Registered("a", WalletId(b"2" * 16), b"", (b"x", b"", b"yz"))
    registry.add(ONE)
    registry.add(other)
    assert registry.all() == (other, ONE)


def test_confirmations_are_kept_in_their_order(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r")
    registry.add(ONE)
    registry.confirm(ONE.wallet_id, [b"done 1", b"", b"done 3"])
    found = registry.named("one")
    assert found is not None
    assert found.dones == (b"done 1", b"", b"done 3")


@pytest.mark.parametrize(
    "second",
    [
        Registered("one", WalletId(b"2" * 16), b"", ()),
        Registered("two", ONE.wallet_id, b"", ()),
    ],
)
def test_a_name_and_an_id_are_taken_once(tmp_path: Path, second: Registered) -> None:
    registry = Registry(tmp_path / "r")
    registry.add(ONE)
    with pytest.raises(NameTaken):
        registry.add(second)


def test_a_file_that_is_no_database_is_a_backend_error(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"no database at all" * 100)
    with pytest.raises(BackendError) as failure:
        Registry(tmp_path / "r")
    assert not failure.value.retryable


def test_a_registry_is_closed_once_nobody_reads_it(tmp_path: Path) -> None:
    """SQLite crashes otherwise."""
    registry = Registry(tmp_path / "r")
    closing = threading.Thread(target=registry.close)
    with registry._lock:
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
    closing.join()
    with pytest.raises(BackendError, match="closed"):
        registry.all()
