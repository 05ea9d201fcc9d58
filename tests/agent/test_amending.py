"""A holder on another HSM, and what the others believe of it (step 6.7.2)."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hsm_mpc.agent.evidence import Case
from hsm_mpc.agent.refusals import refusals_recorded
from hsm_mpc.agent.repair import receiving
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    InvalidSignature,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.register import Register
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import Roster
from hsm_mpc.secure.arena import Arena
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.succession.amendment import Amendment, Repaired
from hsm_mpc.succession.propose import check_propose
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import bundle, parse_envelope
from hsm_mpc.wire.rounds import PROPOSE
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession
from tests.agent.making import Making, events
from tests.agent.ordering import TWO_OF_THREE
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import Repairing, administered, rule_of
from tests.agent.rounds import Round
from tests.agent.simulate import Party, World, Worlds, new_token
from tests.softhsm import throw_away
from tests.software_identity import SoftwareKey, p256_key

pytestmark = pytest.mark.usefixtures("shielded")

LOST = 3
HELPERS = (1, 2)
STRANGER = p256_key(9)


@pytest.fixture
def making(world: World, making: Making) -> Making:
    """A 2-of-3 wallet whose third holder has lost its HSM and its disk."""
    world.lost_hsm(LOST)
    return making


@pytest.fixture
def repairing(making: Making) -> Repairing:
    return Repairing(making.world, making, LOST, HELPERS)


def party(repairing: Repairing, index: int = LOST) -> Party:
    return repairing.world.parties[index]


def roster_of(repairing: Repairing, index: int) -> bytes:
    """The roster in force, as this holder has it."""
    roster = party(repairing, index).acting.lineage(repairing.body.terms).newest.roster
    return bytes(roster.hash)


def amendment(repairing: Repairing) -> bytes:
    """What amends the roster, once the share is there."""
    ack, _ = repairing.summed().recover()
    return Repaired(repairing.order, ack).to_bytes()


def amend(repairing: Repairing, index: int, source: bytes) -> None:
    repairing.desk(index).amend(repairing.body.terms.wallet_id, source)


def test_the_others_take_the_new_key_from_what_proves_it(repairing: Repairing) -> None:
    source, first = amendment(repairing), repairing.world.roster.hash
    assert roster_of(repairing, LOST) != first
    for helper in HELPERS:
        assert roster_of(repairing, helper) == signs_by(repairing, helper).hash == first
        amend(repairing, helper, source)
        assert signs_by(repairing, helper).hash != first
        amend(repairing, helper, source)
        assert roster_of(repairing, helper) == roster_of(repairing, LOST)
        assert events(party(repairing, helper)).count("roster-amended") == 1
    amend(repairing, LOST, source)
    assert events(party(repairing)).count("roster-amended") == 1
    for index in (1, 2, 3):
        repairing.world.restarted(index)
    for pair in ((1, 3), (2, 3)):
        round_ = Round(repairing.world, repairing.making.certificate(), b"pay").commit(*pair)
        assert len({round_.sign(index) for index in pair}) == 2


def test_who_has_not_heard_of_it_signs_with_nobody_unknown(repairing: Repairing) -> None:
    amendment(repairing)
    round_ = Round(repairing.world, repairing.making.certificate(), b"pay").commit(1, LOST)
    with pytest.raises(InvalidSignature):
        round_.sign(1)


def test_a_request_that_came_before_is_answered_by_the_new_key(repairing: Repairing) -> None:
    source = amendment(repairing)
    round_ = Round(repairing.world, repairing.making.certificate(), b"pay").commit(1)
    amend(repairing, 1, source)
    assert round_.commit(1, LOST).sign(1)


def test_what_amends_nothing_changes_nothing(repairing: Repairing) -> None:
    source = Amendment.from_bytes(amendment(repairing))
    assert isinstance(source, Repaired)
    forged = replace(source.order, signatures=source.order.signatures[:1])
    for wrong in (
        b"",
        b"no amendment",
        replace(source, order=forged).to_bytes(),
        replace(source, ack=source.ack[:-1] + bytes([source.ack[-1] ^ 1])).to_bytes(),
        replace(source, order=replace(source.order, known_key=STRANGER.public)).to_bytes(),
    ):
        with pytest.raises(ProtocolAbort) as aborted:
            amend(repairing, 1, wrong)
        assert aborted.value.culprits == ()
    assert roster_of(repairing, 1) == repairing.world.roster.hash
    unknown = WalletId(b"u" * 16)
    assert rule_of(lambda: repairing.desk(1).amend(unknown, source.to_bytes())) == "unknown-wallet"


def test_of_two_that_replace_one_key_the_first_counts(
    world: World, making: Making, repairing: Repairing
) -> None:
    """A coordinator that keeps one back does not have the other put into its place."""
    first = amendment(repairing)
    world.lost_hsm(LOST)
    again = Repairing(world, making, LOST, HELPERS)
    again.ordered(nonce=b"2" * 32)
    second = amendment(again)
    amend(repairing, 1, first)
    assert rule_of(lambda: amend(repairing, 1, second)) == "other-roster"


def test_an_order_names_the_key_in_force(
    world: World, making: Making, repairing: Repairing
) -> None:
    source = amendment(repairing)
    for helper in HELPERS:
        amend(repairing, helper, source)
    world.lost_hsm(LOST)
    again = Repairing(world, making, LOST, HELPERS)
    again.offer()
    old = again.wished(nonce=b"2" * 32)
    assert rule_of(lambda: again.desk(1).consider(again.said(old))) == "other-order"
    chain = Chain.from_bytes(again.chain())
    lineage = party(repairing, 1).acting.lineage(again.body.terms)
    known = replace(chain, lineage=lineage.to_bytes()).to_bytes()
    again.offered = again.desk(LOST).offer(known, *again.documents())
    in_force = lineage.newest.roster.member(LOST).key
    again.order = again.countersigned(again.wished(nonce=b"2" * 32, known_key=in_force))
    second = amendment(again)
    for index in (1, 2, LOST):
        amend(again, index, second)
    assert len({roster_of(again, index) for index in (1, 2, 3)}) == 1
    Round(world, making.certificate(), b"pay").commit(1, LOST).sign(LOST)


# A coordinator alone


def stranger_in(repairing: Repairing, key: SoftwareKey) -> RepairOrder:
    """An order that puts a key of the coordinator's own into the place of the holder's."""
    wanted = replace(repairing.wished(), identity_key=key.public)
    return replace(wanted, offer_signature=key.sign(Tag.REPAIR_OFFER, wanted.offer_message))


def test_a_coordinator_alone_obtains_no_repair_to_an_identity_of_its_own(
    world: World, making: Making
) -> None:
    world.asking = frozenset({1, 2, 3})
    for index in (1, 2, 3):
        world.restarted(index)
    repairing = Repairing(world, making, LOST, HELPERS)
    repairing.offer()
    order = stranger_in(repairing, STRANGER)
    for helper in HELPERS:
        desk, message = repairing.desk(helper), repairing.said(order)
        assert not desk.consider(message)
        assert rule_of(partial(desk.countersign, message)) == "consent"
        forged = order.signed(
            [
                OrderSignature(each, STRANGER.public.algorithm, signed)
                for each in HELPERS
                for signed in [STRANGER.sign(Tag.REPAIR_ORDER, order.terms)]
            ]
        )
        said = repairing.said(forged)
        assert rule_of(partial(desk.split, said, repairing.dones)) == "consent"
        (plan,) = world.parties[helper].ceremonies.consents.waiting()
        world.parties[helper].ceremonies.consents.agree(plan.digest)
        assert rule_of(partial(desk.split, said, repairing.dones)) == "not-ordered"


def test_no_other_holders_key_takes_the_place_of_the_lost_one(repairing: Repairing) -> None:
    repairing.offer()
    helper = party(repairing, 2).acting.identity
    wanted = replace(repairing.wished(), identity_key=helper.key)
    signed = helper.sign(Tag.REPAIR_OFFER, wanted.offer_message)
    order = replace(wanted, offer_signature=signed)
    assert rule_of(lambda: repairing.desk(1).consider(repairing.said(order))) == "other-order"


def test_no_roster_is_amended_over_the_heads_of_administrators(worlds: Worlds) -> None:
    """Helpers sign once these have; what all helpers have signed proves itself to everybody."""
    making = Making.of(worlds(3), policy=TWO_OF_THREE)
    making.active()
    making.world.lost_hsm(LOST)
    repairing = Repairing(making.world, making, LOST, HELPERS)
    repairing.offer()
    order = repairing.wished()
    assert rule_of(lambda: repairing.countersigned(order)) == "not-ordered"
    signatures = administered(order, 0, 2)
    repairing.order = repairing.countersigned(order, signatures)
    ack, _ = repairing.summed().recover()
    by_administrators = [OrderSignature.read(Reader(each, "signature")) for each in signatures]
    forged = Repaired(order.signed(by_administrators), ack).to_bytes()
    with pytest.raises(ProtocolAbort):
        amend(repairing, 1, forged)
    source = Repaired(repairing.order, ack).to_bytes()
    for index in HELPERS:
        amend(repairing, index, source)
        assert roster_of(repairing, index) == roster_of(repairing, LOST)


# The epoch that comes after


@pytest.fixture
def refreshing(making: Making, repairing: Repairing) -> Refreshing:
    """Holders 1 and 2 are asked to replace the epoch in which the third was repaired; holder 1 has
    heard of that.
    """
    amend(repairing, 1, amendment(repairing))
    return Refreshing(making.world, repairing.body, HELPERS, making.dones)


def test_the_key_in_a_lost_hsm_has_no_vote_any_more(refreshing: Refreshing) -> None:
    """Its old confirmation names a delivery key that only the lost one has."""
    refreshing.joined()
    assert refreshing.deal(2)  # who has heard of nothing
    assert rule_of(lambda: refreshing.deal(1)) == "other-roster"


def test_a_proposal_is_of_one_roster(refreshing: Refreshing, repairing: Repairing) -> None:
    """Of the new one, the old key signs nothing; of the old one, the new key does not."""
    refreshing.members = (1, LOST)
    refreshing.joined()
    lineage = party(repairing, 1).acting.lineage(repairing.body.terms)
    content = refreshing.proposal()
    with pytest.raises(InvalidSignature):
        check_propose(parse_envelope(refreshing.propose), refreshing.replaced, refreshing.keys)
    amended = replace(content, amendments=lineage.pending)
    message = refreshing.said(PROPOSE, amended.to_bytes())
    proposed = check_propose(parse_envelope(message), refreshing.replaced, refreshing.keys)
    assert proposed.keys.roster == lineage.newest.roster
    old = replace(amended, dones=tuple(refreshing.first_dones))
    with pytest.raises(InvalidSignature):
        message = refreshing.said(PROPOSE, old.to_bytes())
        check_propose(parse_envelope(message), refreshing.replaced, refreshing.keys)


def certified_without_second(refreshing: Refreshing, repairing: Repairing) -> None:
    """Holder 1 and the one on another HSM have made a successor that carries its new key."""
    refreshing.members = (1, LOST)
    refreshing.joined()
    pending = party(repairing, 1).acting.lineage(repairing.body.terms).pending
    content = replace(refreshing.proposal(), amendments=pending)
    refreshing.propose = refreshing.said(PROPOSE, content.to_bytes())
    refreshing.dealt()
    refreshing.certified()


def test_who_adopts_what_was_made_without_it_knows_the_new_key(
    refreshing: Refreshing, repairing: Repairing
) -> None:
    certified_without_second(refreshing, repairing)
    assert roster_of(repairing, 2) != roster_of(repairing, 1)
    refreshing.adopt(2, refreshing.transcript)
    assert roster_of(repairing, 2) == roster_of(repairing, 1)
    assert refreshing.certificate is not None
    refreshing.adopt(LOST)
    Round(repairing.world, refreshing.certificate, b"pay").commit(2, LOST).sign(2)


def test_who_deals_knows_the_new_key(refreshing: Refreshing, repairing: Repairing) -> None:
    """And signs by it, although it has signed by the old one before."""
    assert signs_by(repairing, 2) == repairing.world.roster
    refreshing.members = (1, 2)
    refreshing.joined()
    pending = party(repairing, 1).acting.lineage(repairing.body.terms).pending
    newest = repairing.recover()[1]
    content = refreshing.proposal()
    content = replace(content, amendments=pending, dones=(*content.dones[:2], newest))
    refreshing.propose = refreshing.said(PROPOSE, content.to_bytes())
    refreshing.dealt()
    assert signs_by(repairing, 2).hash == roster_of(repairing, 1)


def signs_by(repairing: Repairing, index: int) -> Roster:
    """Under which roster this holder checks the other signers of the live epoch."""
    terms, h = repairing.body.terms, repairing.body.hash
    return party(repairing, index).wallets.signing(terms.wallet_id, h).keys.roster


# The one that was repaired


def test_another_hsm_takes_what_is_proven_and_its_register_begins_there(
    repairing: Repairing,
) -> None:
    acting, wallet_id = party(repairing).acting, repairing.body.terms.wallet_id
    assert acting.registers.read(wallet_id) is None
    amendment(repairing)
    assert acting.registers.read(wallet_id) == Register(repairing.body.hash)


def test_who_stands_in_the_roster_is_not_taken_for_another_hsm(
    world: World, making: Making
) -> None:
    """Its register is gone, and its key is not: a wallet that it has destroyed, say."""
    repairing = Repairing(world, making, LOST, HELPERS)
    amendment(repairing)
    acting = party(repairing).acting
    acting.registers.destroy(making.wallet_id)
    acting.epochs(making.wallet_id).renew(repairing.body.hash, EpochDocument.DONE, b"")
    assert rule_of(repairing.offer) == "unknown-wallet"


def test_amendments_that_do_not_hold_are_tampered_with(repairing: Repairing) -> None:
    acting = party(repairing, 1).acting
    acting.store.repairs(repairing.body.terms.wallet_id).put_lineage(b"\0\0\0\1x")
    with pytest.raises(Tampered, match="amendments"):
        acting.keys_of(repairing.body)


def test_an_epoch_of_a_foreign_roster_is_tampered_with(repairing: Repairing) -> None:
    body = repairing.body
    foreign = replace(body, terms=replace(body.terms, roster_hash=b"f" * 32))
    with pytest.raises(Tampered, match="did not come from the pinned one"):
        party(repairing, 1).acting.keys_of(foreign)
    assert foreign.hash != EpochHash(body.hash)


# Who tells another story


def test_an_older_story_takes_no_amendment_away(repairing: Repairing) -> None:
    """Of a holder that has its share, an OFFER is refused, and leaves nothing behind."""
    source = amendment(repairing)
    for helper in HELPERS:
        amend(repairing, helper, source)
    in_force = roster_of(repairing, 1)
    chain, documents = repairing.chain(), repairing.documents()
    for index in (1, LOST):
        desk = repairing.desk(index)
        assert rule_of(partial(desk.offer, chain, *documents)) == "share-opens"
        assert roster_of(repairing, index) == in_force


def test_no_story_puts_a_key_into_force_that_was_lost_since(
    world: World, repairing: Repairing
) -> None:
    """Nobody hears of the second HSM of holder 3, which is stolen; everybody hears of the third."""
    of_stolen = amendment(repairing)
    world.lost_hsm(LOST)
    again = Repairing(world, repairing.making, LOST, HELPERS)
    again.ordered(nonce=b"2" * 32)
    source = amendment(again)
    for helper in HELPERS:
        amend(again, helper, source)
    in_force = roster_of(again, 1)
    epochs = party(again).acting.epochs(again.body.terms.wallet_id)
    epochs.blob_path(again.body.hash).write_bytes(b"noise")
    world.restarted(LOST)
    for told in ([of_stolen], [of_stolen, source]):
        for lineage in ([bundle(told[:1]), bundle(told[1:])], [bundle(told[:1])]):
            shown = Chain.from_bytes(again.chain())
            chain = replace(shown, lineage=bundle(lineage)).to_bytes()
            for index in (1, LOST):
                with suppress(Refused, ProtocolAbort):
                    again.desk(index).offer(chain, *again.documents())
                assert roster_of(again, index) == in_force


def test_a_chain_is_told_of_by_whoever_lost_its_share_only(
    repairing: Repairing, refreshing: Refreshing
) -> None:
    """What has not taken the place of the live epoch here changes no roster."""
    certified_without_second(refreshing, repairing)
    refreshing.adopt(1)
    assert refreshing.certificate is not None
    shown = ShownSuccession(refreshing.certificate.to_bytes(), (), b"", ())
    told = Repairing(repairing.world, repairing.making, 2, (1, LOST), (shown,))
    told.body = refreshing.successor
    before = roster_of(repairing, 2)
    registers, wallet_id = party(repairing, 2).acting.registers, told.body.terms.wallet_id
    register = registers.read(wallet_id)
    assert register is not None
    registers.write(wallet_id, replace(register, epoch_hash=EpochHash(b"r" * 32)))
    assert rule_of(told.offer) == "other-epoch"
    assert roster_of(repairing, 2) == before != roster_of(repairing, 1)


def test_a_lost_hsm_that_is_found_is_not_put_back(
    worlds: Worlds, hsm_module: Module, pin_arena: Arena
) -> None:
    """The second one is lost, too, before the wallet is refreshed. A third one helps."""
    world = worlds(3)
    making = Making.of(world)
    making.active()
    first = world.parties[LOST].acting
    tokens = [new_token(hsm_module, pin_arena) for _ in range(2)]
    world.replaced(LOST, tokens[0])
    repairing = Repairing(world, making, LOST, HELPERS)
    source = amendment(repairing)
    for helper in HELPERS:
        amend(repairing, helper, source)
    known = party(repairing, 1).acting.lineage(repairing.body.terms)
    tell = {"known_key": known.newest.roster.member(LOST).key, "lineage": known.to_bytes()}
    second = world.parties[LOST]
    second.acting.store.close()
    folder = second.acting.store._folder
    shutil.rmtree(folder)
    found = HolderStore.create(folder)
    world.parties[LOST] = world.party(LOST, first.token, first.identity, found, second.acting.arena)
    assert rule_of(partial(ordered_after, repairing, tell, b"2")) == "other-order"
    world.replaced(LOST, tokens[1])
    again = ordered_after(repairing, tell, b"3")
    amend(again, 1, amendment(again))
    assert roster_of(again, 1) == roster_of(again, LOST)
    for token in tokens:
        throw_away(token)


def ordered_after(repairing: Repairing, tell: dict[str, Any], nonce: bytes) -> Repairing:
    """Once more, by the roster in force."""
    again = Repairing(repairing.world, repairing.making, LOST, HELPERS)
    chain = replace(Chain.from_bytes(again.chain()), lineage=tell["lineage"]).to_bytes()
    again.offered = again.desk(LOST).offer(chain, *again.documents())
    again.order = again.countersigned(again.wished(nonce=nonce * 32, known_key=tell["known_key"]))
    return again


def test_orders_that_know_nothing_of_each_other_part_nobody(worlds: Worlds) -> None:
    """Two holders have lost their HSMs, and both orders are signed before either is carried out."""
    making = Making.of(worlds(4))
    making.active()
    lost = (3, 4)
    for index in lost:
        making.world.lost_hsm(index)
    repairings = {index: Repairing(making.world, making, index, HELPERS) for index in lost}
    for index, each in repairings.items():
        each.ordered(nonce=bytes([index]) * 32)
    sources = {index: amendment(each) for index, each in repairings.items()}
    first = repairings[3]
    for index in range(1, 5):  # each half hears of the other one first
        for of in lost if index % 2 else reversed(lost):
            amend(first, index, sources[of])
    assert len({roster_of(first, index) for index in range(1, 5)}) == 1
    Round(making.world, making.certificate(), b"pay").commit(3, 4).sign(3)


def test_a_share_is_finished_by_the_order_that_sealed_it(
    repairing: Repairing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another order for the same offer was begun before, and came to nothing."""
    for number in range(6):  # whichever of the two stands first on the disk
        empty_handed = replace_again(repairing, number)
        empty_handed.ordered(nonce=bytes([100 + number]) * 32)
        empty_handed.splits = [empty_handed.split(helper) for helper in HELPERS]
        empty_handed.sums = [empty_handed.collect(helper) for helper in HELPERS]
        with pytest.raises(BadEncoding):
            empty_handed.recover(empty_handed.sums[:1])
        sealing = Repairing(repairing.world, repairing.making, LOST, HELPERS)
        sealing.ordered(nonce=bytes([200 + number]) * 32)
        sealing.summed()
        with monkeypatch.context() as patch:
            patch.setattr(receiving, "_finished", _dies)
            with pytest.raises(BackendError):
                sealing.recover()
        sealing.world.restarted(LOST)
        acting = party(sealing).acting
        assert acting.store.repairs(sealing.body.terms.wallet_id).offer() is None
        assert receiving.is_done(acting, sealing.order)
        assert roster_of(sealing, LOST) != sealing.world.roster.hash


