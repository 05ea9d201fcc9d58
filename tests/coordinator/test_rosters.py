"""What amends the rosters of wallets, as one coordinator keeps it (step 6.7.2)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.succession.amendment import Amendment
from hsm_mpc.succession.changes import changes_in
from hsm_mpc.succession.lineage import Lineage
from tests.software_identity import p256_key
from tests.succession.test_amendment import NEW, WALLET, Amending, Other, book, second

TERMS = WALLET.first.terms


def of_another() -> Amendment:
    """Holder 2 has another HSM, too."""
    amending = Other(NEW)
    amending.new = p256_key(503)
    return amending.made()


def follows(rosters: Rosters, known: Lineage) -> None:
    certificate: Any = SimpleNamespace(amendments=known.pending, shared_anew=None)
    rosters.follow(WALLET.first, certificate)


def learns(rosters: Rosters, known: Lineage) -> None:
    rosters.learn(TERMS, known.with_pending(of_another().to_bytes()).to_bytes())


def amends(rosters: Rosters, known: Lineage) -> None:
    del known
    rosters.amend(TERMS, of_another().to_bytes())


@pytest.mark.parametrize("changes", [follows, learns, amends])
def test_of_two_that_change_a_lineage_at_once_neither_is_lost(
    tmp_path: Path, changes: Callable[[Rosters, Lineage], None]
) -> None:
    """Each part of a coordinator has its own `Rosters`, and reads before it writes."""
    registry = Registry(tmp_path / "r")
    one, other = Rosters(book(), registry), Rosters(book(), registry)
    one.amend(TERMS, Amending().made().to_bytes())
    with registry.changing_lineages:
        known = other.lineage(TERMS)
        thread = Thread(target=changes, args=(one, known))
        thread.start()
        thread.join(1)
        later = known.with_pending(second().made().to_bytes())
        registry.keep_lineage(TERMS.wallet_id, later.to_bytes())
    thread.join()
    there = other.lineage(TERMS)
    expected = changes_in(later.amendments)
    if changes is follows:
        assert changes_in(there.carried[0]) == changes_in(known.pending)
    else:
        expected = {*expected, of_another().change}
    assert changes_in(there.amendments) == expected


def test_what_does_not_hold_is_not_learned(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "r")
    rosters = Rosters(book(), registry)
    for wrong in (b"x", b"\0\0\0\1x"):
        rosters.learn(TERMS, wrong)
    assert registry.lineage(TERMS.wallet_id) == b""
