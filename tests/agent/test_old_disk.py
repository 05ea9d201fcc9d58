"""A disk that was put back to before the vote that its HSM remembers (steps 6.2.1 and 6.5.5)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.errors import NotReady, Refused, Tampered
from hsm_mpc.hsm.register import Register
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.destroyed import Destroyed
from hsm_mpc.wire.envelope import parse_envelope
from tests.agent import ordering
from tests.agent.making import Making, keks, lines
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import LAB_POLICY, World, Worlds
from tests.agent.test_resharing import shared

pytestmark = pytest.mark.usefixtures("shielded")

TOO_OLD = (
    "this disk is older than what was adopted here: another attempt to adopt that mends it, "
    "or a refresh without this holder"
)


@pytest.fixture
def refreshing(world: World) -> Refreshing:
    return Refreshing.of_new_wallet(world)


def put_back(world: World, index: int, folder: Path, action: Callable[[], object]) -> None:
    """Whatever this holder writes during the action is gone from its disk afterwards."""
    wallets = world.parties[index].acting.store._folder / "wallets"
    shutil.copytree(wallets, folder)
    action()
    shutil.rmtree(wallets)
    shutil.copytree(folder, wallets)
    world.restarted(index)


def register_of(refreshing: Refreshing, index: int) -> Register:
    acting = refreshing.world.parties[index].acting
    register = acting.registers.read(refreshing.replaced.terms.wallet_id)
    assert register is not None
    return register


def alarms(world: World, index: int) -> list[object]:
    """What its audit log says aloud: why, of each."""
    logged = lines(world.parties[index])
    return [line["reason"] for line in logged if line["event"] == "alarm"]


def joined_above(refreshing: Refreshing, index: int, ahead: int) -> None:
    """It goes into a higher attempt than the one under way, which goes on."""
    refreshing.attempts += ahead
    try:
        refreshing.asked_to_join(index)
    finally:
        refreshing.attempts -= ahead


def require_too_old(refreshing: Refreshing, index: int) -> None:
    """It joins nothing, and forgets nothing of what it has voted for."""
    voted = register_of(refreshing, index)
    with pytest.raises(Tampered, match=TOO_OLD):
        joined_above(refreshing, index, 2)
    assert register_of(refreshing, index).adopted == voted.adopted


def require_given_again(refreshing: Refreshing, index: int) -> None:
    """It says what it has voted for once more, and promises nothing by that; the next attempt
    carries it on, and retires the epoch.
    """
    before = register_of(refreshing, index)
    refreshing.adopt(index, refreshing.transcript)
    assert register_of(refreshing, index) == before
    wanted, refreshing.certificate = refreshing.successor, None
    refreshing.attempts += 3
    refreshing.members = tuple(sorted({index, 2}))
    refreshing.drive(absent={1, 2, 3} - set(refreshing.members))
    assert refreshing.successor == wanted
    assert register_of(refreshing, index) == Register(wanted.hash)


def test_a_disk_from_before_a_refresh_is_found_at_the_start_and_signs_nothing(
    world: World, refreshing: Refreshing, tmp_path: Path
) -> None:
    """Step 6.6.1: neither the epoch that it has, which is gone, nor the one that it has lost."""
    wallet_id, old = refreshing.replaced.terms.wallet_id, refreshing.replaced.hash

    put_back(world, 1, tmp_path / "copy", lambda: refreshing.drive(absent=(3,)))
    assert "the store has no share of that epoch" in alarms(world, 1)
    wallets = world.parties[1].wallets
    with pytest.raises(Tampered, match="register is of another epoch"):
        wallets.signing(wallet_id, old)
    with pytest.raises(Refused, match="no such epoch"):
        wallets.signing(wallet_id, refreshing.successor.hash)


def test_a_vote_below_the_promise_is_given_again_to_a_disk_that_lost_it(
    world: World, refreshing: Refreshing, tmp_path: Path
) -> None:
    """What it is for comes first: with that the holder joins, whether it has a share or not."""
    refreshing.made()

    def voted() -> None:
        refreshing.adopt(3, refreshing.transcript)
        joined_above(refreshing, 3, 1)

    put_back(world, 3, tmp_path / "copy", voted)
    assert alarms(world, 3) == [TOO_OLD]
    require_too_old(refreshing, 3)
    with pytest.raises(NotReady):
        refreshing.adopt(3)
    joined_above(refreshing, 3, 3)
    require_given_again(refreshing, 3)


def test_no_vote_is_given_again_in_an_epoch_whose_end_is_on_disk(
    world: World, refreshing: Refreshing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshing.made()
    put_back(world, 3, tmp_path / "copy", lambda: refreshing.adopt(3, refreshing.transcript))
    party, wallet_id = world.parties[3], refreshing.replaced.terms.wallet_id
    (record,) = (
        held.record for held in party.wallets.of(wallet_id) if held.body == refreshing.replaced
    )
    party.acting.epochs(wallet_id).change(replace(record, state=EpochState.RETIRING))
    live = LiveEpoch.of(party.acting, party.wallets, wallet_id)
    monkeypatch.setattr(party.successions, "_finished", lambda _: (b"", live))
    with pytest.raises(Refused, match="the end of this epoch is decided"):
        refreshing.adopt(3, refreshing.transcript)


def test_what_carries_a_vote_on_is_given_again_to_a_disk_that_lost_it(
    world: World, refreshing: Refreshing, tmp_path: Path
) -> None:
    """The certificate is on the old disk, and not why it may be adopted in a later attempt."""
    refreshing.made()
    refreshing.adopt(1)
    refreshing.joined()
    refreshing.carry_on()

    def voted() -> None:
        refreshing.adopt(1)
        joined_above(refreshing, 1, 1)

    put_back(world, 1, tmp_path / "copy", voted)
    assert alarms(world, 1) == [TOO_OLD]
    require_too_old(refreshing, 1)
    require_given_again(refreshing, 1)


def test_who_has_signed_an_order_is_given_its_vote_again(world: World, tmp_path: Path) -> None:
    """Step 6.5.9: it was for what it has adopted, so its end is not decided by that. It signs in
    both epochs, and what it has signed once more.
    """
    making = Making.of(world, policy=LAB_POLICY)
    refreshing = Refreshing(world, making.active().body, (1, 3), making.dones)
    refreshing.made()
    refreshing.adopt(1)

    def countersigned() -> bytes:
        signed: bytes = ordering.desk(world, 2).countersign(
            ordering.said(world, ordering.wished(refreshing))
        )
        return signed

    def voted() -> None:
        refreshing.adopt(2, refreshing.transcript)
        signed.append(countersigned())

    signed: list[bytes] = []
    put_back(world, 2, tmp_path / "copy", voted)
    assert alarms(world, 2) == [TOO_OLD]
    with pytest.raises(Refused, match="the end of this epoch is decided"):
        joined_above(refreshing, 2, 2)
    refreshing.adopt(2, refreshing.transcript)
    signed.append(countersigned())
    joined_above(refreshing, 2, 2)
    wallets, wallet_id = world.parties[2].wallets, refreshing.replaced.terms.wallet_id
    for body in (refreshing.replaced, refreshing.successor):
        assert wallets.signing(wallet_id, body.hash).epoch_hash == body.hash


def test_a_disk_without_its_own_confirmation_destroys_what_has_ended(
    world: World, refreshing: Refreshing
) -> None:
    """It says so of a key that it cannot name any more."""
    refreshing.made()
    refreshing.decided(1, 2, 3)
    acting = world.parties[1].acting
    epochs = acting.epochs(refreshing.replaced.terms.wallet_id)
    (epochs._path(refreshing.replaced.hash) / EpochDocument.DONE.value).unlink()
    destroyed = Destroyed.from_bytes(parse_envelope(refreshing.retire(1)).payload)
    assert destroyed.kek_digest == bytes(32)
    assert len(keks(world.parties[1])) == 1


def test_a_damaged_certificate_of_what_was_adopted_is_said_aloud_and_stops_no_start(
    world: World, refreshing: Refreshing
) -> None:
    refreshing.made()
    refreshing.adopt(1)
    epochs = world.parties[1].acting.epochs(refreshing.replaced.terms.wallet_id)
    blob = epochs.blob_path(refreshing.successor.hash)
    certificate = blob.with_name(EpochDocument.CERTIFICATE.value)
    certificate.write_bytes(certificate.read_bytes()[:-1])
    world.restarted(1)
    (said,) = alarms(world, 1)
    assert str(said).startswith("the certificate of what was adopted here: ")
    with pytest.raises(Tampered, match="the certificate of what was adopted here"):
        joined_above(refreshing, 1, 1)


def test_a_vote_for_a_resharing_is_given_again_whatever_has_come_since(
    worlds: Worlds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That a new holder has another HSM by now forbids new votes alone (step 6.8.3)."""
    world = worlds(4)
    sharing = shared(world, ("h1", "h2"), 2, ("h3", "h4"), 2)
    sharing.made()
    put_back(world, 1, tmp_path / "copy", lambda: sharing.adopt(1))
    lost = frozenset({sharing.new.roster.members[1].key})
    monkeypatch.setattr(ActingHolder, "lost_keys", lambda _: lost)
    sharing.adopt(1)
    with pytest.raises(Refused, match="holder h4 has another identity key by now"):
        sharing.adopt(2)
    later = sharing.refresh()
    later.attempts += 3
    later.asked_to_join(1)
