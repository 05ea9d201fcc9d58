"""Resharing through a coordinator, with real holders in this process (section 6.8)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc.agent.succession import resharing, retiring
from hsm_mpc.app.wallet import shown_wallet
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.resharing import ReshareOrder, Resharing
from hsm_mpc.client.known import NotKnown
from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.coordinator import creation, refresh_keeper
from hsm_mpc.coordinator.refresh_keeper import RefreshKeeper
from hsm_mpc.encoding import u16be
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    Declined,
    HoldersBlamed,
    HsmMpcError,
    NotReady,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
    Tampered,
)
from hsm_mpc.hsm.module import Module
from hsm_mpc.ids import Scheme
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.succession.ack import Ack
from hsm_mpc.succession.addresses import address_in
from hsm_mpc.succession.ask import Ask
from hsm_mpc.wire.calls import Call, CoordinatorMethod, HolderMethod, parts_of
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import ASK, FIRST_COORDINATOR, NEW_ACK, Key
from tests.agent.making import keks
from tests.agent.repairing import rule_of
from tests.agent.simulate import World, new_token
from tests.agent.test_succession import SEALED_BYTES
from tests.coordinator.office import Office, Parts, soon
from tests.coordinator.test_destruction import Honest as Answer
from tests.coordinator.test_destruction import failing_at, unheard
from tests.coordinator.test_refresh import signed_in, waiting_for
from tests.coordinator.test_repair import lose_keys, lose_store, with_failing_refresh
from tests.coordinator.test_replaced import Replace, history, replace_hsm

__all__ = ["replace_hsm"]

Honest = Callable[[], tuple[bytes, ...]]
POLICY = b"version: 1\npermissions: [message]\n"


def test_any_three_sign_where_two_did(office: Office) -> None:
    wallet = office.made()
    shared = office.client.reshare("treasury", 3)
    assert shared.body.group_key == wallet.body.group_key
    assert (shared.threshold, shared.body.epoch) == (3, 1)
    assert waiting_for(shared) == (True, ())
    assert signed_in(office, shared, (1, 2, 3)) == shared.body.hash
    for pair in combinations((1, 2, 3), 2):
        with pytest.raises(BadInput, match="wants 3"):
            office.signed(shared, b"pay", pair)
    for party in office.world.parties.values():
        assert len(keks(party)) == 1


def test_after_a_resharing_all_goes_on(office: Office) -> None:
    """Refreshed before and after, shared back, and every pair signs again."""
    wallet = office.made()
    office.client.refresh("treasury", [])
    office.client.reshare("treasury", 3)
    refreshed = office.client.refresh("treasury", [])
    assert (refreshed.threshold, refreshed.body.epoch) == (3, 3)
    assert signed_in(office, refreshed, (1, 2, 3)) == refreshed.body.hash
    back = office.client.reshare("treasury", 2)
    assert back.body.group_key == wallet.body.group_key
    for pair in combinations((1, 2, 3), 2):
        assert signed_in(office, back, pair) == back.body.hash
    last = office.client.refresh("treasury", [])
    for pair in combinations((1, 2, 3), 2):
        assert signed_in(office, last, pair) == last.body.hash


def test_who_is_down_is_named(office: Office) -> None:
    office.made()
    office.links[2].down = True
    with pytest.raises(QuorumUnreachable) as silent:
        office.client.reshare("treasury", 3)
    assert silent.value.waiting_for == ("h2",)
    assert office.client.show("treasury").body.epoch == 0
    office.links[2].down = False
    assert office.client.reshare("treasury", 3).threshold == 3


# Other holders


@pytest.fixture
def five(hsm_module: Module, pin_arena: Arena, tmp_path: Path) -> Iterator[Office]:
    """A coordinator of five holders, of whom a wallet may have some."""
    with (
        World.made(hsm_module, pin_arena, tmp_path, 5) as world,
        Office.opened(world, tmp_path / "office") as office,
    ):
        yield office


def holders_of(wallet: VerifiedWallet) -> tuple[str, ...]:
    return tuple(member.name for member in wallet.roster.members)


def every_quorum_signs(office: Office, wallet: VerifiedWallet) -> None:
    """Of its holders, counted as in the roster of all."""
    places = [office.world.roster.index_of(name) for name in holders_of(wallet)]
    for quorum in combinations(places, wallet.threshold):
        assert signed_in(office, wallet, quorum) == wallet.body.hash


def test_a_wallet_of_some_holders_lives_like_any_other(five: Office) -> None:
    wallet = five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h2", "h4", "h5"))
    assert holders_of(wallet) == ("h2", "h4", "h5")
    every_quorum_signs(five, wallet)
    refreshed = five.client.refresh("treasury", [])
    assert refreshed.body.group_key == wallet.body.group_key
    every_quorum_signs(five, refreshed)
    for index in (1, 3):
        assert five.world.parties[index].acting.store.wallet_ids() == ()


def test_less_than_a_quorum_is_not_believed_under_a_taken_name(
    five: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """h4 and h5 do not mind that they have a wallet of that name: two of a 3-of-5."""
    honest = five.client.create("treasury", Scheme.TAPROOT, 3, POLICY)
    for liar in (4, 5):
        monkeypatch.setattr(five.world.parties[liar].wallets, "has_name", lambda _: False)
    with Office.opened(five.world, five.folder.parent / "evil") as evil:
        theirs = evil.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h4", "h5"))
        assert theirs.body.group_key != honest.body.group_key
        five.coordinator.service = evil.service
        with pytest.raises(NotKnown, match="made by h4, h5 without"):
            five.client.show("treasury")


def test_another_wallet_is_not_believed_by_the_id_of_a_known_one(
    five: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name and nonce make the id, and whoever was asked to take part has heard the nonce."""
    monkeypatch.setattr(creation, "os", SimpleNamespace(urandom=bytes))
    honest = five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    with Office.opened(five.world, five.folder.parent / "evil") as evil:
        theirs = evil.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h4", "h5"))
        assert theirs.body.terms.wallet_id == honest.body.terms.wallet_id
        five.coordinator.service = evil.service
        with pytest.raises(NotKnown, match=r"made by h4, h5 .* knows another one"):
            five.client.show("treasury")
        with pytest.raises(Refused, match="no such epoch"):
            five.client.trust("treasury", honest.body.hash)


