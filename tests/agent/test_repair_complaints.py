"""A false delta or sum of a repair is proven to the others, and so is a false complaint (6.7.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import pytest

from hsm_mpc.agent.evidence import Case
from hsm_mpc.agent.offers import kept_offer
from hsm_mpc.agent.repair.complaining import Shown
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, ProtocolAbort
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import Key
from tests.agent.complaining import false_complaint_in, false_split, shown_in
from tests.agent.making import Making, events, lines, resigned
from tests.agent.repairing import Repairing, rule_of
from tests.agent.simulate import World, Worlds
from tests.agent.tokens import empty
from tests.named_steps import observed

ACCUSER, LIAR, LOST, OTHER = 1, 2, 3, 4
HELPERS = (ACCUSER, LIAR)
PLACE = 1

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def making(worlds: Worlds) -> Making:
    """A 2-of-4 wallet whose third holder has lost its store, and not its HSM."""
    making = Making.of(worlds(4))
    making.active()
    making.world.lost_store(LOST)
    return making


@pytest.fixture
def repairing(making: Making) -> Repairing:
    repairing = Repairing(making.world, making, LOST, HELPERS)
    repairing.ordered()
    return repairing


@pytest.fixture
def world(repairing: Repairing) -> World:
    return repairing.world


class DeathError(Exception):
    """The process ends here."""


@contextmanager
def dying(where: str) -> Iterator[None]:
    """Before the first step whose name begins so."""

    def observer(when: Literal["before", "after"], name: str) -> None:
        if when == "before" and name.startswith(where):
            raise DeathError(name)

    with observed(observer):
        yield


def split(repairing: Repairing) -> None:
    repairing.splits = [repairing.split(helper) for helper in HELPERS]


def false_for_accuser(repairing: Repairing, honest: bytes) -> bytes:
    return false_split(repairing.world, repairing.said(), repairing.dones, honest, ACCUSER)


def lied_to_helper(repairing: Repairing) -> None:
    """Both have split, and what the liar sealed for the other one is false."""
    split(repairing)
    honest = repairing.splits[1]
    repairing.splits[1] = false_for_accuser(repairing, honest)


def lied_to_lost(repairing: Repairing) -> None:
    """All has gone well but for the sum of the liar."""
    repairing.summed()
    payload = parse_envelope(repairing.sums[1]).payload
    lie = payload[:-1] + bytes([payload[-1] ^ 1])
    repairing.sums[1] = resigned(repairing.world, repairing.sums[1], lie)


def complained(repairing: Repairing, accuser: int = ACCUSER, accused: int = LIAR) -> bytes:
    shown = shown_in(repairing, summed=accuser == LOST)
    said: bytes = repairing.desk(accuser).complain(accused, shown)
    return said


def verdict(
    repairing: Repairing, complaint: bytes, shown: Shown, judge: int = OTHER
) -> tuple[int, bool, bool]:
    """Who lied, whether as accuser, and whether by its own message alone."""
    found = repairing.desk(judge).judge(complaint, shown)
    return found.liar, found.is_accuser, found.alone


# What is false


def test_a_false_delta_is_proven_to_whoever_looks(world: World, repairing: Repairing) -> None:
    lied_to_helper(repairing)
    with pytest.raises(ProtocolAbort) as abort:
        repairing.collect(ACCUSER)
    assert abort.value.culprits == (LIAR,)
    complaint, shown = complained(repairing), shown_in(repairing)
    assert events(world.parties[ACCUSER])[-1] == "complained"
    for judge in (OTHER, LOST, LIAR):
        for _ in range(2):
            assert verdict(repairing, complaint, shown, judge) == (LIAR, False, False)
        (found,) = [line for line in lines(world.parties[judge]) if "convicted" in line]
        assert (found["event"], found["convicted"]) == ("dealer-convicted", LIAR)
        kept = world.parties[judge].acting.store.evidence.load(str(found["evidence"]))
        assert Case.from_bytes(kept).messages[-1] == complaint


def test_a_false_sum_is_proven_and_another_repair_goes_well(
    world: World, repairing: Repairing
) -> None:
    """Holder r shows another V_r then."""
    lied_to_lost(repairing)
    with pytest.raises(ProtocolAbort) as abort:
        repairing.recover()
    assert abort.value.culprits == (LIAR,)
    complaint, shown = complained(repairing, LOST), shown_in(repairing, summed=True)
    for judge in (OTHER, ACCUSER, LIAR):
        assert verdict(repairing, complaint, shown, judge) == (LIAR, False, False)
    assert complained(repairing, LOST) == complaint
    assert rule_of(repairing.recover) == "complained"
    before = repairing.offered[1]
    repairing.ordered(nonce=b"m" * 32)
    assert repairing.offered[1] != before
    assert repairing.desk(LOST).complain(LIAR, shown) == complaint  # and spends no other offer
    repairing.summed().recover()
    assert "share-repaired" in events(world.parties[LOST])


def test_who_is_repaired_onto_another_hsm_complains_by_its_new_key(
    making: Making, repairing: Repairing
) -> None:
    world = making.world
    token = world.parties[LOST].acting.token
    empty(token)
    world.replaced(LOST, token)
    lied_to_lost(again := Repairing(world, making, LOST, HELPERS))
    assert again.order.amends
    complaint = complained(again, LOST)
    assert verdict(again, complaint, shown_in(again, summed=True)) == (LIAR, False, False)


def test_a_complaint_is_made_once_and_the_repair_is_dead(
    world: World, repairing: Repairing
) -> None:
    split(repairing)
    sound = repairing.splits[1]
    repairing.splits[1] = false_for_accuser(repairing, sound)
    complaint = complained(repairing)
    world.restarted(ACCUSER)
    assert complained(repairing) == complaint
    assert events(world.parties[ACCUSER]).count("complained") == 1
    assert rule_of(lambda: complained(repairing, accused=ACCUSER)) == "complained"
    repairing.splits[1] = sound
    assert rule_of(lambda: repairing.collect(ACCUSER)) == "complained"


# What reveals nothing


def test_of_what_is_sound_nothing_is_revealed(world: World, repairing: Repairing) -> None:
    split(repairing)
    with pytest.raises(BadInput, match="is sound"):
        complained(repairing)
    repairing.summed()
    with pytest.raises(BadInput, match="is sound"):
        complained(repairing, LOST)
    for accuser in (ACCUSER, LOST):
        assert "complained" not in events(world.parties[accuser])
    repairing.recover()


def test_who_has_added_up_complains_no_more(repairing: Repairing) -> None:
    repairing.summed()
    false = false_for_accuser(repairing, repairing.splits[1])
    repairing.splits[1] = false
    assert rule_of(lambda: complained(repairing)) == "acknowledged"


def test_who_has_its_share_again_complains_no_more(repairing: Repairing) -> None:
    repairing.summed().recover()
    lied_to_lost(repairing)
    assert rule_of(lambda: complained(repairing, LOST)) == "other-order"


def test_a_share_that_is_sealed_already_is_finished_and_not_complained_of(
    repairing: Repairing,
) -> None:
    """An error came behind the seal, and a helper comes with another sum, a false one."""
    repairing.summed()
    with dying("epoch-renewed"), pytest.raises(DeathError):
        repairing.recover()
    lied_to_lost(repairing)
    assert rule_of(lambda: complained(repairing, LOST)) == "other-order"
    assert "share-repaired" in events(repairing.world.parties[LOST])


def test_nothing_is_revealed_by_another_key_than_that_of_the_order(repairing: Repairing) -> None:
    lied_to_lost(repairing)
    acting = repairing.world.parties[LOST].acting
    offered = kept_offer(acting, repairing.order.wallet_id)
    assert offered is not None
    repairs = acting.store.repairs(repairing.order.wallet_id)
    repairs.put_offer(replace(offered, blob=b"").to_bytes())
    repairing.offer()
    assert rule_of(lambda: complained(repairing, LOST)) == "other-order"


def test_who_has_no_part_in_a_repair_complains_of_nobody(repairing: Repairing) -> None:
    lied_to_helper(repairing)
    assert rule_of(lambda: complained(repairing, OTHER)) == "no-helper"
    for accused in (0, ACCUSER, LOST, OTHER):
        with pytest.raises(BadInput):
            complained(repairing, accused=accused)


def test_an_order_that_not_all_helpers_have_signed_is_none(repairing: Repairing) -> None:
    lied_to_helper(repairing)
    unsigned = replace(shown_in(repairing), order=repairing.said(repairing.order.signed(())))
    complaint = complained(repairing)
    assert rule_of(lambda: repairing.desk(OTHER).judge(complaint, unsigned)) == "not-ordered"
    assert rule_of(lambda: repairing.desk(OTHER).judge_alone(LIAR, unsigned)) == "not-ordered"
    assert rule_of(lambda: repairing.desk(ACCUSER).complain(LIAR, unsigned)) == "not-ordered"


# Accusers that lie


@pytest.mark.parametrize("accuser", [ACCUSER, LOST])
def test_a_false_accusation_convicts_its_accuser(
    world: World, repairing: Repairing, accuser: int
) -> None:
    repairing.summed()
    about_sum = accuser == LOST
    complaint = false_complaint_in(repairing, accuser, LIAR, about_sum=about_sum)
    shown = shown_in(repairing, summed=about_sum)
    for judge in (OTHER, LIAR):
        assert verdict(repairing, complaint, shown, judge) == (accuser, True, False)
        assert events(world.parties[judge])[-1] == "accuser-convicted"


@pytest.mark.parametrize("spoilt", ["cut", "of a sum"])
def test_who_signs_what_is_no_complaint_is_convicted(repairing: Repairing, spoilt: str) -> None:
    lied_to_helper(repairing)
    complaint = complained(repairing)
    payload = parse_envelope(complaint).payload
    lie = payload[:-1] if spoilt == "cut" else b"\2" + payload[1:]
    said = resigned(repairing.world, complaint, lie)
    assert verdict(repairing, said, shown_in(repairing)) == (ACCUSER, True, False)


def test_a_complaint_convicts_nobody_of_another_message(repairing: Repairing) -> None:
    """The liar has signed a sound R1, too; or somebody else is accused."""
    split(repairing)
    sound = shown_in(repairing)
    lied_to_helper(repairing)
    complaint = complained(repairing)
    with pytest.raises(BadInput, match="another message"):
        verdict(repairing, complaint, sound)
    payload, shown = parse_envelope(complaint).payload, shown_in(repairing)
    for accused in (0, ACCUSER, LOST, OTHER):
        lie = payload[: PLACE + 32] + accused.to_bytes(2, "big") + payload[PLACE + 34 :]
        with pytest.raises(BadInput):
            verdict(repairing, resigned(repairing.world, complaint, lie), shown)


def test_a_complaint_is_of_its_repair_and_signed_by_its_accuser(
    world: World, repairing: Repairing
) -> None:
    lied_to_helper(repairing)
    complaint, shown = complained(repairing), shown_in(repairing)
    message = parse_envelope(complaint)
    another = world.parties[OTHER].acting.identity.sign
    forged = seal_envelope(message.kind, message.address, message.payload, Key.IDENTITY, another)
    with pytest.raises(InvalidSignature):
        verdict(repairing, forged.to_bytes(), shown)
    outside = resigned(world, complaint, address=replace(message.address, sender=OTHER))
    with pytest.raises(BadEncoding):
        verdict(repairing, outside, shown)
    repairing.ordered(nonce=b"m" * 32)
    lied_to_helper(repairing)
    with pytest.raises(BadEncoding):
        verdict(repairing, complaint, shown_in(repairing))


@pytest.mark.parametrize("summed", [False, True])
def test_what_a_helper_has_not_signed_convicts_nobody(
    world: World, repairing: Repairing, summed: bool
) -> None:
    repairing.summed()
    messages = repairing.sums if summed else repairing.splits
    message = parse_envelope(messages[1])
    another, lie = world.parties[OTHER].acting.identity.sign, message.payload[:-1]
    forged = seal_envelope(message.kind, message.address, lie, Key.IDENTITY, another)
    messages[1] = forged.to_bytes()
    shown = shown_in(repairing, summed=summed)
    with pytest.raises(InvalidSignature):
        repairing.desk(OTHER).judge_alone(LIAR, shown)


# What convicts by itself


@pytest.mark.parametrize(
    "spoilt", ["deltas", "length", "PoP^V", "sum", "length of the sum", "PoP^V of the sum"]
)
def test_what_a_helper_signed_may_be_proof_enough(
    world: World, repairing: Repairing, spoilt: str
) -> None:
    repairing.summed() if "sum" in spoilt else split(repairing)
    messages = repairing.sums if "sum" in spoilt else repairing.splits
    payload = parse_envelope(messages[1]).payload
    frames = (8 + 48) * (1 if "sum" in spoilt else len(repairing.order.helpers))
    of_static = len(payload) - frames - repairing.body.terms.group.point_length - 1  # last of PoP^V
    lies: dict[str, Callable[[], bytes]] = {
        "deltas": lambda: bytes([payload[0] ^ 1]) + payload[1:],
        "length": lambda: payload[:-1],
        "PoP^V": lambda: (
            payload[:of_static] + bytes([payload[of_static] ^ 1]) + payload[of_static + 1 :]
        ),
        "sum": lambda: payload[:70] + bytes([payload[70] ^ 1]) + payload[71:],
        "length of the sum": lambda: payload[:-1],
    }
    lies["PoP^V of the sum"] = lies["PoP^V"]
    messages[1] = resigned(world, messages[1], lies[spoilt]())
    accuser = LOST if "sum" in spoilt else ACCUSER
    assert rule_of(lambda: complained(repairing, accuser)) == "proof-enough"
    shown = shown_in(repairing, summed="sum" in spoilt)
    found = repairing.desk(OTHER).judge_alone(LIAR, shown)
    assert (found.liar, found.alone) == (LIAR, True)
    assert events(world.parties[OTHER])[-1] == "dealer-convicted"
    if spoilt in ("deltas", "PoP^V"):  # who complains of it all the same is not convicted
        complaint = false_complaint_in(repairing, ACCUSER, LIAR)
        assert verdict(repairing, complaint, shown) == (LIAR, False, True)


def test_without_a_complaint_a_false_delta_convicts_nobody(repairing: Repairing) -> None:
    lied_to_helper(repairing)
    shown = shown_in(repairing)
    assert rule_of(lambda: repairing.desk(OTHER).judge_alone(LIAR, shown)) == "not-proven"
    with pytest.raises(BadInput):
        repairing.desk(OTHER).judge_alone(LOST, shown)


# Crashes


@pytest.mark.parametrize("where", ["repair-complaint", "offer."])
def test_a_death_on_the_way_to_the_complaint_costs_nothing(
    world: World, repairing: Repairing, where: str
) -> None:
    """What was not on disk was not sent; what was, is repeated, and V_r goes then."""
    lied_to_lost(repairing)

    with dying(where), pytest.raises(DeathError):
        complained(repairing, LOST)
    world.restarted(LOST)
    if where == "offer.":
        assert rule_of(repairing.recover) == "complained"
    complaint = complained(repairing, LOST)
    assert complained(repairing, LOST) == complaint
    shown = shown_in(repairing, summed=True)
    assert verdict(repairing, complaint, shown) == (LIAR, False, False)
    before = repairing.offered[1]
    assert repairing.offer()[1] != before


def test_a_death_before_the_offer_goes_leaves_no_use_for_it(
    world: World, repairing: Repairing
) -> None:
    """Nobody asks for the complaint again: V_r goes with the next call of any repair."""
    lied_to_lost(repairing)
    with dying("offer."), pytest.raises(DeathError):
        complained(repairing, LOST)
    world.restarted(LOST)
    before = repairing.offered[1]
    repairing.order = repairing.countersigned(replace(repairing.order, nonce=b"m" * 32))
    repairing.summed()
    assert rule_of(repairing.recover) == "other-order"
    assert repairing.offer()[1] != before
