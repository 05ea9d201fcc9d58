"""What waits for a repair goes on after errors, and goes away once it is of no use (step 6.7.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hsm_mpc.agent.offers import Offer
from hsm_mpc.errors import BackendError, NotReady
from hsm_mpc.hsm import keys
from hsm_mpc.ids import EpochHash
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.repairs import RepairDocument
from tests.agent.faults import failing_from
from tests.agent.making import Making, keks
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import Repairing, rule_of
from tests.agent.simulate import Party, World
from tests.agent.two_epochs import (
    HELPERS,
    LOST,
    Rivals,
    in_successor,
    refreshing,
)

__all__ = ["refreshing"]

pytestmark = pytest.mark.usefixtures("shielded")


def offer_of(world: World, making: Making) -> bytes | None:
    return me(world).acting.store.repairs(making.wallet_id).offer()


def me(world: World) -> Party:
    return world.parties[LOST]


@contextmanager
def blob_away(world: World, making: Making) -> Iterator[None]:
    """The share of the first epoch does not open meanwhile."""
    blob = me(world).acting.epochs(making.wallet_id).blob_path(making.certificate().body.hash)
    content, mode = blob.read_bytes(), blob.stat().st_mode
    blob.unlink()
    yield
    blob.write_bytes(content)
    blob.chmod(mode)


def test_an_offer_goes_with_its_epoch(world: World, making: Making) -> None:
    """Another successor is decided before anything was repaired: nothing waits for that repair."""
    rivals = Rivals.of(world, making)
    in_successor(making, rivals.carried).offer()
    me(world).rotations.begin()
    with pytest.raises(NotReady, match="about to take the place"):
        me(world).rotations.turn()
    rivals.decide_the_other()
    assert (
        len(keks(me(world))) == 3
    )  # of the epoch, of the one that it has adopted, and of the offer
    with failing_from("record.write"), pytest.raises(BackendError):
        rivals.other.retire(LOST)
    world.restarted(LOST)
    assert offer_of(world, making) is None
    assert len(keks(me(world))) == 2


def test_an_offer_of_an_epoch_that_has_ended_hinders_no_rotation(
    world: World, making: Making
) -> None:
    rivals = Rivals.of(world, making)
    in_successor(making, rivals.carried).offer()
    rivals.decide_the_other()
    rivals.other.retire(LOST)
    assert offer_of(world, making) is not None
    me(world).rotations.begin()
    me(world).rotations.turn()
    assert offer_of(world, making) is None


def test_an_offer_goes_once_its_share_was_made_from_the_transcript(
    making: Making, refreshing: Refreshing
) -> None:
    """Any coordinator may have one made for a successor that is undecided: nobody consents."""
    world = making.world
    repairing = in_successor(making, refreshing)
    repairing.offer()
    decided_with_the_lost(refreshing)
    assert len(keks(me(world))) == 1
    me(world).rotations.begin()
    me(world).rotations.turn()
    assert offer_of(world, making) is None


def decided_with_the_lost(refreshing: Refreshing) -> None:
    """Which has made its share from the transcript."""
    refreshing.decided(1, 2, LOST)
    for index in (1, 2, LOST):
        refreshing.retire(index)


@pytest.mark.parametrize("restarted", [True, False])
def test_a_repair_that_failed_before_it_sealed_stops_no_transcript(
    making: Making, refreshing: Refreshing, *, restarted: bool
) -> None:
    world = making.world
    repairing = in_successor(making, refreshing).summed()
    with failing_from("blob.write"), pytest.raises(BackendError):
        repairing.recover()
    if restarted:
        world.restarted(LOST)
    decided_with_the_lost(refreshing)
    world.restarted(LOST)
    assert offer_of(world, making) is None
    assert len(keks(me(world))) == 1


def restarted(world: World, _making: Making) -> None:
    world.restarted(LOST)


def asked_for_its_documents(world: World, making: Making) -> None:
    h = making.certificate().body.hash
    me(world).repairs.documents(making.wallet_id, h)


def left_alone(_world: World, _making: Making) -> None:
    pass


@pytest.mark.parametrize("meanwhile", [restarted, asked_for_its_documents, left_alone])
def test_the_same_call_goes_on_where_the_share_was_not_sealed_yet(
    making: Making, refreshing: Refreshing, meanwhile: Callable[[World, Making], None]
) -> None:
    """People have consented to its key: no other one is made."""
    repairing = in_successor(making, refreshing).summed()
    with failing_from("blob.write"), pytest.raises(BackendError):
        repairing.recover()
    meanwhile(making.world, making)
    offered = repairing.offered
    assert repairing.offer() == offered
    repairing.recover()
    assert refreshing.adopt(LOST)


def test_a_failed_try_by_the_transcript_leaves_the_repair_that_waits(
    making: Making, refreshing: Refreshing
) -> None:
    """Any coordinator may show the transcript meanwhile."""
    repairing = in_successor(making, refreshing).summed()
    with failing_from("blob.write"), pytest.raises(BackendError):
        refreshing.adopt(LOST, refreshing.transcript)
    making.world.restarted(LOST)
    assert len(keks(me(making.world))) == 2  # of the live epoch, and of the offer
    repairing.recover()
    assert refreshing.adopt(LOST)


def test_other_messages_of_a_try_that_failed_are_replaced(
    making: Making, refreshing: Refreshing
) -> None:
    in_successor(making, refreshing).offer()
    with failing_from("blob.write"), pytest.raises(BackendError):
        refreshing.adopt(LOST, refreshing.transcript)
    epochs, h = me(making.world).acting.epochs(making.wallet_id), refreshing.successor.hash
    epochs.renew(h, EpochDocument.TRANSCRIPT, b"signed by another key")
    assert refreshing.adopt(LOST, refreshing.transcript)
    assert epochs.kept(h, EpochDocument.TRANSCRIPT) == refreshing.transcript


def test_a_rotation_does_not_overlook_a_repair_that_is_still_to_be_finished(
    world: World, making: Making
) -> None:
    epochs = me(world).acting.epochs(making.wallet_id)
    epochs.blob_path(making.certificate().body.hash).write_bytes(b"noise")
    world.restarted(LOST)
    me(world).rotations.begin()
    repairing = Repairing(world, making, LOST, HELPERS).summed()
    with failing_from("epoch-renewed.write"), pytest.raises(BackendError):
        repairing.recover()
    with pytest.raises(NotReady, match="is being repaired"):
        me(world).rotations.turn()
    repairing.recover()
    me(world).rotations.turn()


def test_a_share_is_not_rewrapped_before_its_repair_is_said(world: World, making: Making) -> None:
    """Else DONE would never name the delivery key that lies under the new wrapping key."""
    h = making.certificate().body.hash
    me(world).acting.epochs(making.wallet_id).blob_path(h).write_bytes(b"noise")
    world.restarted(LOST)
    repairing = Repairing(world, making, LOST, HELPERS).summed()
    with failing_from("epoch-renewed.write"), pytest.raises(BackendError):
        repairing.recover()
    with pytest.raises(NotReady, match="was interrupted"):
        me(world).successions.rewrap(making.wallet_id)
    making.dones[LOST - 1] = repairing.recover()[1]
    me(world).successions.rewrap(making.wallet_id)
    refreshing = Refreshing(world, making.certificate().body, HELPERS, making.dones)
    refreshing.made()
    assert refreshing.adopt(LOST, refreshing.transcript)


def test_another_hsm_offers_by_the_key_to_which_it_has_turned(world: World, making: Making) -> None:
    """No wallet knows that HSM yet, so nobody else has to take the key first."""
    world.lost_hsm(LOST)
    repairing = Repairing(world, making, LOST, HELPERS)
    _, *offered = repairing.offer()
    me(world).rotations.begin()
    world.restarted(LOST)
    _, *again = repairing.offer()
    assert again[:2] == offered[:2]
    repairing.summed().recover()


def test_an_order_about_the_key_before_is_not_obeyed(world: World, making: Making) -> None:
    """Nobody would know the key by which it says that the share is there."""
    world.lost_hsm(LOST)
    repairing = Repairing(world, making, LOST, HELPERS).summed()
    me(world).rotations.begin()
    assert rule_of(repairing.recover) == "other-order"
    again = Repairing(world, making, LOST, HELPERS)
    again.ordered(nonce=b"2" * 32)
    again.summed().recover()


def test_another_hsm_turns_to_no_other_key_before_its_repair_is_said(
    world: World, making: Making
) -> None:
    world.lost_hsm(LOST)
    repairing = Repairing(world, making, LOST, HELPERS).summed()
    with failing_from("epoch-renewed.write"), pytest.raises(BackendError):
        repairing.recover()
    with pytest.raises(NotReady, match="has no share of that wallet"):
        me(world).rotations.begin()
    assert repairing.recover()


def test_an_offer_whose_order_is_lost_wants_another_order(world: World, making: Making) -> None:
    world.lost_store(LOST)
    repairing = Repairing(world, making, LOST, HELPERS).summed()
    with failing_from("blob.write"), pytest.raises(BackendError):
        repairing.recover()
    repairs = me(world).acting.store.repairs(making.wallet_id)
    kept = repairs._path(repairing.order.session_id) / RepairDocument.ORDER.value
    kept.unlink()
    world.restarted(LOST)
    again = Repairing(world, making, LOST, HELPERS)
    again.ordered(nonce=b"2" * 32)
    again.summed().recover()


def test_an_offer_with_a_damaged_name_of_its_key_is_replaced(world: World, making: Making) -> None:
    h = making.certificate().body.hash
    world.lost_store(LOST)
    repairs = me(world).acting.store.repairs(making.wallet_id)
    repairs.put_offer(Offer(h, 1, "pkcs11:noise", b"", b"", b"").to_bytes())
    Repairing(world, making, LOST, HELPERS).summed().recover()


def test_a_rewrap_takes_no_key_that_is_offered(world: World, making: Making) -> None:
    """The HSM has not made it yet."""
    record = me(world).acting.epochs(making.wallet_id).record(making.certificate().body.hash)
    with blob_away(world, making), failing_from("key.generate"), pytest.raises(BackendError):
        Repairing(world, making, LOST, HELPERS).offer()
    me(world).successions.rewrap(making.wallet_id)
    offered = offer_of(world, making)
    assert offered is not None
    after = me(world).acting.epochs(making.wallet_id).record(record.epoch_hash)
    assert Offer.from_bytes(offered).kek_uri not in after.kek_uris
    assert len({*after.kek_uris, *record.kek_uris}) == 2


def test_a_damaged_offer_hinders_nothing(world: World, making: Making) -> None:
    me(world).acting.store.repairs(making.wallet_id).put_offer(b"noise")
    me(world).rotations.begin()
    me(world).rotations.turn()
    assert offer_of(world, making) is None


def test_an_offer_of_a_token_that_is_gone_hinders_nothing(world: World, making: Making) -> None:
    other, h = world.parties[1].acting, EpochHash(b"h" * 32)
    uri = keys.key_uri(other.token, b"k" * 20, other.wrapping.key_class)
    repairs = me(world).acting.store.repairs(making.wallet_id)
    repairs.put_offer(Offer(h, 1, uri, b"", b"", b"").to_bytes())
    assert me(world).repairs.documents(making.wallet_id, making.certificate().body.hash)
    assert offer_of(world, making) is None


def test_a_damaged_body_of_a_successor_that_lost_stops_nothing_of_the_live_epoch(
    world: World, making: Making
) -> None:
    rivals = Rivals.of(world, making)
    in_successor(making, rivals.carried).offer()
    rivals.decide_the_other()
    rivals.other.retire(LOST)
    epochs = me(world).acting.epochs(making.wallet_id)
    body = epochs._path(rivals.carried.successor.hash) / "body"
    body.chmod(0o600)
    body.write_bytes(b"noise")
    assert me(world).repairs.documents(making.wallet_id, rivals.other.successor.hash)


def test_an_offer_hinders_nothing_once_the_share_opens_again(world: World, making: Making) -> None:
    repairing = Repairing(world, making, LOST, HELPERS)
    with blob_away(world, making):
        repairing.offer()
    assert rule_of(repairing.offer) == "share-opens"
    me(world).rotations.begin()
    me(world).rotations.turn()
    assert offer_of(world, making) is None


def test_an_offer_by_a_token_that_is_gone_is_replaced(world: World, making: Making) -> None:
    h, other = making.certificate().body.hash, world.parties[1].acting
    me(world).acting.epochs(making.wallet_id).blob_path(h).write_bytes(b"noise")
    world.restarted(LOST)
    uri = keys.key_uri(other.token, b"k" * 20, other.wrapping.key_class)
    repairs = me(world).acting.store.repairs(making.wallet_id)
    repairs.put_offer(Offer(h, 1, uri, b"", b"", b"").to_bytes())
    Repairing(world, making, LOST, HELPERS).summed().recover()
