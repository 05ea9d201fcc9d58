"""What `wallet history` tells, draws and keeps; that it is verified, tests/client shows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from hsm_mpc.app import history, history_drawn
from hsm_mpc.app.history import Destruction, ToldEpoch, ToldHistory, ToldOrder
from hsm_mpc.client.history import History, verified_history
from hsm_mpc.client.known import KnownWallets, NotKnown
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.errors import BadInput
from hsm_mpc.ids import Scheme
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.wallet_calls import Chain
from tests.agent.simulate import LAB_POLICY
from tests.coordinator.office import Office

NOWHERE = Path("/nowhere")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = ("h1", "h2", "h3")
CONFIG = SimpleNamespace(roster=NOWHERE, key=NOWHERE)


def epoch(number: int, *destroyed: str, holders: tuple[str, ...] = ALL) -> ToldEpoch:
    gone = tuple(Destruction(holder, AT) for holder in destroyed)
    makers = ("h1", "h2")
    return ToldEpoch(number, bytes(32), 2, ALL, False, makers, holders, bool(destroyed), gone)


TOLD = ToldHistory(
    "treasury", "taproot", 2, ALL, (epoch(0, *ALL), epoch(1, "h1"), epoch(2, holders=("h1", "h2")))
)


@pytest.fixture
def office(shared_office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Whatever client.yaml says, this office's client is connected."""

    @contextmanager
    def connected(_: Path) -> Iterator[WalletClient]:
        yield shared_office.client

    monkeypatch.setattr(history, "connected", connected)
    return shared_office


