"""`wallet repair` at the relay and at the client: a holder gets its lost share again (6.7)."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest

from hsm_mpc.agent.repair import receiving
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.client.ordering import repair_plan_in
from hsm_mpc.coordinator import repair
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    Declined,
    HsmMpcError,
    NotReady,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
    Tampered,
)
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.hsm.module import Module
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.destroyed import Destroyed
from hsm_mpc.wire import pieces
from hsm_mpc.wire.calls import Call, CoordinatorMethod, HolderMethod, parts_of
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.wallet_calls import Chain
from tests.agent.making import keks, resigned
from tests.agent.ordering import TWO_OF_THREE
from tests.agent.repairing import administered
from tests.agent.simulate import World
from tests.coordinator.office import Office, Parts
from tests.coordinator.test_destruction import Honest, failing_at, unheard


@pytest.fixture
def five(hsm_module: Module, pin_arena: Arena, tmp_path: Path) -> Iterator[Office]:
    """A 2-of-5 wallet, which three that adopt retire: W = 3."""
    with (
        World.made(hsm_module, pin_arena, tmp_path, 5) as world,
        Office.opened(world, tmp_path / "coordinator") as office,
    ):
        office.made()
        yield office


def lose_store(office: Office, index: int) -> None:
    """Everything of every wallet is gone from this holder's disk; its HSM has its keys still."""
    run_shielded(partial(office.world.lost_store, index))


def lose_keys(office: Office, index: int) -> None:
    """The wrapping keys are gone from this holder's HSM; its disk is whole."""
    party = office.world.parties[index]
    for key_id in keks(party):
        for handle in objects.matching(party.acting.token, {Attribute.ID: key_id}):
            objects.destroy(party.acting.token, handle)
    run_shielded(partial(office.world.restarted, index))


def lose_blobs(office: Office, index: int) -> None:
    """The sealed shares are gone from this holder's disk; their wrapping keys are in its HSM."""
    acting = office.world.parties[index].acting
    for wallet_id in acting.store.wallet_ids():
        epochs = acting.epochs(wallet_id)
        for record in epochs.records():
            epochs.blob_path(record.epoch_hash).write_bytes(b"noise")
    run_shielded(partial(office.world.restarted, index))


def only_one_epoch_is_left(office: Office, index: int, body: EpochBody) -> None:
    """At this holder: in its store, and in its HSM."""
    party = office.world.parties[index]
    records = party.acting.epochs(body.terms.wallet_id).records()
    assert [(each.epoch_hash, each.state) for each in records] == [(body.hash, EpochState.ACTIVE)]
    assert len(keks(party)) == 1


def refreshed_without(office: Office, *away: int) -> None:
    """These do not answer while it lasts."""
    for index in away:
        office.links[index].down = True
    office.client.refresh("treasury", away)
    for index in away:
        office.links[index].down = False


def signs_in_every_pair(office: Office, name: str = "treasury") -> None:
    wallet = office.client.show(name)
    for pair in combinations((1, 2, 3), 2):
        office.signed(wallet, b"pay", pair)


@pytest.mark.parametrize(
    ("lose", "refreshed"),
    [
        (lose_store, 0),
        (lose_keys, 1),
        *(
            pytest.param(lose, refreshed, marks=pytest.mark.long)
            for lose, refreshed in [
                (lose_store, 1),
                (lose_keys, 0),
                (lose_store, 2),
                (lose_keys, 2),
            ]
        ),
    ],
)
def test_a_lost_share_is_there_again(
    office: Office, lose: Callable[[Office, int], None], refreshed: int
) -> None:
    before = office.made()
    for _ in range(refreshed):
        office.client.refresh("treasury", ())
    lose(office, 2)
    with pytest.raises((Declined, QuorumUnreachable)):
        office.signed(office.client.show("treasury"), b"pay", (1, 2))
    wallet = office.client.repair("treasury", 2)
    assert wallet.body.epoch == refreshed + 1
    assert wallet.body.group_key == before.body.group_key
    assert wallet.newest is not None
    assert (wallet.newest.retired, wallet.newest.waiting_for) == (True, ())
    signs_in_every_pair(office)
    assert all(len(keks(party)) == 1 for party in office.world.parties.values())
    office.client.refresh("treasury", ())
    signs_in_every_pair(office)


