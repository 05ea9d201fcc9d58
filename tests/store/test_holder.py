"""store/holder.py: one folder, one process that writes, and nothing half made in use."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError, BadConfig, BadInput, PinRefused, Tampered
from hsm_mpc.store import files
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.holder import ALL_STEPS, HolderStore
from hsm_mpc.store.proposals import SessionDocument
from tests.store.children import in_child
from tests.store.records import INDEX, KEY, WALLET, H, record

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def place(folder: Path) -> Path:
    HolderStore.create(folder / "store").close()
    return folder / "store"


def test_a_new_store_is_empty(place: Path) -> None:
    with HolderStore.open(place) as store:
        assert store.card() is None
        assert store.wallet_ids() == ()
        assert store.proposals.hashes() == ()
        assert store.audit.tail.seq == 0
        store.refused_pin.check(None)


def test_everything_in_a_store_is_there_after_reopening(place: Path) -> None:
    with HolderStore.open(place) as store:
        store.keep_card(b"card")
        store.keep_card(b"card at another address")
        ph = store.proposals.begin(b"a proposal")
        store.proposals.keep(ph, SessionDocument.HELLO, b"hello")
        sealed = store.wallet(WALLET, INDEX, KEY.sign, KEY.public.verify).seal(record(), b"blob")
        store.refused_pin.remember((1, 2))
        line = store.audit.append("x", NOW, {})
    with HolderStore.open(place) as store:
        assert store.card() == b"card at another address"
        assert store.proposals.hashes() == (ph,)
        assert store.wallet_ids() == (WALLET,)
        wallet = store.wallet(WALLET, INDEX, KEY.sign, KEY.public.verify)
        assert wallet.records() == (sealed,)
        assert wallet.blob(sealed.epoch_hash) == b"blob"
        assert store.audit.tail == line.tail
        with pytest.raises(PinRefused):
            store.refused_pin.check((1, 2))


def test_everything_in_a_store_is_for_its_owner_alone(place: Path) -> None:
    with HolderStore.open(place) as store:
        store.keep_card(b"card")
        store.proposals.begin(b"a proposal")
        store.wallet(WALLET, INDEX, KEY.sign, KEY.public.verify).seal(record(), b"blob")
        store.refused_pin.remember((1, 2))
    for path in (place, *place.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert path.stat().st_mode & 0o7777 == wanted, path


def test_creating_again_opens_what_is_there(place: Path) -> None:
    with HolderStore.create(place) as store:
        store.keep_card(b"card")
    with HolderStore.create(place) as store:
        assert store.card() == b"card"


def test_a_store_is_never_made_among_other_things(folder: Path) -> None:
    (folder / "letters").mkdir()
    with pytest.raises(BadInput, match="holds letters"):
        HolderStore.create(folder)
    assert os.listdir(folder) == ["letters"]


def test_a_folder_that_others_can_enter_is_no_place_for_a_store(folder: Path) -> None:
    (folder / "store").mkdir(mode=0o755)
    with pytest.raises(BadConfig, match="chmod 0700"):
        HolderStore.create(folder / "store")


def test_a_store_that_was_never_made_is_not_opened(folder: Path) -> None:
    for place in (folder / "nowhere", folder):
        with pytest.raises(BadConfig, match="holder init"):
            HolderStore.open(place)
        assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"hsm-mpc store 2\n", BadConfig), (b"", BadConfig), (b"x" * 99, Tampered)],
)
def test_another_format_is_not_opened(place: Path, content: bytes, error: type[Exception]) -> None:
    (place / "format").write_bytes(content)
    with pytest.raises(error, match="format"):
        HolderStore.open(place)


def test_a_second_process_is_kept_out(place: Path) -> None:
    def second() -> None:
        for opening in (HolderStore.open, HolderStore.create):
            with pytest.raises(BackendError, match=f"in use by process {owner}") as refusal:
                opening(place)
            assert refusal.value.retryable

    owner = os.getpid()
    with HolderStore.open(place):
        in_child(second)


@pytest.mark.parametrize("name", [".", "audit", "wallets", "proposals"])
def test_a_folder_with_a_wrong_mode_is_found_at_the_start(place: Path, name: str) -> None:
    (place / name).chmod(0o750)
    with pytest.raises(Tampered, match="chmod 0700"):
        HolderStore.open(place)


@pytest.mark.parametrize("name", ["audit", "wallets", "proposals"])
def test_a_folder_that_is_lost_is_found_at_the_start(place: Path, name: str) -> None:
    (place / name).rename(place.parent / name)
    with pytest.raises(Tampered, match="is missing"):
        HolderStore.open(place)


@pytest.mark.parametrize("name", ["wallets/x", "proposals/x"])
def test_a_stranger_among_the_hashes_is_found_at_the_start(place: Path, name: str) -> None:
    (place / name).mkdir(mode=0o700)
    with pytest.raises(Tampered, match="does not belong into the store"):
        HolderStore.open(place)


def test_a_refused_opening_lets_others_in(place: Path) -> None:
    (place / "wallets" / "x").mkdir(mode=0o700)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Tampered):
        HolderStore.open(place)
    assert len(os.listdir("/proc/self/fd")) == before
    (place / "wallets" / "x").rmdir()
    HolderStore.open(place).close()


def test_a_closed_store_leaves_no_descriptor_open(place: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    HolderStore.open(place).close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_leftovers_of_a_crash_are_gone_after_opening(place: Path) -> None:
    for path in (".tmp-1", "audit/.tmp-2", "wallets/.tmp-3"):
        files.write_new(place / path, b"", "x")
    files.create_folder(place / "wallets" / WALLET.hex(), "wallet-folder")
    HolderStore.open(place).close()
    assert not list(place.rglob(".tmp-*"))
    assert os.listdir(place / "wallets") == []


def test_a_wallet_is_cleaned_once_and_never_while_another_thread_works_in_it(place: Path) -> None:
    with HolderStore.open(place) as store:
        first = store.wallet(WALLET, INDEX, KEY.sign, KEY.public.verify)
        first.keep(H, EpochDocument.BODY, b"body")
        second = store.wallet(WALLET, INDEX, KEY.sign, KEY.public.verify)
        assert second.kept(H, EpochDocument.BODY) == b"body"
    with HolderStore.open(place) as store:
        third = store.wallet(WALLET, INDEX, KEY.sign, KEY.public.verify)
        assert third.kept(H, EpochDocument.BODY) is None


def test_no_two_steps_have_one_name() -> None:
    assert len(set(ALL_STEPS)) == len(ALL_STEPS)
