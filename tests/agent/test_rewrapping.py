"""`share rewrap`: the same share under another wrapping key (steps 1.11.6 and 6.2.2)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from hsm_mpc.agent.keygen_files import destroy_wrapping_key
from hsm_mpc.agent.opener import key_id_in
from hsm_mpc.agent.succession import rewrapping
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.agent.wallets import SigningWallet
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.wrapping_keys import wrapping_key_id
from hsm_mpc.errors import BackendError, NotReady, Refused, Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.sealing import sealed
from hsm_mpc.sealing.sealed import SealedShare, seal
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochRecord, EpochState
from tests.agent.copies import opener, require_closed
from tests.agent.faults import failing_at
from tests.agent.making import Making, keks, lines
from tests.agent.refreshing import Refreshing
from tests.agent.rounds import Round
from tests.agent.simulate import Party, World, Worlds
from tests.crash.driving import BOTH, drive, signed

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(2)


@pytest.fixture
def making(world: World) -> Making:
    """A 2-of-2 wallet in epoch 0."""
    making = Making.of(world)
    drive(making)
    return making


@pytest.fixture
def party(making: Making) -> Party:
    """Its first holder."""
    return making.world.parties[1]


@pytest.fixture
def wallet_id(making: Making) -> WalletId:
    return making.wallet_id


def record_of(party: Party, wallet_id: WalletId) -> EpochRecord:
    (record,) = party.acting.epochs(wallet_id).records()
    return record


def untouched(party: Party, wallet_id: WalletId, action: Callable[[], object]) -> Exception:
    """What `action` raises, having left one key and the record's blob as they were."""
    before, present = record_of(party, wallet_id), keks(party)
    with pytest.raises((Refused, Tampered, BackendError)) as refusal:
        action()
    rewrapping.settle(party.acting, wallet_id)
    after = record_of(party, wallet_id)
    assert (after.blob_digest, after.kek_uri, after.extra_uris) == (
        before.blob_digest,
        before.kek_uri,
        (),
    )
    assert keks(party) == present
    return refusal.value