def test_a_wallet_of_some_holders_stays_known_however_it_is_shared(five: Office) -> None:
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    five.client.reshare("treasury", 2, ("h3", "h4", "h5"))
    shared = five.client.reshare("treasury", 3, ("h1", "h2", "h3", "h4", "h5"))
    with Office.opened(five.world, five.folder.parent / "second") as second:
        with pytest.raises(NotKnown, match="made by h1, h2, h3 without"):
            second.client.show("treasury")
        assert second.client.trust("treasury", shared.body.hash) == five.client.show("treasury")


def test_holders_leave_and_come(five: Office) -> None:
    """3-of-5, then 2-of-3 of them, then 3-of-4 with one that comes back."""
    wallet = five.client.create("treasury", Scheme.TAPROOT, 3, POLICY)
    for threshold, names in ((2, ("h2", "h4", "h5")), (3, ("h1", "h2", "h3", "h4"))):
        shared = five.client.reshare("treasury", threshold, names)
        assert shared.body.group_key == wallet.body.group_key
        assert (shared.threshold, holders_of(shared)) == (threshold, names)
        assert waiting_for(shared) == (True, ())
        every_quorum_signs(five, shared)
        for index, party in five.world.parties.items():
            assert len(keks(party)) == (f"h{index}" in names)
        refreshed = five.client.refresh("treasury", [])
        every_quorum_signs(five, refreshed)


def test_new_holders_alone_tell_a_coordinator_that_has_lost_everything(five: Office) -> None:
    """Certificates and all DONEs from the first epoch on."""
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    shared = five.client.reshare("treasury", 2, ("h4", "h5"))
    with forgetful(five) as second:
        for index in (1, 2, 3):
            second.links[index].down = True
        second.recovery.from_all()
        assert second.client.show("treasury").body == shared.body
        assert signed_in(second, shared, (4, 5)) == shared.body.hash


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "confirmed"])
def test_a_new_holder_that_has_lost_its_disk_is_repaired(five: Office, arrived: bool) -> None:
    """Of the epoch before it has nothing to say: it had no share of it."""
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    if not arrived:
        five.links[4].tamper = failing_at(HolderMethod.ARRIVE)
    shared = five.client.reshare("treasury", 2, ("h1", "h2", "h4"))
    five.links[4].tamper = None
    party, wallet_id = five.world.parties[4], shared.body.terms.wallet_id
    party.acting.epochs(wallet_id).blob_path(shared.body.hash).unlink()
    party.wallets.forget(wallet_id)
    repaired = five.client.repair("treasury", 4)
    every_quorum_signs(five, repaired)
    assert len(keks(party)) == 1


def test_a_roster_that_a_repair_has_amended_is_shared_anew(
    five: Office, replace_hsm: Replace
) -> None:
    """What a repair has amended is proven by as many helpers as signed then, not by t' of them."""
    wallet = five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h4"))
    replace_hsm(five, 4)
    five.client.repair("treasury", 4)
    shared = five.client.reshare("treasury", 4, ("h1", "h2", "h3", "h4", "h5"))
    assert (shared.body.group_key, waiting_for(shared)) == (wallet.body.group_key, (True, ()))
    every_quorum_signs(five, shared)
    replace_hsm(five, 5)
    five.client.repair("treasury", 5)
    again = five.client.reshare("treasury", 2, ("h2", "h4", "h5"))
    every_quorum_signs(five, again)
    every_quorum_signs(five, five.client.refresh("treasury", []))
    assert [len(link.members) for link in history(five).links] == [3, 3, 5, 5, 3, 3]


def test_who_was_left_out_comes_back_with_the_key_that_a_repair_gave_it(
    five: Office, replace_hsm: Replace
) -> None:
    """The roster of all names the lost one still."""
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h4"))
    replace_hsm(five, 4)
    five.client.repair("treasury", 4)
    five.client.reshare("treasury", 2, ("h1", "h2", "h3"))
    back = five.client.reshare("treasury", 2, ("h1", "h3", "h4"))
    assert back.roster.member(3).key == five.world.parties[4].acting.identity.key
    every_quorum_signs(five, back)
    every_quorum_signs(five, five.client.refresh("treasury", []))


# Who is away at the wrong moment


def test_who_left_and_is_gone_for_good_stops_nobody(five: Office) -> None:
    """What it had, it has; what comes after is no matter of its."""
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY)
    five.links[5].down = True
    shared = five.client.reshare("treasury", 2, ("h1", "h2", "h3", "h4"))
    assert waiting_for(shared) == (True, (5,))
    every_quorum_signs(five, five.client.refresh("treasury", []))
    every_quorum_signs(five, five.client.reshare("treasury", 2, ("h1", "h2", "h3")))
    assert len(keks(five.world.parties[5])) == 1
    five.links[5].down = False
    every_quorum_signs(five, five.client.refresh("treasury", []))
    assert keks(five.world.parties[5]) == []
    assert sorted(history(five).links[0].destroyed) == ["h1", "h2", "h3", "h4", "h5"]


