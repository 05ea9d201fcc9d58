"""Refresh through a coordinator, with real holders in this process (section 6)."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import coincurve
import pytest

from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.coordinator.successions import Succession
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    HoldersBlamed,
    NotReady,
    QuorumUnreachable,
    Refused,
)
from hsm_mpc.hsm.module import Module
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.succession.join import Adoption, Join
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.envelope import parse_envelope
from tests.agent.making import keks
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World
from tests.coordinator.office import Office
from tests.coordinator.test_destruction import failing_at

Honest = Callable[[Sequence[bytes]], tuple[bytes, ...]]
EVERY_PAIR = tuple(combinations((1, 2, 3), 2))


def signed_in(office: Office, wallet: VerifiedWallet, signers: Sequence[int]) -> bytes:
    """Which epoch these holders sign in; the signature verifies under the wallet's first key."""
    signed = office.signed(wallet, b"pay", signers)
    assert coincurve.PublicKeyXOnly(signed.public_key).verify(signed.signature, b"pay")
    assert signed.signers == tuple(signers)
    return signed.epoch_hash


def waiting_for(wallet: VerifiedWallet) -> tuple[bool, tuple[int, ...]]:
    assert wallet.newest is not None
    return wallet.newest.retired, wallet.newest.waiting_for


def test_refreshed_again_and_again_the_key_stays_and_every_pair_signs(office: Office) -> None:
    wallet = office.made()
    for epoch in (1, 2, 3):
        renewed = office.client.refresh("treasury", [])
        assert renewed.body.epoch == epoch
        assert renewed.body.group_key == wallet.body.group_key
        assert renewed.body.commitments[1:] != wallet.body.commitments[1:]
        assert waiting_for(renewed) == (True, ())
        for pair in EVERY_PAIR:
            assert signed_in(office, renewed, pair) == renewed.body.hash
    for party in office.world.parties.values():
        assert len(keks(party)) == 1


