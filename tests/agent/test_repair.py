"""Repair of a lost share at holders: what each of them checks, and what it says once (6.7)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadEncoding, BadInput, HsmMpcError, ProtocolAbort, Refused, Tampered
from hsm_mpc.hsm.register import Register, Vote
from hsm_mpc.identity import Algorithm
from hsm_mpc.ids import EpochHash
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.succession.dones import done_in
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import bundle, parse_envelope, unbundled
from hsm_mpc.wire.wallet_calls import Chain
from tests.agent.making import Making, events, keks, resigned
from tests.agent.ordering import TWO_OF_THREE
from tests.agent.repairing import Repairing, administered, rule_of
from tests.agent.rounds import Round
from tests.agent.simulate import Party, World, Worlds
from tests.software_identity import p256_key

pytestmark = pytest.mark.usefixtures("shielded")

LOST = 3
HELPERS = (1, 2)


@pytest.fixture
def making(world: World, making: Making) -> Making:
    """A 2-of-3 wallet whose third holder has lost its store, and not its HSM."""
    world.lost_store(LOST)
    return making


@pytest.fixture
def repairing(making: Making) -> Repairing:
    return Repairing(making.world, making, LOST, HELPERS)


def party(repairing: Repairing, index: int = LOST) -> Party:
    return repairing.world.parties[index]


def test_a_share_is_repaired_by_others_who_say_the_same_twice(repairing: Repairing) -> None:
    repairing.summed()
    assert repairing.splits == [repairing.split(helper) for helper in HELPERS]
    assert repairing.sums == [repairing.collect(helper) for helper in HELPERS]
    _, done = repairing.recover()
    world, acting = repairing.world, party(repairing).acting
    said = done_in(done, LOST, repairing.body, acting.keys)
    assert (said.epoch_hash, said.delivery_key) == (repairing.body.hash, repairing.offered[1])
    assert repairing.recover()[1] == done
    assert len(keks(party(repairing))) == 1
    assert acting.store.repairs(repairing.body.terms.wallet_id).offer() is None
    assert "share-repaired" in events(party(repairing))
    assert "repair-helping" in events(party(repairing, 1))
    world.restarted(LOST)
    assert repairing.recover()[1] == done
    for pair in ((1, 3), (2, 3)):
        round_ = Round(world, repairing.making.certificate(), b"repaired").commit(*pair)
        assert len({round_.sign(index) for index in pair}) == 2


def test_all_of_it_goes_on_after_restarts(repairing: Repairing) -> None:
    world = repairing.world
    first = repairing.offer()
    world.restarted(LOST)
    assert repairing.offer() == first
    repairing.ordered()
    repairing.splits = [repairing.split(helper) for helper in HELPERS]
    for index in (1, 2, 3):
        world.restarted(index)
    assert repairing.splits == [repairing.split(helper) for helper in HELPERS]
    repairing.sums = [repairing.collect(helper) for helper in HELPERS]
    for index in (1, 2, 3):
        world.restarted(index)
    repairing.recover()
    Round(world, repairing.making.certificate(), b"x").commit(1, LOST).sign(LOST)


# What the holder without a share believes


def test_nothing_is_repaired_that_opens_or_that_the_hsm_does_not_know(
    world: World, making: Making
) -> None:
    assert rule_of(Repairing(world, making, 1, (2, 3)).offer) == "share-opens"
    repairing = Repairing(world, making, LOST, HELPERS)
    registers, wallet_id = party(repairing).acting.registers, making.wallet_id
    registers.write(wallet_id, Register(EpochHash(b"o" * 32)))
    assert rule_of(repairing.offer) == "other-epoch"
    registers.destroy(wallet_id)
    assert rule_of(repairing.offer) == "unknown-wallet"
    assert len(keks(party(repairing))) == 1


def test_it_learns_of_the_wallet_only_what_proves_itself(repairing: Repairing) -> None:
    policy, clients = repairing.documents()
    chain = Chain.from_bytes(repairing.chain())
    other = Making.of(repairing.world, "other", policy=b"version: 1\n")
    other.active()
    theirs = other.certificate()
    other_clients = other.proposal.clients.to_bytes()
    desk = repairing.desk(LOST)
    for lies in (
        (repairing.chain(), b"version: 1\n", clients),
        (repairing.chain(), policy, other_clients),
        (repairing.chain(), policy, b""),
        (replace(chain, dones=chain.dones[:2]).to_bytes(), policy, clients),
        (replace(chain, dones=tuple(other.dones)).to_bytes(), policy, clients),
        (replace(chain, certificate=theirs.to_bytes()).to_bytes(), policy, clients),
        (b"no chain", policy, clients),
    ):
        with pytest.raises(ProtocolAbort) as aborted:
            desk.offer(*lies)
        assert aborted.value.culprits == ()
    assert party(repairing).acting.store.repairs(repairing.body.terms.wallet_id).offer() is None


def test_it_takes_a_share_only_for_what_it_has_prepared(repairing: Repairing) -> None:
    repairing.summed()
    said, desk = repairing.said(), repairing.desk(1)
    of_another = partial(desk.recover, said, repairing.dones, repairing.splits, repairing.sums)
    assert rule_of(of_another) == "not-lost"
    party(repairing).acting.store.repairs(repairing.body.terms.wallet_id).remove_offer()
    assert rule_of(repairing.recover) == "other-order"
    repairing.offer()
    assert rule_of(repairing.recover) == "other-order"


def test_an_offer_that_does_not_open_makes_room_for_another(repairing: Repairing) -> None:
    last = repairing.offer()
    repairs = party(repairing).acting.store.repairs(repairing.body.terms.wallet_id)
    for at in (3, 4):  # V_r, the blob
        damaged = [*unbundled(repairs.offer() or b"")]
        damaged[at] = bytes([damaged[at][0] ^ 1]) + damaged[at][1:]
        repairs.put_offer(bundle(damaged))
        before, last = last, repairing.offer()
        assert last != before
        assert len(keks(party(repairing))) == 2  # and the key of the share that is lost
    repairs.put_offer(b"no offer")
    assert repairing.offer() != last


# Who may order it


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch_hash": EpochHash(b"o" * 32)},
        {"lost": 4},
        {"lost": 1},
        {"helpers": (1,)},
        {"helpers": (2, 1)},
        {"helpers": (1, 3)},
        {"helpers": (1, 2, 3)},
        {"helpers": (1, 4)},
        {"identity_key": p256_key(9).public},
        {"delivery_key": b"no point"},
        {"deadline": 0},
    ],
)
def test_an_order_that_cannot_be_is_refused_by_everybody(
    repairing: Repairing, changes: dict[str, object]
) -> None:
    repairing.offer()
    order = repairing.wished(**changes)
    signed = repairing.said(order.signed(signatures(repairing, order)))
    for index in (1, 2, 3):
        desk = repairing.desk(index)
        for asks in (
            partial(desk.consider, repairing.said(order)),
            partial(desk.countersign, repairing.said(order)),
            partial(desk.split, signed, repairing.dones),
        ):
            with pytest.raises((Refused, Tampered)) as refused:
                asks()
            if isinstance(refused.value, Refused):  # who has lost its store has nothing to help by
                assert refused.value.rule in ("other-order", "other-epoch", "deadline")
            else:
                assert index == LOST != order.lost


def signatures(repairing: Repairing, order: RepairOrder) -> list[OrderSignature]:
    """Of all helpers, whatever they think of it."""
    return [
        OrderSignature(
            index,
            Algorithm.P256,
            party(repairing, index).acting.identity.sign(Tag.REPAIR_ORDER, order.terms),
        )
        for index in HELPERS
    ]


def test_every_helper_has_signed_it(repairing: Repairing) -> None:
    order = repairing.ordered()
    one, two = order.signatures
    of_lost = OrderSignature(
        LOST,
        Algorithm.P256,
        party(repairing).acting.identity.sign(Tag.REPAIR_ORDER, order.terms),
    )
    for unsigned in (
        (),
        (one,),
        (one, one),
        (two, one),
        (one, of_lost),
        (one, replace(two, signature=one.signature)),
        (one, replace(two, algorithm=Algorithm.ED25519)),
    ):
        lacking = repairing.said(order.signed(unsigned))
        for index in (1, 2, 3):
            asks = partial(repairing.desk(index).split, lacking, repairing.dones)
            assert rule_of(asks) == "not-ordered"
    elsewhere = replace(order, nonce=b"o" * 32)
    assert (
        rule_of(lambda: repairing.desk(1).split(repairing.said(elsewhere), repairing.dones))
        == "not-ordered"
    )


def test_helpers_sign_once_the_administrators_of_the_policy_have(worlds: Worlds) -> None:
    world = worlds(3)
    making = Making.of(world, policy=TWO_OF_THREE)
    making.active()
    world.lost_store(LOST)
    repairing = Repairing(world, making, LOST, HELPERS)
    repairing.offer()
    order = repairing.wished()
    assert all(repairing.desk(index).consider(repairing.said(order)) for index in (1, 2, LOST))
    helpers = [each.to_bytes() for each in signatures(repairing, order)]
    one, two, three = administered(order, 0, 1, 2)
    elsewhere = administered(replace(order, nonce=b"o" * 32), 0, 1)
    for given in ((), (one,), (one, one), (two, one), helpers, elsewhere, (one, two, *helpers)):
        refused = partial(repairing.desk(1).countersign, repairing.said(order), given)
        assert rule_of(refused) == "not-ordered"
    with pytest.raises(BadInput):
        repairing.desk(1).countersign(repairing.said(order), (one, b"none"))
    read = [OrderSignature.read(Reader(each, "signature")) for each in (one, two)]
    unsigned = repairing.said(order.signed(read))
    assert rule_of(lambda: repairing.desk(1).split(unsigned, repairing.dones)) == "not-ordered"
    repairing.order = repairing.countersigned(order, (one, three))
    repairing.summed().recover()


def test_every_operator_is_asked_and_his_consent_serves_once(world: World, making: Making) -> None:
    world.asking = frozenset({1, LOST})
    for index in (1, LOST):
        world.restarted(index)
    repairing = Repairing(world, making, LOST, HELPERS)
    repairing.offer()
    order = repairing.wished()
    assert [repairing.desk(i).consider(repairing.said(order)) for i in (1, 2, 3)] == [
        False,
        True,
        False,
    ]
    assert rule_of(lambda: repairing.desk(1).countersign(repairing.said(order))) == "consent"
    for index in (1, LOST):
        consents = world.parties[index].ceremonies.consents
        (waiting,) = consents.waiting()
        assert (waiting.asked, waiting.named) == (order, repairing.body.to_bytes())
        consents.agree(Plan.of(order).digest)
    repairing.order = repairing.countersigned(order)
    repairing.summed().recover()
    for index in (1, LOST):
        assert world.parties[index].ceremonies.consents.waiting() == []
    again = replace(order, nonce=b"o" * 32)
    assert not repairing.desk(1).consider(repairing.said(again))
    signed = again.signed(signatures(repairing, again))
    assert (
        rule_of(lambda: repairing.desk(1).split(repairing.said(signed), repairing.dones))
        == "consent"
    )


def test_nobody_gets_a_share_by_a_delivery_key_that_the_lost_holder_did_not_offer(
    repairing: Repairing,
) -> None:
    """Whoever carries the order knows the secret of that key, and would open all that helpers
    seal to it.
    """
    key, _, digest, signature = repairing.offer()
    of_relay = repairing.body.commitments[0]
    stranger = p256_key(9).sign(
        Tag.REPAIR_OFFER, replace(repairing.wished(), delivery_key=of_relay).offer_message
    )
    for forged in (signature, b"", stranger):
        repairing.offered = (key, of_relay, digest, forged)
        order = repairing.wished()
        repairing.order = order.signed(signatures(repairing, order))
        for asks in (
            partial(repairing.desk(1).countersign, repairing.said(order)),
            partial(repairing.split, 1),
        ):
            assert rule_of(asks) == "other-order"


def test_who_has_adopted_a_successor_and_lost_both_shares_gets_the_older_one_again(
    world: World, making: Making
) -> None:
    """It signs in that one until its end is proven, as it did before, and its vote stays."""
    repairing = Repairing(world, making, LOST, HELPERS)
    registers, wallet_id = party(repairing).acting.registers, making.wallet_id
    vote = Vote(bytes(9) + b"\1", EpochHash(b"s" * 32))
    voted = replace(Register(repairing.body.hash), adopted=vote)
    registers.write(wallet_id, voted)
    repairing.summed().recover()
    assert registers.read(wallet_id) == voted
    round_ = Round(world, making.certificate(), b"pay").commit(1, LOST)
    assert len({round_.sign(index) for index in (1, LOST)}) == 2


# What a helper checks


def test_a_helper_helps_with_one_set_of_delivery_keys_and_one_order_for_a_nonce(
    repairing: Repairing,
) -> None:
    repairing.ordered()
    said, desk = repairing.said(), repairing.desk(1)
    other = Making.of(repairing.world, "other")
    other.active()
    for dones in (
        [*repairing.making.dones[:2], repairing.making.dones[2]],
        [b"", repairing.dones[1], b""],
        [other.dones[0], repairing.dones[1], b""],
        [repairing.dones[1], repairing.dones[0], b""],
    ):
        with pytest.raises(ProtocolAbort) as aborted:
            desk.split(said, dones)
        assert aborted.value.culprits == ()
    desk.split(said, repairing.dones)
    later = repairing.countersigned(
        replace(repairing.order, signatures=(), deadline=repairing.order.deadline + 1)
    )
    assert rule_of(lambda: desk.split(repairing.said(later), repairing.dones)) == "nonce-used"
    outside = repairing.desk(LOST)
    assert rule_of(lambda: outside.split(said, repairing.dones)) == "no-helper"


def test_a_helper_that_has_split_nothing_collects_nothing(repairing: Repairing) -> None:
    repairing.ordered()
    repairing.splits = [repairing.split(1), b""]
    assert rule_of(lambda: repairing.collect(2)) == "no-helper"


def test_a_lying_helper_is_named_with_evidence(repairing: Repairing) -> None:
    repairing.ordered()
    one, two = (repairing.split(helper) for helper in HELPERS)
    payload = parse_envelope(two).payload
    lie = resigned(repairing.world, two, bytes([payload[0] ^ 1]) + payload[1:])
    with pytest.raises(ProtocolAbort) as aborted:
        repairing.collect(1, [one, lie])
    assert aborted.value.culprits == (2,)
    assert len(party(repairing, 1).acting.store.evidence.kept()) == 1
    for altered in ([lie, lie], [one], [one, one], [two, one]):
        with pytest.raises(HsmMpcError) as dropped:
            repairing.collect(1, altered)
        assert not getattr(dropped.value, "culprits", ())


def test_a_false_sum_is_named_with_evidence(repairing: Repairing) -> None:
    repairing.summed()
    one, two = repairing.sums
    payload = parse_envelope(two).payload
    lie = resigned(repairing.world, two, payload[:-1] + bytes([payload[-1] ^ 1]))
    with pytest.raises(ProtocolAbort) as aborted:
        repairing.recover([one, lie])
    assert aborted.value.culprits == (2,)
    for altered in ([one], [two, one], [one, one]):
        with pytest.raises(BadEncoding):
            repairing.recover(altered)
    repairing.recover()


def test_what_is_public_of_the_wallet_is_in_the_store_again(repairing: Repairing) -> None:
    repairing.summed().recover()
    epochs = party(repairing).acting.epochs(repairing.body.terms.wallet_id)
    for document in (EpochDocument.BODY, EpochDocument.CERTIFICATE, EpochDocument.CLIENTS):
        assert epochs.kept(repairing.body.hash, document) is not None


def test_it_goes_on_with_another_copy_of_what_was_told_at_first(repairing: Repairing) -> None:
    """Who confirms a key again signs anew: the order is about the keys."""
    repairing.summed()
    one, two = repairing.sums
    lie = resigned(repairing.world, two, parse_envelope(two).payload[:-1] + bytes(1))
    with pytest.raises(ProtocolAbort):
        repairing.recover([one, lie])
    told = repairing.dones[0]
    repairing.dones[0] = resigned(repairing.world, told, parse_envelope(told).payload)
    assert repairing.dones[0] != told
    repairing.recover()