def test_who_left_is_dangerous_until_so_many_have_destroyed_that_too_few_are_left(
    five: Office,
) -> None:
    """Step 6.8.5: 2-of-5, so four have to."""
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY)
    five.links[5].down = True
    for index in (2, 3):
        five.links[index].tamper = failing_at(HolderMethod.RETIRE)
    shown = shown_wallet(five.client.reshare("treasury", 2, ("h1", "h2", "h3", "h4"))).retired
    assert shown is not None
    assert (shown.state, shown.left, shown.dangerous_until) == ("waiting", ("h5",), 4)
    assert shown.destroyed == ("h1", "h4")
    for index, destroyed in ((2, ("h1", "h2", "h4")), (3, ("h1", "h2", "h3", "h4"))):
        five.links[index].tamper = None
        wallet = five.registry.named("treasury")
        assert wallet is not None
        five.refresher.advance(wallet)
        shown = shown_wallet(five.client.show("treasury")).retired
        assert shown is not None
        assert (shown.state, shown.waiting_for[-1], shown.destroyed) == ("waiting", "h5", destroyed)


def test_an_epoch_comes_to_all_new_holders_before_the_next(five: Office) -> None:
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    five.links[4].tamper = failing_at(HolderMethod.ARRIVE)
    five.client.reshare("treasury", 2, ("h1", "h2", "h4"))
    five.links[4].tamper, five.links[4].down = None, True
    with pytest.raises(NotReady, match="has not come to all new holders") as early:
        five.client.refresh("treasury", [4])
    assert early.value.waiting_for == ("h4",)
    five.links[4].down = False
    wallet = five.registry.named("treasury")
    assert wallet is not None
    newest = five.refresher.advance(wallet).newest  # as the keeper does
    assert newest is not None
    assert five.refresher.is_settled(newest)
    five.links[4].down = True
    refreshed = five.client.refresh("treasury", [4])
    assert signed_in(five, refreshed, (1, 2)) == refreshed.body.hash
    five.links[4].down = False
    every_quorum_signs(five, five.client.refresh("treasury", []))


def test_an_hsm_that_is_lost_before_it_destroys_the_old_key_stops_nobody(
    five: Office, replace_hsm: Replace
) -> None:
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    five.links[2].tamper = failing_at(HolderMethod.RETIRE)
    shared = five.client.reshare("treasury", 2, ("h1", "h2", "h4"))
    assert waiting_for(shared) == (True, (2,))
    five.links[2].tamper = None
    replace_hsm(five, 2)
    every_quorum_signs(five, five.client.repair("treasury", 2))
    every_quorum_signs(five, five.client.refresh("treasury", []))


def test_a_new_holder_that_never_confirms_is_left_out_again(five: Office) -> None:
    """Nobody has voted for it, so the same epoch is shared anew to others."""
    wallet = five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    five.links[5].tamper = failing_at(HolderMethod.CONFIRM)
    with pytest.raises(NotReady, match="not adopted yet") as silent:
        five.client.reshare("treasury", 2, ("h1", "h2", "h5"))
    assert silent.value.waiting_for[-1] == "h5"
    for index in (1, 2, 3):
        register = five.world.parties[index].acting.registers.read(wallet.body.terms.wallet_id)
        assert register is not None
        assert register.adopted is None
    five.world.now[0] += 5
    shared = five.client.reshare("treasury", 2, ("h1", "h2", "h4"))
    assert (shared.body.epoch, waiting_for(shared)) == (1, (True, ()))
    every_quorum_signs(five, shared)


# Who does not answer


@pytest.fixture
def some(five: Office) -> Office:
    """2-of-3 among holders 2, 3 and 5 of five."""
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h2", "h3", "h5"))
    return five


MORE = ("h2", "h3", "h4", "h5")


def test_a_new_holder_that_is_down_is_named_and_nothing_is_promised(some: Office) -> None:
    wallet_id = some.client.show("treasury").body.terms.wallet_id
    some.links[4].down = True
    with pytest.raises(QuorumUnreachable) as silent:
        some.client.reshare("treasury", 3, MORE)
    assert silent.value.waiting_for == ("h4",)
    for index, party in some.world.parties.items():
        assert HolderMethod.JOIN not in some.links[index].asked
        assert party.acting.attempts(wallet_id).all() == ()
        assert len(keks(party)) == (index in (2, 3, 5))
    every_quorum_signs(some, some.client.show("treasury"))
    some.links[4].down = False
    every_quorum_signs(some, some.client.reshare("treasury", 3, MORE))


@pytest.mark.parametrize(
    "method",
    [
        HolderMethod.CONSIDER,
        HolderMethod.GREET,
        HolderMethod.RECEIVE,
        HolderMethod.CONFIRM,
        HolderMethod.ARRIVE,
    ],
    ids=lambda method: method.name.lower(),
)
@pytest.mark.parametrize("lost", [failing_at, unheard], ids=["call", "answer"])
@pytest.mark.parametrize("index", [2, 4], ids=["stays", "comes"])
def test_a_link_to_a_new_holder_that_breaks_costs_a_retry(
    some: Office, method: HolderMethod, lost: Callable[..., Any], index: int
) -> None:
    """Until it is decided the old holders sign; then the same command, or any other, goes on."""
    before = some.client.show("treasury")
    some.links[index].tamper = lost(method)
    try:
        shared = some.client.reshare("treasury", 3, MORE)
        assert method is HolderMethod.ARRIVE
    except (NotReady, QuorumUnreachable, BackendError):
        undecided = some.client.show("treasury")
        assert undecided.body == before.body
        every_quorum_signs(some, undecided)
        some.links[index].tamper = None
        shared = reshared_at_last(some)
    some.links[index].tamper = None
    assert shared.body.group_key == before.body.group_key
    assert (shared.threshold, holders_of(shared)) == (3, MORE)
    assert waiting_for(shared) == (True, ())
    refreshed = some.client.refresh("treasury", [])
    every_quorum_signs(some, refreshed)
    for place, party in some.world.parties.items():
        assert len(keks(party)) == (place != 1)