def test_a_holder_that_was_repaired_may_be_away_at_the_next_refresh(office: Office) -> None:
    """What is sealed to it then is sealed to its new delivery key, also by a coordinator that has
    lost its registry and learnt of the repair from the holder.
    """
    office.made()
    lose_store(office, 3)
    with_failing_refresh(office, 3)
    assert office.client.show("treasury").body.epoch == 0
    with Office.opened(office.world, office.folder / "new") as lost:
        lost.recovery.from_all()
        lost.links[3].down = True
        lost.client.refresh("treasury", (3,))
        lost.links[3].down = False
        wallet = lost.registry.named("treasury")
        assert wallet is not None
        lost.refresher.advance(wallet)
        signs_in_every_pair(lost)


def with_failing_refresh(office: Office, lost: int) -> None:
    """The share is repaired, and the refresh that follows cannot begin."""
    office.links[1].tamper = failing_at(HolderMethod.JOIN)
    with pytest.raises(BackendError):
        office.client.repair("treasury", lost)
    office.links[1].tamper = None


def test_a_disk_that_came_back_with_half_an_epoch_is_repaired(office: Office) -> None:
    """It was copied behind the acknowledgement of an epoch that everybody adopted since: the share
    opens, and neither certificate nor the own confirmation is there.
    """
    office.made()
    before = office.client.refresh("treasury", ())
    epochs = office.world.parties[3].acting.epochs(before.body.terms.wallet_id)
    for document in (EpochDocument.CERTIFICATE, EpochDocument.DONE):
        (epochs._path(before.body.hash) / document.value).unlink()
    run_shielded(partial(office.world.restarted, 3))
    with pytest.raises(HsmMpcError):
        office.client.refresh("treasury", ())
    wallet = office.client.repair("treasury", 3)
    assert wallet.body.epoch == before.body.epoch + 1
    signs_in_every_pair(office)
    for index in office.world.parties:
        only_one_epoch_is_left(office, index, wallet.body)