def test_a_signature_looks_at_the_newest_epochs_only(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wallet that is refreshed by the clock has thousands of them."""
    wallet = office.made()
    for epoch in (1, 2, 3):
        wallet = office.client.refresh("treasury", [])
        assert wallet.body.epoch == epoch

    def everything(*_: object) -> tuple[Succession, ...]:
        raise AssertionError("all successions were read")

    monkeypatch.setattr(Registry, "successions", everything)
    assert office.signed(wallet, b"pay", (1, 3)).epoch_hash == wallet.body.hash


def test_who_is_absent_keeps_the_old_epoch_alive_and_catches_up(office: Office) -> None:
    """Steps 6.4.7 and 6.5.8: 2-of-3 retires when all three have adopted."""
    office.made()
    office.links[3].down = True
    renewed = office.client.refresh("treasury", [3])
    assert waiting_for(renewed) == (False, (3,))
    assert signed_in(office, renewed, (1, 2)) == renewed.body.hash
    office.links[3].down = False
    assert signed_in(office, renewed, (1, 3)) == renewed.body.prev_hash
    wallet = office.registry.named("treasury")
    assert wallet is not None
    office.refresher.advance(wallet)
    caught_up = office.client.show("treasury")
    assert waiting_for(caught_up) == (True, ())
    for pair in EVERY_PAIR:
        assert signed_in(office, caught_up, pair) == renewed.body.hash


def test_who_is_down_and_not_said_to_be_absent_is_named(office: Office) -> None:
    office.made()
    office.links[2].down = True
    with pytest.raises(QuorumUnreachable) as unreachable:
        office.client.refresh("treasury", [])
    assert unreachable.value.waiting_for == ("h2",)
    assert office.client.show("treasury").body.epoch == 0
    office.links[2].down = False
    assert office.client.refresh("treasury", []).body.epoch == 1


def test_who_is_down_costs_the_others_no_promise(office: Office) -> None:
    """A schedule tries again and again: each promise is a write to an HSM, and kept on disk."""
    wallet = office.made()
    office.links[2].down = True
    for _ in range(3):
        with pytest.raises(QuorumUnreachable):
            office.client.refresh("treasury", [])
    wallet_id = wallet.body.terms.wallet_id
    for index in (1, 3):
        assert HolderMethod.JOIN not in office.links[index].asked
        assert office.world.parties[index].acting.attempts(wallet_id).all() == ()
    office.links[2].down = False
    assert office.client.refresh("treasury", []).body.epoch == 1


def test_the_next_refresh_waits_until_the_last_epoch_is_retired(office: Office) -> None:
    """Step 6.1.4."""
    office.made()
    office.links[3].down = True
    office.client.refresh("treasury", [3])
    with pytest.raises(NotReady) as not_yet:
        office.client.refresh("treasury", [3])
    assert not_yet.value.waiting_for == ("h3",)
    office.links[3].down = False
    assert office.client.refresh("treasury", []).body.epoch == 2


def test_too_few_that_are_there_begin_nothing(office: Office) -> None:
    """Step 6.5.2: a 2-of-3 wallet wants two that join."""
    office.made()
    with pytest.raises(BadInput, match="1 of 3 holders are left: a refresh of this wallet wants 2"):
        office.client.refresh("treasury", [2, 3])
    assert HolderMethod.JOIN not in office.links[1].asked


@pytest.mark.parametrize(
    "method",
    [
        HolderMethod.JOIN,
        HolderMethod.DEAL,
        HolderMethod.STAGE,
        HolderMethod.ADOPT,
        HolderMethod.RETIRE,
    ],
)
@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_a_link_that_breaks_at_any_message_costs_a_retry(
    office: Office, method: HolderMethod, answered: bool
) -> None:
    """The call is lost on its way, or its answer is."""
    office.made()
    broken: list[HolderMethod] = []

    def once(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if asked is not method or broken:
            return honest(parts)
        broken.append(asked)
        if answered:
            honest(parts)
        raise BackendError("the link broke")

    office.links[1].tamper = once
    try:
        renewed = office.client.refresh("treasury", [])
    except QuorumUnreachable:
        renewed = office.client.refresh("treasury", [])
    assert broken == [method]
    wallet = office.registry.named("treasury")
    assert wallet is not None
    office.refresher.advance(wallet)
    renewed = office.client.show("treasury")
    assert waiting_for(renewed) == (True, ())
    for pair in EVERY_PAIR:
        assert signed_in(office, renewed, pair) == renewed.body.hash
    for party in office.world.parties.values():
        assert len(keks(party)) == 1


def test_a_dealing_that_does_not_fit_names_its_dealer(office: Office, world: World) -> None:
    """Step 6.4.3. The cheat signs what it sends: whom it cheats keeps the evidence."""
    wallet = office.made()
    cheat = world.parties[2].acting

    def bad_frame(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if asked is not HolderMethod.DEAL:
            return answer
        message = parse_envelope(answer[0])
        payload = message.payload[:-1] + bytes([message.payload[-1] ^ 1])
        return (cheat.channel_message(message.kind, message.address, payload).to_bytes(),)

    office.links[2].tamper = bad_frame
    with pytest.raises(HoldersBlamed) as blamed:
        office.client.refresh("treasury", [])
    assert blamed.value.names == ("h2",)
    assert world.parties[3].acting.store.evidence.kept()
    office.links[2].tamper = None
    assert office.client.show("treasury").body.epoch == wallet.body.epoch
    assert office.client.refresh("treasury", []).body.epoch == 1


@pytest.mark.parametrize("shown", ["another epoch", "garbage", "nothing"])
def test_a_holder_that_tells_of_what_it_has_not_adopted_is_named(
    office: Office, world: World, shown: str
) -> None:
    """Nothing that one holder says becomes an epoch of the wallet, and signing goes on."""
    office.made()
    renewed = office.client.refresh("treasury", [])
    liar = world.parties[3].acting
    wallet = office.registry.named("treasury")
    assert wallet is not None
    newest = office.refresher.epochs(wallet).newest
    assert newest is not None
    known = SuccessorCertificate.from_bytes(newest.certificate)
    forged = replace(known, body=replace(known.body, epoch=77)).to_bytes()
    told = {"another epoch": forged, "garbage": b"garbage", "nothing": b""}[shown]

    def adopted(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if asked is not HolderMethod.JOIN:
            return answer
        message = parse_envelope(answer[0])
        join = Join.from_bytes(message.payload)
        before = replace(join.attempt, counter=join.attempt.counter - 1)
        claim = Adoption(before, known.body.hash, hashlib.sha256(told).digest())
        payload = replace(join, adopted=claim).to_bytes()
        lie = liar.signed_by_identity(message.kind, message.address, payload)
        return lie, answer[1], told, *answer[3:]

    office.links[3].tamper = adopted
    with pytest.raises(HoldersBlamed) as blamed:
        office.client.refresh("treasury", [])
    assert blamed.value.names == ("h3",)
    assert office.client.show("treasury").body == renewed.body
    assert signed_in(office, renewed, (1, 2)) == renewed.body.hash


@pytest.mark.parametrize("told", ["garbage", "unsigned", "another epoch"])
def test_what_one_holder_answers_instead_of_its_confirmation_keeps_nobody(
    four: Office, told: str
) -> None:
    """A liar keeps back its own vote and no other."""
    liar = four.world.parties[4].acting

    def lie(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if asked not in (HolderMethod.ADOPT, HolderMethod.RETIRE):
            return answer
        if told == "garbage":
            return (b"garbage",)
        if told == "unsigned":
            return (answer[0][:-1] + bytes([answer[0][-1] ^ 1]), *answer[1:])
        message = parse_envelope(answer[0])
        payload = bytearray(message.payload)
        payload[10 if asked is HolderMethod.ADOPT else 42] ^= 1
        said = liar.signed_by_identity(message.kind, message.address, bytes(payload))
        return (said, *answer[1:])

    four.links[4].tamper = lie
    renewed = four.client.refresh("treasury", [])
    assert waiting_for(renewed) == (True, (4,))
    assert signed_in(four, renewed, (1, 2)) == renewed.body.hash


def test_who_was_away_is_reached_by_the_key_that_it_has_now(four: Office) -> None:
    """It did not vote, and is away again when the next epoch is dealt (step 6.4.1)."""
    wallet = four.client.show("treasury")
    for epoch in (1, 2, 3):
        four.links[4].down = True
        renewed = four.client.refresh("treasury", [4])
        assert (renewed.body.epoch, waiting_for(renewed)) == (epoch, (True, (4,)))
        four.links[4].down = False
        registered = four.registry.named("treasury")
        assert registered is not None
        four.refresher.advance(registered)
        assert waiting_for(four.client.show("treasury")) == (True, ())
        assert signed_in(four, wallet, (1, 4)) == renewed.body.hash


def test_what_a_holder_says_of_another_epoch_is_not_what_the_next_one_deals_by(
    four: Office,
) -> None:
    liar, lies = four.world.parties[4].acting, []

    def lie(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if asked is not HolderMethod.RETIRE:
            return answer
        message = parse_envelope(answer[1])
        payload = bytearray(message.payload)
        payload[10] ^= 1  # of h'
        lies.append(liar.signed_by_identity(message.kind, message.address, bytes(payload)))
        return (answer[0], lies[0])

    four.links[4].tamper = lie
    renewed = four.client.refresh("treasury", [])
    (succession,) = four.registry.successions(renewed.body.terms.wallet_id)
    assert waiting_for(renewed) == (True, ())
    assert len(lies) == 1
    assert succession.dones[4] != lies[0]


def test_an_overtaken_holder_is_not_left_two_epochs_behind(four: Office) -> None:
    """Section 6.1.4, as built: whoever has not retired yet could not open what is dealt next."""
    silent = [True]

    def away(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if asked is HolderMethod.ADOPT and silent[0]:
            raise BackendError("nobody answers")
        return honest(parts)

    def behind(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if asked is HolderMethod.ADOPT:
            raise Refused("attempt-overtaken", "a higher attempt than this one was joined")
        if asked is HolderMethod.RETIRE:
            raise BackendError("nobody answers")
        return honest(parts)

    for index in (1, 2, 3):
        four.links[index].tamper = away
    four.links[4].tamper = behind
    with pytest.raises(NotReady, match="not adopted yet") as nobody:
        four.client.refresh("treasury", [])
    assert nobody.value.waiting_for == ("h1", "h2", "h3", "h4")
    silent[0] = False
    with pytest.raises(NotReady) as not_yet:
        four.client.refresh("treasury", [4])
    assert not_yet.value.waiting_for == ("h4",)
    four.links[4].tamper = None
    assert four.client.refresh("treasury", []).body.epoch == 2


@pytest.mark.parametrize("anew", [False, True])
def test_a_disk_from_before_the_vote_is_given_it_again(
    office: Office, tmp_path: Path, anew: bool
) -> None:
    """Else it would join no further attempt, and nothing ends without it."""
    made = office.made()
    dones = list(office.registry.all()[0].dones)
    wallets = office.world.parties[3].acting.store._folder / "wallets"

    def copied(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if asked is HolderMethod.ADOPT:
            shutil.copytree(wallets, tmp_path / "copy")
        return honest(parts)

    def away(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if asked is HolderMethod.ADOPT:
            raise BackendError("nobody answers")
        return honest(parts)

    office.links[1].tamper, office.links[3].tamper = away, copied
    voted = office.client.refresh("treasury", [])
    assert waiting_for(voted) == (False, (1,))
    office.links[1].tamper = office.links[3].tamper = None
    office.world.now[0] += 10
    rival = Refreshing(office.world, made.body, (1, 3), dones)
    for index in (1, 3):
        run_shielded(partial(rival.join, index))
    shutil.rmtree(wallets)
    shutil.copytree(tmp_path / "copy", wallets)
    run_shielded(partial(office.world.restarted, 3))
    office.world.now[0] += 10
    if not anew:
        carried = office.client.refresh("treasury", [])
        assert carried.body == voted.body
        assert waiting_for(carried) == (True, ())
    else:  # what was adopted is carried on, whatever is asked for; and then that is done
        shared = office.client.reshare("treasury", 3, ("h1", "h2", "h3"))
        assert shared.body.prev_hash == voted.body.hash
    assert office.client.refresh("treasury", []).body.epoch == 2 + anew


def test_a_disk_from_before_a_vote_in_an_earlier_attempt_is_given_that_again(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3-of-3: of h3 the coordinator knows a vote two attempts before its last one, and nothing ends
    without h3. It has the time of one round for its answers about all of them.
    """
    made = office.made(t=3)
    dones = list(office.registry.all()[0].dones)
    wallets = office.world.parties[3].acting.store._folder / "wallets"
    has_joined = dict.fromkeys((1, 3), False)

    def overtaken() -> None:
        for index in has_joined:
            office.links[index].tamper, has_joined[index] = None, False
        office.world.now[0] += 10
        rival = Refreshing(office.world, made.body, (1, 3), dones, attempts=rivals.pop())
        for index in has_joined:
            run_shielded(partial(rival.join, index))
        office.world.now[0] += 10

    def copied(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if asked is HolderMethod.ADOPT:
            shutil.copytree(wallets, tmp_path / "copy")
        return honest(parts)

    def mute(
        index: int, asked: HolderMethod, parts: Sequence[bytes], honest: Honest
    ) -> tuple[bytes, ...]:
        has_joined[index] |= asked is HolderMethod.JOIN
        if has_joined[index] and asked is HolderMethod.ADOPT:
            raise BackendError("nobody answers")
        return honest(parts)

    def timed(method: int, parts: Sequence[bytes], seconds: float) -> tuple[bytes, ...]:
        if method == HolderMethod.ADOPT:
            given.append(seconds)
        return called(method, parts, seconds)

    rivals = [5, 5, 0]
    office.links[1].tamper, office.links[3].tamper = failing_at(HolderMethod.ADOPT), copied
    with pytest.raises(NotReady, match="not adopted yet") as first:
        office.client.refresh("treasury", [])
    assert first.value.waiting_for == ("h1",)
    overtaken()
    for _ in range(2):
        for index in has_joined:
            office.links[index].tamper = partial(mute, index)
        with pytest.raises(NotReady, match="not adopted yet") as later:
            office.client.refresh("treasury", [])
        assert later.value.waiting_for == ("h1", "h3")
        overtaken()
    shutil.rmtree(wallets)
    shutil.copytree(tmp_path / "copy", wallets)
    run_shielded(partial(office.world.restarted, 3))
    given, called = list[float](), office.links[3].call
    monkeypatch.setattr(office.links[3], "call", timed)
    assert waiting_for(office.client.refresh("treasury", [])) == (True, ())
    before_last, first_one = given[1:3]
    assert 0 < first_one < before_last


def test_a_coordinator_that_lost_all_finds_every_epoch_again(
    hsm_module: Module, pin_arena: Arena, tmp_path: Path
) -> None:
    with World.made(hsm_module, pin_arena, tmp_path, 3) as world:
        with Office.opened(world, tmp_path / "coordinator") as office:
            office.made()
            office.client.refresh("treasury", [])
            office.links[3].down = True
            renewed = office.client.refresh("treasury", [3])
        with Office.opened(world, tmp_path / "another") as office:
            found = office.client.show("treasury")
            assert found.body == renewed.body
            assert waiting_for(found) == (False, (3,))
            wallet = office.registry.named("treasury")
            assert wallet is not None
            office.refresher.advance(wallet)
            assert waiting_for(office.client.show("treasury")) == (True, ())
            assert office.client.refresh("treasury", []).body.epoch == 3


@pytest.mark.parametrize("method", [HolderMethod.REQUEST, HolderMethod.SIGN])
def test_a_request_in_flight_across_the_switch_is_signed_all_the_same(
    office: Office, method: HolderMethod
) -> None:
    """The old epoch is retired between the choice of the epoch and the answer of the holders."""
    wallet = office.made()
    began = threading.Lock()
    switched = threading.Event()

    def switching(asked: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if asked is method:
            if began.acquire(blocking=False):
                refreshed.append(office.client.refresh("treasury", []))
                switched.set()
            switched.wait(30)
        return honest(parts)

    refreshed: list[VerifiedWallet] = []
    office.links[1].tamper = office.links[2].tamper = office.links[3].tamper = switching
    assert signed_in(office, wallet, (1, 2)) == refreshed[0].body.hash