def _dies(*_: object) -> bytes:
    raise BackendError("it dies")


def replace_again(repairing: Repairing, number: int) -> Repairing:
    """Another HSM, of which nobody has heard."""
    if number:
        repairing.world.lost_hsm(LOST)
    return Repairing(repairing.world, repairing.making, LOST, HELPERS)


def test_a_repeat_is_answered_once_the_key_is_in_force(repairing: Repairing) -> None:
    amendment(repairing)
    _, done = repairing.recover()
    assert repairing.recover()[1] == done


def test_evidence_says_whose_key_was_another_one(repairing: Repairing) -> None:
    amend(repairing, 1, amendment(repairing))
    acting = party(repairing, 1).acting
    said = [repairing.splits[0], repairing.splits[1]]
    with (
        pytest.raises(ProtocolAbort),
        refusals_recorded(acting, {"wallet_id": repairing.body.terms.wallet_id.hex()}, said),
    ):
        raise ProtocolAbort("holder 2 lies", [2])
    (kept,) = acting.store.evidence.kept()
    case = Case.from_bytes(acting.store.evidence.load(kept.hex()))
    lineage = acting.lineage(repairing.body.terms)
    assert case.lineage == lineage.to_bytes() != b""


def test_who_found_the_lost_hsm_is_put_out_by_the_next_repair(
    worlds: Worlds, hsm_module: Module, pin_arena: Arena, stores: Path
) -> None:
    """It has a copy of the disk, too, and a coordinator that keeps the new key from holder 2: so it
    is dealt to, and counts. Holder 1, who knows better, cannot undo what is certified; what it
    knows stays, and the holder on the new HSM is repaired in the epoch that came of it.
    """
    world = worlds(3)
    making = Making.of(world)
    making.active()
    old, copy = world.parties[LOST], stores / "thief"
    shutil.copytree(old.acting.store._folder, copy)
    token = new_token(hsm_module, pin_arena)
    world.replaced(LOST, token)
    repairing = Repairing(world, making, LOST, HELPERS)
    source = amendment(repairing)
    amend(repairing, 1, source)
    in_force, honest = roster_of(repairing, 1), world.parties[LOST]
    store = HolderStore.open(copy)
    acting = old.acting
    world.parties[LOST] = world.party(LOST, acting.token, acting.identity, store, acting.arena)
    stolen = Refreshing(world, repairing.body, (2, LOST), making.dones)
    stolen.made()
    stolen.retirement = Retirement(
        tuple(stolen.adopt(index, stolen.transcript) for index in (1, 2, LOST))
    ).to_bytes()
    for index in (1, 2, LOST):
        stolen.retire(index, stolen.transcript)
    store.close()
    world.parties[LOST] = honest
    assert roster_of(repairing, 1) == in_force
    assert stolen.certificate is not None
    body = stolen.successor
    again = Repairing(world, making, LOST, HELPERS, (shown_to_lost(stolen),))
    again.body = body
    for index, done in stolen.last_dones.items():
        again.dones[index - 1] = done
    amend(again, 2, source)
    lineage = party(again, 1).acting.lineage(body.terms)
    again.offer()
    key = lineage.newest.roster.member(LOST).key
    again.order = again.countersigned(again.wished(nonce=b"2" * 32, known_key=key))
    again.summed().recover()
    round_ = Round(world, stolen.certificate, b"pay").commit(1, LOST)
    assert len({round_.sign(index) for index in (1, LOST)}) == 2
    throw_away(token)


def shown_to_lost(refreshing: Refreshing) -> ShownSuccession:
    certificate = refreshing.certificate
    assert certificate is not None
    return ShownSuccession(certificate.to_bytes(), (), refreshing.retirement, ())