def reshared_at_last(office: Office) -> VerifiedWallet:
    """What was certified is carried on by the next look at it; nothing else is made then."""
    wallet = office.registry.named("treasury")
    assert wallet is not None
    newest = office.refresher.advance(wallet).newest
    if newest is not None:
        return office.client.show("treasury")
    return office.client.reshare("treasury", 3, MORE)


def test_what_is_certified_and_waits_for_a_new_holder_is_said(some: Office) -> None:
    """Nobody begins anything else; the old holders sign on."""
    some.links[4].tamper = failing_at(HolderMethod.CONFIRM)
    for action in (
        partial(some.client.reshare, "treasury", 3, MORE),
        partial(some.client.reshare, "treasury", 3, MORE),
        partial(some.client.reshare, "treasury", 2, MORE),
        partial(some.client.refresh, "treasury", []),
    ):
        with pytest.raises(NotReady) as waiting:
            action()
        assert waiting.value.waiting_for == ("h4",)
        every_quorum_signs(some, some.client.show("treasury"))
    some.links[4].tamper = None
    shared = some.client.reshare("treasury", 3, ("h2", "h3", "h5"))
    assert (shared.body.epoch, holders_of(shared)) == (2, ("h2", "h3", "h5"))
    every_quorum_signs(some, shared)