def test_the_old_key_is_gone_and_the_same_share_signs_on(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    certificate = making.certificate()
    old_key, copy = keks(party), opener(party, certificate.body)
    before = record_of(party, wallet_id)
    held = party.successions.rewrap(wallet_id)
    after = record_of(party, wallet_id)
    assert held.record == after
    assert (after.state, after.key_generation, after.extra_uris) == (EpochState.ACTIVE, 1, ())
    assert after.kek_uri != before.kek_uri
    assert len(keks(party)) == 1
    assert keks(party) != old_key
    require_closed(party, copy)
    assert len(list(party.acting.store._folder.rglob("blob-*"))) == 1
    signed(making.world, certificate, b"after the rewrap")


def test_keys_of_epoch_0_are_named_by_its_hash(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    h = making.certificate().body.hash
    for generation in (1, 2):
        party.successions.rewrap(wallet_id)
        assert keks(party) == [wrapping_key_id(wallet_id, 1, h, Attempt.NONE, generation)]


def test_keys_of_a_later_epoch_are_named_by_the_attempt_that_made_it(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    """Step 6.2.2; and the end of an epoch destroys whatever key it has by then."""
    party.successions.rewrap(wallet_id)
    body = making.certificate().body
    refreshing = Refreshing(making.world, body, BOTH, making.dones)
    refreshing.drive()
    assert len(keks(party)) == 1
    party.successions.rewrap(wallet_id)
    assert keks(party) == [wrapping_key_id(wallet_id, 1, body.hash, refreshing.attempt, 1)]
    assert party.acting.epochs(wallet_id).kept(body.hash, EpochDocument.DESTROYED)


@pytest.mark.long
def test_a_token_with_rsa_only_rewraps(worlds: Worlds) -> None:
    world = worlds(2, rsa_only=(1,))
    making = Making.of(world)
    drive(making)
    copy = opener(world.parties[1], making.certificate().body)
    world.parties[1].successions.rewrap(making.wallet_id)
    require_closed(world.parties[1], copy)
    assert len(keks(world.parties[1])) == 1
    signed(world, making.certificate(), b"after the rewrap")


def test_a_request_in_flight_is_answered(
    making: Making, party: Party, wallet_id: WalletId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nonce stays good; and whoever looked the wallet up just before looks again."""
    certificate = making.certificate()
    round_ = Round(making.world, certificate, b"pay").commit(*BOTH)
    stale = party.wallets.signing(wallet_id, certificate.body.hash)
    party.successions.rewrap(wallet_id)
    fresh, looked = party.wallets.signing, [stale]

    def looked_up(wallet_id: WalletId, h: EpochHash) -> SigningWallet:
        return looked.pop() if looked else fresh(wallet_id, h)

    monkeypatch.setattr(party.wallets, "signing", looked_up)
    assert round_.sign(1)
    assert looked == []


def test_a_share_that_does_not_open_is_left_alone(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    uri = record_of(party, wallet_id).kek_uri
    acting = party.acting
    (key_id,) = keks(party)
    key = keys.find_wrapping_key(acting.token, key_id, keys.wrapping_label(wallet_id))
    assert key is not None
    keys.destroy(acting.token, key)
    refusal = untouched(party, wallet_id, lambda: party.successions.rewrap(wallet_id))
    assert isinstance(refusal, Tampered)
    assert (record_of(party, wallet_id).kek_uri, record_of(party, wallet_id).key_generation) == (
        uri,
        0,
    )


def test_a_share_of_something_else_is_left_alone(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    acting, share = party.acting, opener(party, making.certificate().body)
    with acting.arena.scope() as take:
        zeros = seal(take(64), share.context, [share.key], acting.entropy, acting.clock())
    acting.epochs(wallet_id).seal(record_of(party, wallet_id), zeros)
    refusal = untouched(party, wallet_id, lambda: party.successions.rewrap(wallet_id))
    assert "no pair of scalars" in str(refusal)


def test_a_new_blob_of_another_content_is_never_committed(
    making: Making, party: Party, wallet_id: WalletId, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting = party.acting

    def of_zeros(of: SealedShare, _key: object, *rest: object) -> bytes:
        new_keys = rest[2]
        assert isinstance(new_keys, list)
        with acting.arena.scope() as take:
            context = of.blob.context
            return seal(take(64), context, new_keys, acting.entropy, acting.clock())

    monkeypatch.setattr(sealed, "rewrap", of_zeros)
    refusal = untouched(party, wallet_id, lambda: party.successions.rewrap(wallet_id))
    assert "opens to something else" in str(refusal)
    signed(making.world, making.certificate(), b"with the old key")


def test_a_key_that_this_disk_has_forgotten_is_passed_over(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    """It may be the only one that opens a newer copy of the disk."""
    h, acting = making.certificate().body.hash, party.acting
    forgotten = wrapping_key_id(wallet_id, 1, h, Attempt.NONE, 1)
    label = keys.wrapping_label(wallet_id)
    keys.generate_wrapping_key(acting.token, forgotten, label, acting.wrapping)
    party.successions.rewrap(wallet_id)
    assert record_of(party, wallet_id).key_generation == 2
    assert forgotten in keks(party)


def test_what_is_about_to_be_destroyed_is_not_rewrapped(
    making: Making, party: Party, wallet_id: WalletId, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = party.acting.epochs(wallet_id)
    epochs.change(replace(record_of(party, wallet_id), state=EpochState.RETIRING))
    live = LiveEpoch.of(party.acting, party.wallets, wallet_id)
    monkeypatch.setattr(party.successions, "_finished", lambda _: (b"", live))
    refusal = untouched(party, wallet_id, lambda: party.successions.rewrap(wallet_id))
    assert isinstance(refusal, Refused)
    assert refusal.rule == "epoch-retiring"


def test_a_lost_blob_keeps_no_epoch_from_its_end(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    """A rewrap had begun, the epoch retires: all its keys go by the record alone."""
    acting, epochs = party.acting, party.acting.epochs(wallet_id)
    record = replace(record_of(party, wallet_id), extra_uris=("pkcs11:token=t;id=%01",))
    epochs.change(replace(record, state=EpochState.RETIRING))
    epochs.blob_path(record.epoch_hash).unlink()
    rewrapping.settle(acting, wallet_id)
    assert record_of(party, wallet_id).extra_uris == record.extra_uris


def test_only_an_active_wallet_is_rewrapped(world: World) -> None:
    making = Making.of(world)
    with pytest.raises(Refused, match="no share of that wallet"):
        world.parties[1].successions.rewrap(making.wallet_id)
    making.hellos = [making.greet(index) for index in BOTH]
    making.dealings = [making.deal(index) for index in BOTH]
    making.confirmations = [making.confirm(index) for index in BOTH]
    for index in BOTH:
        making.certify(index)
    with pytest.raises(NotReady, match="not active yet"):
        world.parties[1].successions.rewrap(making.wallet_id)


def test_a_rewrap_that_fails_anywhere_leaves_a_holder_that_signs_on(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    """Disk or HSM fail, and the signer lives on: what it has in memory is not of the key before."""
    certificate = making.certificate()
    for count in itertools.count():
        try:
            with failing_at(count):
                party.successions.rewrap(wallet_id)
        except BackendError:
            signed(making.world, certificate, b"after the failure")
            party.successions.recover()
            signed(making.world, certificate, b"after all is settled")
            assert len(keks(party)) == 1
            assert record_of(party, wallet_id).extra_uris == ()
        else:
            break
    assert count > 10


def test_a_disk_that_was_copied_during_a_rewrap_costs_no_key(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    """The new key of that rewrap opens the disk of today, and nothing else does."""
    epochs, before = party.acting.epochs(wallet_id), record_of(party, wallet_id)
    old_blob = epochs.blob(before.epoch_hash)
    today = party.successions.rewrap(wallet_id).record
    new_blob, present = epochs.blob(before.epoch_hash), keks(party)
    copied = replace(today, kek_uri=before.kek_uri, extra_uris=(today.kek_uri,))
    epochs.seal(copied, old_blob)
    party.successions.recover()
    assert keks(party) == present
    with pytest.raises(Tampered):
        party.successions.rewrap(wallet_id)
    epochs.seal(today, new_blob)
    party.wallets.forget(wallet_id)
    signed(making.world, making.certificate(), b"with the disk of today")


def test_a_disk_from_before_a_rewrap_is_an_alarm_at_start(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    """Step 6.6.2: its wrapping key was destroyed since, and the register names the same epoch."""
    epochs, before = party.acting.epochs(wallet_id), record_of(party, wallet_id)
    blob = epochs.blob(before.epoch_hash)
    today = party.successions.rewrap(wallet_id).record
    epochs.seal(before, blob)
    making.world.restarted(1)
    alarm = lines(making.world.parties[1])[-1]
    assert (alarm["event"], alarm["wallet_id"]) == ("alarm", wallet_id.hex())
    assert "its share does not open" in str(alarm["reason"])
    assert today.kek_uri != before.kek_uri


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_blob_that_is_not_that_of_its_record_is_an_alarm_at_start(
    making: Making, party: Party, wallet_id: WalletId, is_whole: bool
) -> None:
    path = party.acting.epochs(wallet_id).blob_path(record_of(party, wallet_id).epoch_hash)
    blob = path.read_bytes()
    path.write_bytes(blob if is_whole else blob[:-1] + bytes([blob[-1] ^ 1]))
    making.world.restarted(1)
    alarms = [line for line in lines(making.world.parties[1]) if line["event"] == "alarm"]
    assert ["its share does not open" in str(each["reason"]) for each in alarms] == (
        [] if is_whole else [True]
    )


def test_a_token_that_has_lost_the_new_key_keeps_the_old_one(
    making: Making, party: Party, wallet_id: WalletId
) -> None:
    """A token was restored, or forgot what it had just made; a copy of the disk still opens."""
    certificate, acting = making.certificate(), party.acting
    copy, epochs, before = opener(party, certificate.body), acting.epochs(wallet_id), keks(party)
    live = LiveEpoch.of(acting, party.wallets, wallet_id)
    record = rewrapping.begin(live)
    destroy_wrapping_key(acting, wallet_id, key_id_in(acting.token, record.kek_uri))
    party.successions.recover()
    assert keks(party) == before
    assert epochs.record(record.epoch_hash) == record
    with acting.arena.scope() as take:
        copy.open_into(take(64))