def test_a_wallet_of_many_epochs_is_told_in_pieces(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one call carries."""
    office.made()
    for _ in range(2):
        office.client.refresh("treasury", ())
    lose_store(office, 3)
    monkeypatch.setattr(pieces, "MOST_BYTES", 8192)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 4096)
    assert office.client.repair("treasury", 3).body.epoch == 3
    assert office.links[3].asked.count(HolderMethod.PIECE) > 3
    assert HolderMethod.OFFER not in office.links[3].asked
    signs_in_every_pair(office)


def test_a_repair_that_was_interrupted_is_finished_by_the_same_command(office: Office) -> None:
    office.made()
    lose_store(office, 2)
    for method in (HolderMethod.OFFER, HolderMethod.SPLIT, HolderMethod.COLLECT):
        index = 2 if method is HolderMethod.OFFER else 1
        office.links[index].tamper = failing_at(method)
        with pytest.raises(BackendError):
            office.client.repair("treasury", 2)
        office.links[index].tamper = None
    assert office.client.repair("treasury", 2).body.epoch == 1
    with pytest.raises(Refused) as refused:
        office.client.repair("treasury", 2)
    assert refused.value.rule == "share-opens"


def test_the_operators_of_helpers_and_of_the_lost_are_asked(office: Office) -> None:
    office.made()
    lose_store(office, 3)
    office.world.asking = frozenset({1, 3})
    for index in (1, 3):
        run_shielded(partial(office.world.restarted, index))
    for waiting_for in (("h1", "h3"), ("h3",)):
        with pytest.raises(NotReady, match="holder admit") as not_yet:
            office.client.repair("treasury", 3)
        assert not_yet.value.waiting_for == waiting_for
        consents = office.world.parties[int(waiting_for[0][1])].ceremonies.consents
        (plan,) = consents.waiting()
        run_shielded(partial(consents.agree, plan.digest))
    assert office.client.repair("treasury", 3).body.epoch == 1
    assert office.registry.plans("treasury") == ()


def test_helpers_that_answer_are_taken_and_too_few_are_told_of(office: Office) -> None:
    office.made()
    lose_store(office, 3)
    office.links[1].down = True
    with pytest.raises(QuorumUnreachable) as few:
        office.client.repair("treasury", 3)
    assert few.value.waiting_for == ("h1",)


@pytest.mark.parametrize("whose", [b"", b"\0\4", b"\0\1\0\2"])
def test_a_repair_is_of_one_holder_of_the_roster(office: Office, whose: bytes) -> None:
    office.made()
    for call in (
        Call(CoordinatorMethod.REPAIR, (b"treasury", whose, b"")),
        Call(CoordinatorMethod.PLAN_REPAIR, (b"treasury", whose)),
    ):
        with pytest.raises(BadInput, match="one holder"):
            parts_of(office.service.answer(call.to_bytes()))


def ordered_by(order: RepairOrder, *admins: int) -> list[OrderSignature]:
    """Signatures of these administrators, by their places in `TWO_OF_THREE`."""
    return [OrderSignature.read(Reader(each, "order")) for each in administered(order, *admins)]


def test_administrators_order_it_where_the_policy_names_them(office: Office) -> None:
    """Beside the operators of those who take part."""
    office.made(policy_file=TWO_OF_THREE)
    with pytest.raises(Refused) as opens:
        office.client.plan_repair("treasury", 3)
    assert opens.value.rule == "share-opens"
    lose_store(office, 3)
    office.world.asking = frozenset({1})
    run_shielded(partial(office.world.restarted, 1))
    plan = office.client.plan_repair("treasury", 3)
    assert (plan.order.lost, plan.order.helpers, plan.order.signatures) == (3, (1, 2), ())
    assert plan.administrators is not None
    with pytest.raises(NotReady, match="holder admit") as operator:
        office.client.repair("treasury", 3, ordered_by(plan.order, 0, 1))
    assert operator.value.waiting_for == ("h1",)
    consents = office.world.parties[1].ceremonies.consents
    (waiting,) = consents.waiting()
    assert waiting.digest == plan.plan.digest
    run_shielded(partial(consents.agree, waiting.digest))
    elsewhere = replace(plan.order, nonce=b"o" * 32)
    for given in (
        [],
        ordered_by(plan.order, 1),
        ordered_by(plan.order, 1, 1),
        ordered_by(elsewhere, 0, 1),
    ):
        with pytest.raises(NotReady, match="2 of 3 administrators sign the repair of h3's share"):
            office.client.repair("treasury", 3, given)
    assert office.client.plan_repair("treasury", 3) == plan
    assert office.client.repair("treasury", 3, ordered_by(plan.order, 2, 0)).body.epoch == 1
    assert office.registry.plans("treasury") == ()
    signs_in_every_pair(office)


def test_a_coordinator_repairs_nothing_without_the_administrators(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Helpers look at the policy themselves."""
    office.made(policy_file=TWO_OF_THREE)
    lose_store(office, 3)
    monkeypatch.setattr(repair, "check_administrators", lambda *_: None)
    with pytest.raises(Refused) as refused:
        office.client.repair("treasury", 3)
    assert refused.value.rule == "not-ordered"


def test_a_client_is_shown_the_repair_that_it_asked_for(office: Office) -> None:
    office.made(policy_file=TWO_OF_THREE)
    office.made("savings", policy_file=TWO_OF_THREE)
    lose_store(office, 3)
    shown = office.service.answer(
        Call(CoordinatorMethod.PLAN_REPAIR, (b"treasury", b"\0\3")).to_bytes()
    )
    parts = parts_of(shown)
    terms = office.client.show("treasury").certificate.body.terms
    assert repair_plan_in(parts, "h3", terms).order.lost == 3
    with pytest.raises(Tampered, match="another holder's share"):
        repair_plan_in(parts, "h2", terms)
    with pytest.raises(Tampered, match="another wallet"):
        repair_plan_in(parts, "h3", office.client.show("savings").certificate.body.terms)
    with pytest.raises(Tampered, match="no order of a repair"):
        repair_plan_in(parts[:3], "h3", terms)
    plan = repair_plan_in(parts, "h3", terms)
    with pytest.raises(BadInput, match="the lost one is none of them"):
        replace(plan, order=replace(plan.order, helpers=(1, 3)))


@pytest.mark.parametrize("lose", [lose_store, lose_keys])
def test_who_lost_its_share_before_the_end_of_an_epoch_came_to_it(
    office: Office, lose: Callable[[Office, int], None]
) -> None:
    """The proof of that end is believed when it is told of the wallet, and the old key goes."""
    office.made()
    office.links[3].tamper = failing_at(HolderMethod.RETIRE)
    office.client.refresh("treasury", ())
    lose(office, 3)
    office.links[3].tamper = None
    with_failing_refresh(office, 3)
    wallet = office.client.show("treasury")
    assert (wallet.body.epoch, wallet.newest and wallet.newest.waiting_for) == (1, ())
    signs_in_every_pair(office)
    only_one_epoch_is_left(office, 3, wallet.body)
    assert office.client.repair("treasury", 3).body.epoch == 2
    signs_in_every_pair(office)


@pytest.mark.parametrize("lose", [lose_keys, lose_blobs])
def test_who_was_away_and_has_lost_its_old_share_too(
    four: Office, lose: Callable[[Office, int], None]
) -> None:
    """It cannot make its share from what was dealt, and so take no part in the end of the epoch."""
    made = four.client.show("treasury")
    refreshed_without(four, 4)
    lose(four, 4)
    newest = four.client.show("treasury").body

    def repaired(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is HolderMethod.RECOVER:
            only_one_epoch_is_left(four, 4, newest)
        return answer

    four.links[4].tamper = repaired
    with_failing_refresh(four, 4)
    wallet = four.client.show("treasury")
    assert (wallet.body.epoch, wallet.newest and wallet.newest.waiting_for) == (1, ())
    epochs = four.world.parties[4].acting.epochs(made.body.terms.wallet_id)
    said, done = (
        epochs.kept(made.body.hash, document) or b""
        for document in (EpochDocument.DESTROYED, EpochDocument.DONE)
    )
    own = Done.from_bytes(parse_envelope(done).payload, made.body.terms.group)
    assert Destroyed.from_bytes(parse_envelope(said).payload).kek_digest == own.kek_digest
    four.signed(wallet, b"pay", (1, 4))
    assert four.client.repair("treasury", 4).body.epoch == 2


def test_two_that_were_away_and_lost_their_stores_are_repaired_one_after_the_other(
    five: Office,
) -> None:
    """Neither has said a DONE of the epoch that the other one is repaired in."""
    five.links[4].tamper = failing_at(HolderMethod.ADOPT, HolderMethod.RETIRE)
    refreshed_without(five, 5)
    five.links[4].tamper = None
    lose_store(five, 4)
    lose_store(five, 5)
    with pytest.raises(NotReady, match="the share is repaired, and not refreshed yet") as waits:
        five.client.repair("treasury", 4)
    assert waits.value.waiting_for == ("h5",)
    wallet = five.client.repair("treasury", 5)
    assert (wallet.body.epoch, wallet.newest and wallet.newest.waiting_for) == (2, ())
    five.signed(wallet, b"pay", (4, 5))


def test_a_repair_beside_a_holder_that_is_away_says_that_the_refresh_is_what_waits(
    four: Office,
) -> None:
    four.client.refresh("treasury", ())
    lose_store(four, 4)
    four.links[3].tamper = failing_at(*HolderMethod)
    with pytest.raises(QuorumUnreachable, match="repaired, and not refreshed yet") as away:
        four.client.repair("treasury", 4)
    assert away.value.waiting_for == ("h3",)
    wallet = four.client.refresh("treasury", (3,))
    four.signed(wallet, b"pay", (1, 4))


def test_a_helper_has_said_a_done_of_the_epoch_that_it_repairs_in(four: Office) -> None:
    old = four.client.show("treasury")
    four.client.refresh("treasury", ())
    lose_store(four, 4)

    def forgetful(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.SPLIT:
            registered = four.registry.named(old.body.terms.name)
            assert registered is not None
            parts = [parts[0], registered.dones[0], *parts[2:]]
        return honest(parts)

    four.links[1].tamper = forgetful
    with pytest.raises(ProtocolAbort, match="DONE of holder 1 is of another epoch"):
        four.client.repair("treasury", 4)


@pytest.mark.parametrize("fails", ["_finished", "catch_up"])
def test_an_error_after_the_share_was_sealed_is_mended_by_the_same_command(
    office: Office, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """No restart is needed, and the keys of the share that was lost are gone then."""
    office.made()
    lose_keys(office, 2)
    with monkeypatch.context() as failing:
        failing.setattr(receiving, fails, _fails)
        with pytest.raises(BackendError, match="the HSM fails"):
            office.client.repair("treasury", 2)
        with pytest.raises(QuorumUnreachable):
            office.links[1].down = True
            office.client.repair("treasury", 2)
        office.links[1].down = False
    assert office.client.repair("treasury", 2).body.epoch == 1
    signs_in_every_pair(office)
    assert len(keks(office.world.parties[2])) == 1


def _fails(*_: object) -> None:
    raise BackendError("the HSM fails")


def test_a_chain_that_is_cut_short_ends_no_repair_that_is_prepared(four: Office) -> None:
    """Its holder knows by now that the earlier epoch has ended, and is not repaired in it."""
    office, asked = four, list[Parts]()
    refreshed_without(office, 4)
    lose_store(office, 4)

    def listening(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.OFFER:
            asked.append(parts)
        return honest(parts)

    office.links[4].tamper = listening
    office.links[1].tamper = failing_at(HolderMethod.COUNTERSIGN)
    with pytest.raises(BackendError):
        office.client.repair("treasury", 4)
    encoded, *documents = asked[0]
    party = office.world.parties[4]
    cut = replace(Chain.from_bytes(encoded), successions=())
    offers = partial(party.repairs.offer, cut.to_bytes(), *documents)
    with pytest.raises(Refused) as refused:
        run_shielded(offers)
    assert refused.value.rule == "epoch-retiring"
    office.links[1].tamper = None
    assert office.client.repair("treasury", 4).body.epoch == 2


def test_nothing_else_happens_to_a_wallet_while_a_share_of_it_is_repaired(office: Office) -> None:
    wallet_id = office.made().body.terms.wallet_id
    lose_store(office, 2)
    others = list[bool]()

    def beside() -> None:
        with office.refresher.alone_with(wallet_id):
            others.append(True)

    def meanwhile(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.SPLIT:
            another = threading.Thread(target=beside, daemon=True)
            another.start()
            another.join(0.3)
            assert another.is_alive()
            waiting.append(another)
        return honest(parts)

    waiting = list[threading.Thread]()
    office.links[1].tamper = meanwhile
    assert office.client.repair("treasury", 2).body.epoch == 1
    for another in waiting:
        another.join(10)
    assert others == [True]


def test_who_lost_its_store_before_it_could_say_that_its_key_is_gone(office: Office) -> None:
    office.made()

    def unheard(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is HolderMethod.RETIRE:
            raise BackendError("the answer is lost")
        return answer

    office.links[3].tamper = unheard
    office.client.refresh("treasury", ())
    lose_store(office, 3)
    office.links[3].tamper = None
    wallet = office.client.repair("treasury", 3)
    assert (wallet.body.epoch, wallet.newest and wallet.newest.waiting_for) == (2, ())
    signs_in_every_pair(office)


def test_a_lost_answer_of_who_is_repaired_is_asked_for_again(office: Office) -> None:
    office.made()
    lose_store(office, 3)

    office.links[3].tamper = unheard(HolderMethod.RECOVER)
    with pytest.raises(BackendError):
        office.client.repair("treasury", 3)
    office.links[3].tamper = None
    assert office.client.repair("treasury", 3).body.epoch == 1
    signs_in_every_pair(office)


def test_a_key_that_was_rewrapped_and_then_lost_is_repaired(office: Office) -> None:
    made = office.made()
    wallet_id = made.body.terms.wallet_id
    run_shielded(partial(office.world.parties[2].successions.rewrap, wallet_id))
    lose_keys(office, 2)
    assert office.client.repair("treasury", 2).body.epoch == 1
    signs_in_every_pair(office)


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_holder_whose_store_was_restored_from_a_backup_is_repaired(
    office: Office, tmp_path: Path, epochs: int
) -> None:
    """The share in the backup is of an epoch that has gone."""
    office.made()
    wallets = office.world.parties[3].acting.store._folder / "wallets"
    shutil.copytree(wallets, tmp_path / "backup")
    for _ in range(epochs):
        newest = office.client.refresh("treasury", ())
    shutil.rmtree(wallets)
    shutil.copytree(tmp_path / "backup", wallets)
    run_shielded(partial(office.world.restarted, 3))
    with pytest.raises(Declined):
        office.signed(newest, b"pay", (1, 3))
    with pytest.raises(Tampered, match="holder h3: "):
        office.client.refresh("treasury", ())
    repaired = office.client.repair("treasury", 3)
    assert repaired.body.epoch == epochs + 1
    signs_in_every_pair(office)


def test_a_refresh_that_has_to_wait_is_said_beside_the_repair(office: Office) -> None:
    office.made()
    office.client.refresh("treasury", ())
    lose_store(office, 3)
    office.world.seconds_between_refreshes = 3600
    run_shielded(partial(office.world.restarted, 1))
    with pytest.raises(Refused, match="the share is repaired, and not refreshed yet") as refused:
        office.client.repair("treasury", 3)
    assert refused.value.rule == "refresh-interval"
    signs_in_every_pair(office)


def test_a_helper_that_tells_lies_of_the_wallet_is_no_helper(office: Office) -> None:
    office.made()
    lose_store(office, 3)

    def lies(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        return (b"version: 1\n", *answer[1:]) if method is HolderMethod.DOCUMENTS else answer

    office.links[1].tamper = lies
    with pytest.raises(QuorumUnreachable) as few:
        office.client.repair("treasury", 3)
    assert few.value.waiting_for == ("h1",)


def test_after_a_lie_others_help(four: Office) -> None:
    wallet = four.client.show("treasury")
    lose_store(four, 4)

    def lies(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is not HolderMethod.SPLIT:
            return answer
        payload = parse_envelope(answer[0]).payload
        return (resigned(four.world, answer[0], bytes([payload[0] ^ 1]) + payload[1:]),)

    four.links[1].tamper = lies
    for _ in range(2):
        with pytest.raises(ProtocolAbort):
            four.client.repair("treasury", 4)
    wallet = four.client.repair("treasury", 4)
    assert wallet.body.epoch == 1
    four.signed(wallet, b"pay", (1, 4))


def test_the_last_repair_of_a_share_is_learnt_from_its_holder(office: Office) -> None:
    """What an earlier one had confirmed names a key that nobody has any more."""
    made = office.made()
    wallet_id, of = made.body.terms.wallet_id, (made.body.hash, 2)
    confirmed = list[bytes]()
    for _ in range(2):
        lose_store(office, 2)
        with_failing_refresh(office, 2)
        confirmed.append(office.registry.repaired(wallet_id)[of])
    assert confirmed[0] != confirmed[1]
    office.registry.keep_repaired(wallet_id, *of, confirmed[0])
    office.recovery.from_all()
    assert office.registry.repaired(wallet_id)[of] == confirmed[1]