def test_a_chain_that_was_kept_is_told_without_a_coordinator(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "chain"
    told = history.tell(NOWHERE, "treasury", None, kept)
    assert (told.name, told.threshold, told.holders) == ("treasury", 2, ALL)
    (first,) = told.epochs
    assert (first.epoch, first.made_by, first.holders, first.retired) == (0, ALL, ALL, False)
    office.coordinator.lie = lambda *_: ()
    monkeypatch.setattr(history, "load_client", lambda _: CONFIG)
    monkeypatch.setattr(history, "pinned_roster", lambda _: office.world.roster)
    assert history.tell(NOWHERE, "treasury", kept, None) == told


def test_the_history_of_a_wallet_that_is_not_known_is_not_told(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a coordinator as from a file; then its user has trusted it."""
    made = office.client.create("of-two", Scheme.TAPROOT, 2, LAB_POLICY, ("h1", "h2"))
    kept, out = tmp_path / "chain", tmp_path / "out"
    told = history.tell(NOWHERE, "of-two", None, kept)
    other = SimpleNamespace(roster=NOWHERE, key=tmp_path / "other.key")
    monkeypatch.setattr(history, "load_client", lambda _: other)
    monkeypatch.setattr(history, "pinned_roster", lambda _: office.world.roster)
    known = KnownWallets(tmp_path / "other.wallets")
    with pytest.raises(NotKnown):
        history.tell(NOWHERE, "of-two", kept, out)
    monkeypatch.setattr(office.client._answers, "known", known)
    with pytest.raises(NotKnown):
        history.tell(NOWHERE, "of-two", None, out)
    assert not out.exists()
    office.client.trust("of-two", made.body.hash)
    assert history.tell(NOWHERE, "of-two", None, None) == told
    assert history.tell(NOWHERE, "of-two", kept, None) == told


def test_the_chain_of_another_wallet_is_not_told_under_its_name(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "chain"
    history.tell(NOWHERE, "treasury", None, kept)
    monkeypatch.setattr(history, "load_client", lambda _: CONFIG)
    monkeypatch.setattr(history, "pinned_roster", lambda _: office.world.roster)
    with pytest.raises(BadInput, match="the history of 'treasury', not of 'savings'"):
        history.tell(NOWHERE, "savings", kept, None)


def test_a_chain_that_is_no_regular_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe would be waited for."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(history, "load_client", lambda _: CONFIG)
    monkeypatch.setattr(history, "pinned_roster", lambda _: None)
    for name in ("pipe", "none", "."):
        with pytest.raises(BadInput):
            history.tell(NOWHERE, "treasury", tmp_path / name, None)


def test_a_holder_may_tell_any_time(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its clock nobody knows anything; a year of five digits is no error of ours."""
    honest = verified_history

    def destroyed_late(chain: Chain, keys: KeyBook, now: int) -> History:
        (link,) = honest(chain, keys, now).links
        return History((replace(link, retired=True, destroyed={"h1": 0, "h2": 2**64 - 1}),))

    monkeypatch.setattr(history, "verified_history", destroyed_late)
    (first,) = history.tell(NOWHERE, "treasury", None, None).epochs
    assert [each.at.year for each in first.destroyed] == [1970, 9999]


def test_a_file_that_cannot_be_written_is_named(office: Office, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no-folder"):
        history.tell(NOWHERE, "treasury", None, tmp_path / "no-folder" / "chain")


def test_a_row_for_each_holder_and_a_column_for_each_epoch() -> None:
    lines = history_drawn.text(TOLD).splitlines()
    assert lines[0] == "treasury  (taproot, any 2 of h1, h2, h3)"
    assert [line.split() for line in lines[3:7]] == [
        ["epoch", "0", "1", "2"],
        ["h1", "×", "×", "●"],
        ["h2", "×", "●", "●"],
        ["h3", "×", "●", "·"],
    ]
    assert len({len(line) for line in lines[3:7]}) == 1
    assert lines[-6:] == [
        "epoch 1: new shares by h1, h2",
        "  key of h1 destroyed at 2026-03-01T12:00:00Z",
        "  retired; not destroyed yet by h2, h3",
        "epoch 2: new shares by h1, h2",
        "  not confirmed by h3",
        f"  its hash is {bytes(32).hex()}",
    ]


def test_what_a_lost_hsm_may_have_still_is_told() -> None:
    """That the new one has destroyed its key says nothing of the lost one."""
    first = replace(epoch(0, *ALL), lost=("h2",))
    told = replace(TOLD, epochs=(first, replace(epoch(1), replaced=("h2",), rotated=("h3",))))
    lines = history_drawn.text(told).splitlines()
    assert [line.split() for line in lines[3:7]] == [
        ["epoch", "0", "1"],
        ["h1", "×", "●"],
        ["h2", "?", "●"],
        ["h3", "×", "●"],
    ]
    assert "?  its HSM was lost, which may have the key of its share still" in lines
    assert lines[-5:] == [
        "  key of h3 destroyed at 2026-03-01T12:00:00Z",
        "  the lost HSM of h2 may have its key still",
        "epoch 1: new shares by h1, h2",
        "  h2 has another HSM since, with another identity key",
        "  h3 has another identity key since, in the same HSM",
    ]
    assert "its HSM was lost" in history_drawn.svg(told)


def test_an_order_is_told_in_words_with_whom_it_suspects() -> None:
    ordered = replace(epoch(0, "h1", "h2"), order=ToldOrder(("h1", "h2"), ("h3",), "h3 burnt"))
    told = replace(TOLD, epochs=(ordered, epoch(1, holders=("h1", "h2")), epoch(2)))
    lines = history_drawn.text(told).splitlines()
    assert lines[-6:] == [
        "  ended by an ORDER that counts h1, h2",
        "  and suspects h3, because: h3 burnt",
        "  retired; not destroyed yet by h3",
        "epoch 1: new shares by h1, h2",
        "  not confirmed by h3",
        "epoch 2: new shares by h1, h2",
    ]
    nobody = replace(ordered, order=ToldOrder(("h1", "h2"), (), "why"))
    text = history_drawn.text(replace(TOLD, epochs=(nobody,)))
    assert "  and suspects nobody, because: why" in text.splitlines()


def test_a_terminal_shows_the_newest_epochs_and_says_so() -> None:
    long = replace(TOLD, epochs=tuple(epoch(number, *ALL) for number in range(300)))
    lines = history_drawn.text(long).splitlines()
    assert lines[3].split() == ["epoch", *map(str, range(280, 300))]
    assert max(map(len, lines)) < 100
    assert lines[-1] == "these are the last 20; --json and --svg have all"


def test_a_line_says_that_all_of_it_verifies() -> None:
    assert history_drawn.verdict(TOLD).startswith("treasury: epochs 0 to 2 verify")


def test_the_drawing_shows_the_same() -> None:
    root = ElementTree.fromstring(history_drawn.svg(TOLD))
    name = "{http://www.w3.org/2000/svg}"
    fills = [each.get("fill") for each in root.iter(f"{name}rect")]
    marks = history_drawn.Mark
    legend = 3
    assert len(fills) == 9 + legend
    assert fills.count(marks.DESTROYED.colour) == len(list(root.iter(f"{name}path"))) == 4 + 1
    assert fills.count(marks.SEALED.colour) == 4 + 1
    assert fills.count(marks.NOTHING.colour) == 1 + 1
    written = {each.text for each in root.iter(f"{name}text")}
    assert {"h1", "h2", "h3", "0", "1", "2", "epoch"} <= written