def test_who_comes_and_was_not_heard_is_asked_again_by_itself(
    some: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old holders vote after that one: the keeper waits for it alone."""
    some.links[4].tamper = failing_at(HolderMethod.CONFIRM)
    with pytest.raises(NotReady):
        some.client.reshare("treasury", 3, MORE)
    monkeypatch.setattr(refresh_keeper, "_PAUSE", 0.01)
    reports = list[str]()
    keeper = RefreshKeeper(some.refresher, some.registry, reports.append)
    keeper.begin()
    some.links[4].tamper = None
    assert soon(lambda: some.client.show("treasury").body.epoch == 1)
    keeper.end()
    every_quorum_signs(some, some.client.show("treasury"))


def test_a_client_gets_the_quorum_that_it_asked_for_or_an_error(some: Office) -> None:
    def other_threshold(method: int, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method != CoordinatorMethod.RESHARE:
            return honest()
        call = Call(method, (parts[0], u16be(2), parts[2]))
        return parts_of(some.service.answer(call.to_bytes()))

    def nothing_done(method: int, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method != CoordinatorMethod.RESHARE:
            return honest()
        call = Call(CoordinatorMethod.SHOW, (parts[0],))
        return parts_of(some.service.answer(call.to_bytes()))

    for lie, reason in ((nothing_done, "no newer epoch"), (other_threshold, "another quorum")):
        some.coordinator.lie = lie
        with pytest.raises(Tampered, match=reason):
            some.client.reshare("treasury", 3, MORE)
    some.coordinator.lie = None
    every_quorum_signs(some, some.client.show("treasury"))


def test_a_refresh_carries_on_a_resharing_that_old_holders_went_past(some: Office) -> None:
    """Who has promised a higher attempt says nothing below: only another attempt leads on."""
    some.links[4].tamper = failing_at(HolderMethod.CONFIRM)
    some.links[5].tamper = failing_at(HolderMethod.ADOPT)
    with pytest.raises(NotReady):
        some.client.reshare("treasury", 3, MORE)
    promised_past(some, 5)
    some.links[4].tamper = some.links[5].tamper = None
    some.world.now[0] += 100
    refreshed = some.client.refresh("treasury", [])
    assert (refreshed.threshold, holders_of(refreshed), refreshed.body.epoch) == (3, MORE, 1)
    every_quorum_signs(some, refreshed)
    every_quorum_signs(some, some.client.refresh("treasury", []))


def promised_past(office: Office, index: int) -> None:
    """Holder `index` has joined a higher attempt of another relay, which came to nothing."""
    office.world.now[0] += 50
    wallet = office.registry.named("treasury")
    assert wallet is not None
    epochs = office.refresher.epochs(wallet).lasting
    links = office.refresher.links_of(epochs.newest_body)
    (place,) = (k for k in links.indices if links.name(k) == f"h{index}")
    counter = office.registry.next_counter(wallet.wallet_id, office.world.clock())
    attempt = Attempt(counter, FIRST_COORDINATOR)
    ask = Ask(attempt, "refresh", office.world.clock() + 60, b"")
    address = address_in(epochs.newest_body, attempt, FIRST_COORDINATOR)
    sign = office.world.coordinator.sign
    message = seal_envelope(ASK, address, ask.to_bytes(), Key.COORDINATOR, sign).to_bytes()
    links.ask_parts([place], HolderMethod.JOIN, [message], 4)


def test_a_resharing_that_was_overtaken_is_made_anew(some: Office) -> None:
    """Nobody had adopted it: who was told of it then is told of the epoch that lives."""
    for index in (2, 3, 5):
        some.links[index].tamper = failing_at(HolderMethod.ADOPT)
    with pytest.raises(NotReady):
        some.client.reshare("treasury", 3, MORE)
    for index in (2, 3, 5):
        promised_past(some, index)
        some.links[index].tamper = None
    some.world.now[0] += 100
    shared = some.client.reshare("treasury", 2, MORE)
    assert (shared.threshold, holders_of(shared), shared.body.epoch) == (2, MORE, 1)
    every_quorum_signs(some, shared)
    assert all(len(keks(some.world.parties[index])) == 1 for index in (2, 3, 4, 5))


def test_a_refresh_that_was_voted_for_is_finished_before_a_resharing(some: Office) -> None:
    """The first attempt of the resharing carries it on, and makes nothing else."""
    some.links[3].tamper = failing_at(HolderMethod.ADOPT)
    refreshed = some.client.refresh("treasury", [])
    assert waiting_for(refreshed) == (False, (2,))
    promised_past(some, 3)
    some.links[3].tamper = None
    some.world.now[0] += 100
    shared = some.client.reshare("treasury", 3, MORE)
    assert (shared.threshold, holders_of(shared), shared.body.epoch) == (3, MORE, 2)
    assert shared.body.prev_hash == refreshed.body.hash
    every_quorum_signs(some, shared)


def test_an_old_holder_that_is_down_retires_when_it_comes_back(four: Office) -> None:
    """2-of-4: J = W = 3. Who leaves is not needed, and opens nothing once it is back."""
    before = four.client.show("treasury")
    four.links[4].down = True
    shared = four.client.reshare("treasury", 2, ("h1", "h2", "h3"))
    assert shared.body.group_key == before.body.group_key
    assert waiting_for(shared) == (True, (4,))
    every_quorum_signs(four, shared)
    assert len(keks(four.world.parties[4])) == 1
    four.links[4].down = False
    wallet = four.registry.named("treasury")
    assert wallet is not None
    four.refresher.advance(wallet)
    assert waiting_for(four.client.show("treasury")) == (True, ())
    assert keks(four.world.parties[4]) == []
    assert four.world.parties[4].acting.registers.wallet_ids() == ()
    every_quorum_signs(four, four.client.refresh("treasury", []))


def test_too_few_old_holders_begin_nothing(four: Office) -> None:
    four.links[3].down = four.links[4].down = True
    with pytest.raises(QuorumUnreachable) as silent:
        four.client.reshare("treasury", 2, ("h1", "h2"))
    assert silent.value.waiting_for == ("h3", "h4")
    assert HolderMethod.JOIN not in four.links[1].asked


# Who signs, and who is blamed


def test_only_holders_of_the_wallet_sign(some: Office) -> None:
    wallet = some.client.show("treasury")
    for signers in ((1, 4), (1, 2)):
        with pytest.raises((Declined, QuorumUnreachable)):
            some.signed(wallet, b"pay", signers)
    assert signed_in(some, wallet, (2, 5)) == wallet.body.hash
    assert HolderMethod.REQUEST not in some.links[1].asked
    assert HolderMethod.REQUEST not in some.links[4].asked
    shared = some.client.reshare("treasury", 2, ("h1", "h2", "h4"))
    assert signed_in(some, shared, (1, 4)) == shared.body.hash
    with pytest.raises((Declined, QuorumUnreachable)):
        some.signed(shared, b"pay", (2, 5))


def test_a_holder_that_is_none_of_the_wallet_is_not_repaired(some: Office) -> None:
    with pytest.raises(BadInput, match="h4"):
        some.client.repair("treasury", 4)


def lying_dealer(office: Office, index: int, place: int) -> None:
    """It deals with one byte altered, `place` from the end, and signs that."""

    def tamper(method: HolderMethod, parts: Any, honest: Any) -> tuple[bytes, ...]:
        answer: tuple[bytes, ...] = honest(parts)
        if method is not HolderMethod.DEAL or not answer[0]:
            return answer
        message = parse_envelope(answer[0])
        payload = bytearray(message.payload)
        payload[-place] ^= 1
        party = office.world.parties[index].acting
        return (party.channel_message(message.kind, message.address, bytes(payload)).to_bytes(),)

    office.links[index].tamper = tamper


@pytest.mark.parametrize("whose", ["one", "all"])
def test_a_dealer_is_blamed_by_its_own_name(five: Office, whose: str) -> None:
    """Wherever it stands in the roster of the wallet; and whoever has seen it has the proof."""
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h4", "h5"))
    new_part, public_part = 2 * SEALED_BYTES - 8, 3 * SEALED_BYTES + 33 + 1
    lying_dealer(five, 5, new_part if whose == "one" else public_part)
    with pytest.raises(HoldersBlamed) as blamed:
        five.client.reshare("treasury", 2, ("h1", "h4", "h5"))
    assert blamed.value.names == ("h5",)
    five.links[5].tamper = None
    assert five.client.reshare("treasury", 2, ("h1", "h4", "h5")).threshold == 2
    kept = [party.acting.store.evidence.kept() for party in five.world.parties.values()]
    assert any(kept)


def voted_for(office: Office, names: tuple[str, ...]) -> None:
    """A resharing of `some` to these holders that waits for one vote."""
    office.links[5].tamper = failing_at(HolderMethod.ADOPT)
    with pytest.raises(NotReady):
        office.client.reshare("treasury", 2, names)
    office.links[5].tamper = None
    office.world.now[0] += 100


def test_a_dealer_is_blamed_by_its_place_in_the_epoch_that_a_refresh_completes_first(
    some: Office,
) -> None:
    """h2 is the second of the three that it makes, and was the first of those before."""
    voted_for(some, ("h1", "h2", "h3"))
    lying_dealer(some, 2, 1)
    with pytest.raises(HoldersBlamed) as blamed:
        some.client.refresh("treasury", [])
    assert blamed.value.names == ("h2",)
    assert holders_of(some.client.show("treasury")) == ("h1", "h2", "h3")


def test_a_dealer_is_blamed_by_its_place_in_the_epoch_that_a_resharing_carries_on_first(
    some: Office,
) -> None:
    voted_for(some, ("h1", "h2", "h3"))
    promised_past(some, 5)
    some.world.now[0] += 100
    lying_dealer(some, 2, 3 * SEALED_BYTES + 33 + 1)
    with pytest.raises(HoldersBlamed) as blamed:
        some.client.reshare("treasury", 2, ("h2", "h3", "h4"))
    assert blamed.value.names == ("h2",)
    assert holders_of(some.client.show("treasury")) == ("h1", "h2", "h3")


def test_who_cheats_in_making_a_wallet_of_some_is_blamed_by_its_own_name(five: Office) -> None:
    def tamper(method: HolderMethod, parts: Any, honest: Any) -> Any:
        if method is HolderMethod.COMMITMENTS:
            raise ProtocolAbort("bad share", [2])
        return honest(parts)

    five.links[2].tamper = tamper
    with pytest.raises(HoldersBlamed) as blamed:
        five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h2", "h3", "h5"))
    assert blamed.value.names == ("h3",)


def test_who_does_not_show_what_it_has_adopted_is_blamed_by_its_own_name(some: Office) -> None:
    voted_for(some, ("h1", "h2", "h3"))
    promised_past(some, 5)
    some.world.now[0] += 100

    def tamper(method: HolderMethod, parts: Any, honest: Any) -> Any:
        answer = honest(parts)
        return (*answer[:2], b"", *answer[3:]) if method is HolderMethod.JOIN else answer

    some.links[2].tamper = tamper
    with pytest.raises(HoldersBlamed, match="told of and not shown") as blamed:
        some.client.refresh("treasury", [])
    assert blamed.value.names == ("h2",)


# Consents


def asking(office: Office, *indices: int) -> None:
    office.world.asking = frozenset(indices)
    for index in indices:
        run_shielded(partial(office.world.restarted, index))


def agree(office: Office, index: int) -> bytes:
    consents = office.world.parties[index].ceremonies.consents
    (waiting,) = consents.waiting()
    consents.agree(waiting.digest)
    return waiting.digest


def test_operators_of_old_and_new_holders_are_asked_about_one_plan(some: Office) -> None:
    """Step 1.6.7: each time the same command is given, for the same plan, until all have agreed."""
    asking(some, 3, 4, 5)
    plans = set()
    for index in (3, 4, 5):
        with pytest.raises(NotReady) as not_yet:
            some.client.reshare("treasury", 3, MORE)
        assert f"h{index}" in not_yet.value.waiting_for
        some.world.now[0] += 1
        plans.add(agree(some, index)) if index != 5 else None
        if index == 5:
            continue
    assert len(plans) == 1
    assert HolderMethod.JOIN not in some.links[2].asked
    with pytest.raises(NotReady):  # another threshold is another plan
        some.client.reshare("treasury", 2, MORE)
    (waiting,) = (
        each for each in some.world.parties[5].ceremonies.consents.waiting() if each.digest in plans
    )
    some.world.parties[5].ceremonies.consents.agree(waiting.digest)
    shared = some.client.reshare("treasury", 3, MORE)
    every_quorum_signs(some, shared)


def test_who_only_leaves_is_asked_too(some: Office) -> None:
    asking(some, 3)
    with pytest.raises(NotReady) as not_yet:
        some.client.reshare("treasury", 2, ("h2", "h5"))
    assert not_yet.value.waiting_for == ("h3",)
    agree(some, 3)
    shared = some.client.reshare("treasury", 2, ("h2", "h5"))
    every_quorum_signs(some, shared)
    assert some.registry.plans("treasury") == ()


def test_who_declines_ends_the_plan(some: Office) -> None:
    asking(some, 4)
    with pytest.raises(NotReady):
        some.client.reshare("treasury", 3, MORE)
    consents = some.world.parties[4].ceremonies.consents
    (waiting,) = consents.waiting()
    consents.decline(waiting.digest)
    with pytest.raises(Refused) as refused:
        some.client.reshare("treasury", 3, MORE)
    assert refused.value.rule == "declined"
    assert some.registry.plans("treasury") == ()


def test_without_consent_nothing_of_a_holder_is_obtained(some: Office) -> None:
    """A relay that asks at once: it has every public document."""
    asking(some, 3, 4)
    wallet = some.registry.named("treasury")
    assert wallet is not None
    roster = some.world.roster
    body = some.client.show("treasury").body
    in_force = some.refresher.links_of(body).roster
    new = in_force.followed_by([m for m in roster.members if m.name in MORE])
    wanted = Resharing(QuorumSizes.default(4, 3), new)
    deadline = some.world.clock() + 3600
    order = ReshareOrder(wallet.wallet_id, body.hash, "mine", deadline, wanted)
    with pytest.raises(Refused) as refused:
        some.refresher.reshare(wallet, order)
    assert refused.value.rule == "consent"
    assert keks(some.world.parties[4]) == []


# A coordinator that lost its registry


@contextmanager
def forgetful(office: Office) -> Iterator[Office]:
    """The same coordinator, with an empty registry."""
    office.world.now[0] += 10
    folder = office.folder / "new"
    folder.mkdir()
    shutil.copy(office.folder / "client.wallets", folder)
    with Office.opened(office.world, folder) as fresh:
        yield fresh


def test_a_wallet_of_some_is_found_again(some: Office) -> None:
    before = some.client.show("treasury")
    with forgetful(some) as fresh:
        found = fresh.client.show("treasury")
        assert (found.body, found.roster) == (before.body, before.roster)
        every_quorum_signs(fresh, found)
        every_quorum_signs(fresh, fresh.client.reshare("treasury", 3, MORE))


@pytest.mark.parametrize("refreshed", [False, True])
def test_what_was_shared_anew_is_found_again(some: Office, refreshed: bool) -> None:
    """Also from one holder alone, which came by it."""
    shared = some.client.reshare("treasury", 3, ("h1", "h2", "h4", "h5"))
    if refreshed:
        shared = some.client.refresh("treasury", [])
    with forgetful(some) as fresh:
        for index in (1, 2, 3, 5):  # of a refresh one DONE alone says nothing
            fresh.links[index].down = not refreshed
        found = fresh.client.show("treasury")
        assert (found.body, holders_of(found)) == (shared.body, ("h1", "h2", "h4", "h5"))
        for index in (1, 2, 3, 5):
            fresh.links[index].down = False
        every_quorum_signs(fresh, found)
        back = fresh.client.reshare("treasury", 2, ("h2", "h3", "h5"))
        every_quorum_signs(fresh, back)


@pytest.mark.parametrize(
    "method",
    [HolderMethod.ADOPT, HolderMethod.CONFIRM, HolderMethod.RETIRE, HolderMethod.ARRIVE],
    ids=lambda method: method.name.lower(),
)
@pytest.mark.parametrize("index", [2, 3, 4], ids=["stays", "leaves", "comes"])
def test_a_registry_that_is_lost_in_a_resharing_stops_nothing(
    some: Office, method: HolderMethod, index: int
) -> None:
    """The same command, or a refresh, brings it to the end."""
    after = ("h2", "h4", "h5")
    some.links[index].tamper = failing_at(method)
    with suppress(NotReady):
        some.client.reshare("treasury", 2, after)
    with forgetful(some) as fresh:
        found = fresh.client.show("treasury")
        wallet = fresh.registry.named("treasury")
        assert wallet is not None
        fresh.refresher.advance(wallet)  # as the keeper does: who has not arrived does not sign
        every_quorum_signs(fresh, fresh.client.show("treasury"))
        if found.body.epoch == 0:
            found = fresh.client.reshare("treasury", 2, after)
        refreshed = fresh.client.refresh("treasury", [])
        assert holders_of(refreshed) == after
        every_quorum_signs(fresh, refreshed)
        for place, party in fresh.world.parties.items():
            assert len(keks(party)) == (f"h{place}" in after)


def test_who_has_voted_tells_that_all_new_holders_had_arrived(some: Office) -> None:
    """A vote leads every attempt to this resharing. One new holder may say nothing any more, and
    the coordinator be gone that has heard it.
    """
    after = ("h1", "h2", "h4")
    some.links[5].tamper = failing_at(HolderMethod.ADOPT)
    with pytest.raises(NotReady):
        some.client.reshare("treasury", 2, after)
    with forgetful(some) as fresh:
        fresh.links[4].down = True
        assert fresh.client.show("treasury").body.epoch == 0
        wallet = fresh.registry.named("treasury")
        assert wallet is not None
        fresh.refresher.advance(wallet)
        shared = fresh.client.show("treasury")
        assert (shared.body.epoch, holders_of(shared)) == (1, after)
        fresh.links[4].down = False
        fresh.refresher.advance(wallet)
        every_quorum_signs(fresh, shared)


# What else is done with such wallets


@pytest.mark.parametrize("reshared", [False, True])
def test_all_holders_of_a_wallet_of_some_destroy_it(some: Office, reshared: bool) -> None:
    if reshared:
        some.client.reshare("treasury", 3, ("h1", "h2", "h4", "h5"))
    end = some.client.destroy("treasury", "we move")
    assert end.is_final
    assert end.waiting_for == ()
    assert end.destroyed == tuple(range(1, 5 if reshared else 4))
    assert all(keks(party) == [] for party in some.world.parties.values())


@pytest.mark.parametrize("reshared", [False, True])
@pytest.mark.parametrize("lose", [lose_store, lose_keys], ids=["store", "keys"])
def test_a_lost_share_of_a_wallet_of_some_is_repaired(
    some: Office, lose: Callable[[Office, int], None], reshared: bool
) -> None:
    """Of who stays and of who came: it is holder 3 of the wallet, and 4 or 5 of the roster."""
    lost = 5
    if reshared:
        some.client.reshare("treasury", 2, ("h2", "h3", "h4"))
        lost = 4
    before = some.client.show("treasury")
    lose(some, lost)
    wallet = some.client.repair("treasury", lost)
    assert wallet.body.group_key == before.body.group_key
    every_quorum_signs(some, wallet)
    every_quorum_signs(some, some.client.refresh("treasury", []))


@pytest.mark.parametrize("reshared", [False, True])
def test_a_holder_of_a_wallet_of_some_is_replaced_on_another_hsm(
    some: Office, hsm_module: Module, pin_arena: Arena, reshared: bool
) -> None:
    """And the key is shared among others after it, by its new key."""
    lost = 5
    if reshared:
        some.client.reshare("treasury", 2, ("h2", "h3", "h4"))
        lost = 4
    token = new_token(hsm_module, pin_arena)
    run_shielded(partial(some.world.replaced, lost, token))
    wallet = some.client.repair("treasury", lost)
    every_quorum_signs(some, wallet)
    names = (*(f"h{index}" for index in (1, 2, lost)),)
    shared = some.client.reshare("treasury", 2, tuple(sorted(names)))
    assert holders_of(shared) == tuple(sorted(names))
    every_quorum_signs(some, shared)
    every_quorum_signs(some, some.client.refresh("treasury", []))


# Whom a liar names


def test_who_acknowledges_something_else_is_named_by_name(five: Office) -> None:
    """h5 is the third of the new holders; the third of the old ones is h3, who is honest."""

    def other_share(method: HolderMethod, parts: Parts, honest: Answer) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is not HolderMethod.RECEIVE:
            return answer
        message = parse_envelope(answer[0])
        ack = Ack.from_bytes(message.payload)
        wrong = replace(ack, acknowledgement=replace(ack.acknowledgement, blob_digest=bytes(32)))
        acting = five.world.parties[5].acting
        said = partial(acting.signed_by_identity, NEW_ACK, message.address, wrong.to_bytes())
        return (run_shielded(said),)

    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    five.links[5].tamper = other_share
    with pytest.raises(HsmMpcError, match="the acknowledgement of new holder h5 does not verify"):
        five.client.reshare("treasury", 2, ("h1", "h2", "h5"))


def test_nobody_is_named_whom_there_is_none_of(five: Office) -> None:
    def lying(method: HolderMethod, parts: Parts, honest: Answer) -> tuple[bytes, ...]:
        if method is HolderMethod.RECEIVE:
            raise ProtocolAbort("they all lie", (1, 200))
        return honest(parts)

    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    five.links[5].tamper = lying
    with pytest.raises(ProtocolAbort, match="they all lie"):
        five.client.reshare("treasury", 2, ("h1", "h2", "h5"))


def test_a_lost_key_gets_no_share(some: Office, hsm_module: Module, pin_arena: Arena) -> None:
    """It is pinned still: whoever finds the lost HSM has it (step 6.7.7)."""
    run_shielded(partial(some.world.replaced, 5, new_token(hsm_module, pin_arena)))
    some.client.repair("treasury", 5)
    body = some.client.reshare("treasury", 2, ("h2", "h3")).body
    party = some.world.parties[2].acting
    lineage = party.lineage(body.terms)
    for name, rule in (("h5", "roster-not-pinned"), ("h4", "")):
        chosen = some.world.roster.among(("h2", "h3", name)).members
        new = Resharing(QuorumSizes.default(3, 2), lineage.newest.roster.followed_by(chosen))
        order = ReshareOrder(body.terms.wallet_id, body.hash, "back", some.world.clock() + 60, new)
        check = partial(resharing.require_possible, party, order, body, lineage)
        assert rule == (rule_of(check) if rule else check() or "")


def amended_and_not_refreshed(office: Office, replace_hsm: Replace) -> None:
    """h2 is repaired onto another HSM, which the next succession carries."""
    office.made()
    replace_hsm(office, 2)
    with_failing_refresh(office, 2)


def test_a_resharing_that_carries_an_amendment_verifies_and_is_followed(
    office: Office, replace_hsm: Replace
) -> None:
    """What h2 says of the epoch before, it says by its new key."""
    amended_and_not_refreshed(office, replace_hsm)
    shared = office.client.reshare("treasury", 3)
    assert waiting_for(shared) == (True, ())
    refreshed = office.client.refresh("treasury", [])
    assert signed_in(office, refreshed, (1, 2, 3)) == refreshed.body.hash
    assert [link.lost for link in history(office).links] == [("h2",), (), ()]


def test_who_stops_while_it_retires_finds_the_proof_again(
    office: Office, replace_hsm: Replace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lineage with the resharing is kept first; what h2 voted by its new key counts still."""
    amended_and_not_refreshed(office, replace_hsm)
    with monkeypatch.context() as patched:

        def killed(*_: object) -> None:
            raise BackendError("killed")

        patched.setattr(retiring, "destroy_keys", killed)
        assert waiting_for(office.client.reshare("treasury", 3)) == (True, (1, 2, 3))
    for index in office.world.parties:
        run_shielded(partial(office.world.restarted, index))
    refreshed = office.client.refresh("treasury", [])
    assert signed_in(office, refreshed, (1, 2, 3)) == refreshed.body.hash
    for party in office.world.parties.values():
        assert len(keks(party)) == 1


def test_a_seat_of_a_lost_hsm_that_is_decided_stops_nobody(
    five: Office, replace_hsm: Replace
) -> None:
    """h1 alone has adopted when h2 is repaired in the old epoch; its seat in the new one has the
    key that was lost. It destroys what it has, and the others go on without it.
    """
    wallet = five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    for index in (2, 3):
        five.links[index].tamper = failing_at(HolderMethod.ADOPT)
    with pytest.raises(NotReady):
        five.client.reshare("treasury", 2, ("h1", "h2", "h4"))
    for index in (2, 3):
        five.links[index].tamper = None
    replace_hsm(five, 2)
    shown = five.client.repair("treasury", 2)
    assert (holders_of(shown), waiting_for(shown)) == (("h1", "h2", "h4"), (True, ()))
    assert [len(keks(five.world.parties[index])) for index in range(1, 6)] == [1, 0, 0, 1, 0]
    refreshed = five.client.refresh("treasury", [2])
    assert refreshed.body.group_key == wallet.body.group_key
    assert signed_in(five, refreshed, (1, 4)) == refreshed.body.hash
    replace_hsm(five, 2)  # a third key
    every_quorum_signs(five, five.client.repair("treasury", 2))
