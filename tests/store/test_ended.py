from __future__ import annotations

from pathlib import Path

import pytest

from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.ids import WalletId
from hsm_mpc.store.ended import EndedProposals
from tests.store.records import WALLET

OTHER = WalletId(b"another wallet..")


@pytest.fixture
def ended(folder: Path) -> EndedProposals:
    return EndedProposals(folder)


def test_what_ended_is_known_until_its_time_is_over(ended: EndedProposals) -> None:
    assert not ended.has(WALLET)
    ended.add(WALLET, 100)
    ended.add(OTHER, 99)
    ended.forget_before(100)
    assert ended.has(WALLET)
    assert not ended.has(OTHER)
    ended.forget_before(101)
    assert not ended.has(WALLET)


def test_what_ends_twice_is_known_until_the_later_time_that_was_said_last(
    ended: EndedProposals,
) -> None:
    ended.add(WALLET, 100)
    ended.add(WALLET, 2**64 - 1)
    ended.forget_before(2**64 - 1)
    assert ended.has(WALLET)


def test_a_time_that_does_not_fit_is_refused(ended: EndedProposals) -> None:
    with pytest.raises(BadInput):
        ended.add(WALLET, 2**64)


def test_a_file_that_says_no_time_is_damage(ended: EndedProposals, folder: Path) -> None:
    ended.add(WALLET, 100)
    (folder / WALLET.hex()).write_bytes(b"short")
    with pytest.raises(Tampered, match="says no time"):
        ended.forget_before(101)


def test_a_foreign_file_is_damage(ended: EndedProposals, folder: Path) -> None:
    (folder / "foreign").touch(mode=0o600)
    with pytest.raises(Tampered, match="does not belong"):
        ended.forget_before(101)
