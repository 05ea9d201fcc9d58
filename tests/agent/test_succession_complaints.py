"""A false delta of a refresh is proven to the others, and so is a false complaint (6.4.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Literal

import pytest

from hsm_mpc.agent.evidence import Case
from hsm_mpc.agent.succession.shown import Shown
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, ProtocolAbort
from hsm_mpc.hsm.register import Vote
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.evidence import Evidence
from hsm_mpc.wire.envelope import Address, Message, parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import PROPOSE, Key
from tests.agent.complaining import false_complaint, false_deal, lied_to, shown_of
from tests.agent.making import Making, events, lines, resigned
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import rule_of
from tests.agent.simulate import World, Worlds
from tests.named_steps import observed

ACCUSER, DEALER, JUDGE, ABSENT = 1, 2, 3, 4
MEMBERS = (ACCUSER, DEALER, JUDGE)
ALPHA = 10
POINT = 33
PROOF = POINT + 32
SEALED_BYTES = 8 + 32 + 16
"""Of one delta in a DEAL, framed."""

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def making(worlds: Worlds) -> Making:
    making = Making.of(worlds(4))
    making.active()
    return making


@pytest.fixture
def refreshing(making: Making) -> Refreshing:
    """Of a 2-of-4 wallet in epoch 0; holder 4 is absent."""
    return Refreshing(making.world, making.certificate().body, MEMBERS, making.dones)


@pytest.fixture
def world(refreshing: Refreshing) -> World:
    return refreshing.world


def complained(refreshing: Refreshing, accused: int = DEALER, accuser: int = ACCUSER) -> bytes:
    said: bytes = refreshing.successions(accuser).complain(accused, shown_of(refreshing))
    return said


def verdict(
    world: World, complaint: bytes, shown: Shown, judge: int = JUDGE
) -> tuple[int, bool, bool]:
    """Who lied, whether as accuser, and whether by its own message alone."""
    found = world.parties[judge].successions.judge(complaint, shown)
    return found.liar, found.is_accuser, found.alone


def replaced(refreshing: Refreshing, payload: Callable[[bytes], bytes]) -> Message:
    """The dealer has signed another DEAL; the one before."""
    before = refreshing.deals[1]
    changed = payload(parse_envelope(before).payload)
    refreshing.deals[1] = resigned(refreshing.world, before, changed)
    return parse_envelope(before)


def flipped(payload: bytes, place: int) -> bytes:
    """One bit of that byte is another one."""
    return payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]


def unopenable(payload: bytes) -> bytes:
    """What is sealed for the last holder does not open."""
    return flipped(payload, len(payload) - 1)


# A false delta


def test_a_false_delta_is_proven_to_whoever_looks(world: World, refreshing: Refreshing) -> None:
    """Step 6.4.8: also to who was absent, and to the dealer itself; each keeps the proof."""
    lied_to(refreshing, DEALER, ACCUSER)
    with pytest.raises(ProtocolAbort) as abort:
        refreshing.stage(ACCUSER)
    assert abort.value.culprits == (DEALER,)
    complaint, shown = complained(refreshing), shown_of(refreshing)
    assert events(world.parties[ACCUSER])[-1] == "complained"
    for judge in (JUDGE, ABSENT, DEALER, ACCUSER):
        for _ in range(2):
            assert verdict(world, complaint, shown, judge) == (DEALER, False, False)
        found = [line for line in lines(world.parties[judge]) if "convicted" in line]
        assert [(each["event"], each["convicted"]) for each in found] == [
            ("dealer-convicted", DEALER)
        ]
        kept = world.parties[judge].acting.store.evidence.load(str(found[0]["evidence"]))
        assert Case.from_bytes(kept).messages[0] == refreshing.propose
        assert Case.from_bytes(kept).messages[-1] == complaint


def test_a_delta_that_does_not_open_is_proven_as_well(world: World, refreshing: Refreshing) -> None:
    refreshing.joined()
    refreshing.dealt()
    to_first = -len((*MEMBERS, ABSENT)) * SEALED_BYTES + 8
    replaced(refreshing, lambda said: said[:to_first] + bytes(4) + said[to_first + 4 :])
    with pytest.raises(ProtocolAbort) as abort:
        refreshing.stage(ACCUSER)
    assert abort.value.culprits == (DEALER,)
    complaint = complained(refreshing)
    assert verdict(world, complaint, shown_of(refreshing)) == (DEALER, False, False)


def test_a_complaint_is_made_once_and_repeated_as_it_is(
    world: World, refreshing: Refreshing
) -> None:
    """One revelation in an attempt, whoever else lied in it, and whatever it signs besides."""
    lied_to(refreshing, DEALER, ACCUSER)
    deal = refreshing.deals[2]
    refreshing.deals[2] = false_deal(world, refreshing.propose, deal, ACCUSER)
    complaint = complained(refreshing)
    world.restarted(ACCUSER)
    assert complained(refreshing) == complaint
    assert events(world.parties[ACCUSER]).count("complained") == 1
    assert rule_of(lambda: complained(refreshing, JUDGE)) == "complained"
    replaced(refreshing, unopenable)
    assert complained(refreshing) == complaint


def test_who_has_complained_acknowledges_nothing_in_that_attempt(refreshing: Refreshing) -> None:
    """The dealer comes with another dealing, a sound one."""
    refreshing.joined()
    refreshing.dealt()
    sound = refreshing.deals[1]
    refreshing.deals[1] = false_deal(refreshing.world, refreshing.propose, sound, ACCUSER)
    complained(refreshing)
    refreshing.deals[1] = sound
    assert rule_of(lambda: refreshing.stage(ACCUSER)) == "complained"
    refreshing.drive(absent=(ABSENT,))


# What reveals nothing


@pytest.mark.parametrize("false_for", [(), (JUDGE, ABSENT)])
def test_of_what_is_sound_nothing_is_revealed(
    world: World, refreshing: Refreshing, false_for: tuple[int, ...]
) -> None:
    """Step 6.4.8."""
    lied_to(refreshing, DEALER, *false_for)
    with pytest.raises(BadInput, match="is sound"):
        complained(refreshing)
    assert "complained" not in events(world.parties[ACCUSER])
    alpha = refreshing.attempt.to_bytes()
    attempts = world.parties[ACCUSER].acting.attempts(refreshing.replaced.terms.wallet_id)
    assert attempts.kept(alpha, AttemptDocument.COMPLAINT) is None


@pytest.mark.parametrize("adopted", [False, True])
def test_who_has_acknowledged_complains_no_more(
    world: World, refreshing: Refreshing, adopted: bool
) -> None:
    """Also if the disk has forgotten it: the HSM has not. What is certified is never opened."""
    lied_to(refreshing, DEALER, ACCUSER)
    registers, wallet_id = (
        world.parties[ACCUSER].acting.registers,
        refreshing.replaced.terms.wallet_id,
    )
    before = registers.read(wallet_id)
    assert before is not None
    voted = Vote(refreshing.attempt.to_bytes(), refreshing.replaced.hash)
    after = replace(before, adopted=voted) if adopted else replace(before, acked=voted)
    registers.write(wallet_id, after)
    assert rule_of(lambda: complained(refreshing)) == "acknowledged"


def test_only_a_member_complains_in_the_attempt_that_it_joined_last(
    world: World, refreshing: Refreshing
) -> None:
    lied_to(refreshing, DEALER, ACCUSER, ABSENT)
    assert rule_of(lambda: complained(refreshing, accuser=ABSENT)) == "not-joined"
    shown = shown_of(refreshing)
    later = Refreshing(
        world, refreshing.replaced, MEMBERS, refreshing.first_dones, attempts=refreshing.attempts
    )
    later.joined()
    complain = world.parties[ACCUSER].successions.complain
    assert rule_of(lambda: complain(DEALER, shown)) == "attempt-overtaken"


def test_a_complaint_is_of_a_dealer_of_the_attempt(refreshing: Refreshing) -> None:
    lied_to(refreshing, DEALER, ACCUSER)
    for accused in (0, ACCUSER, ABSENT, 5):
        with pytest.raises(BadInput):
            complained(refreshing, accused)


def test_a_holder_goes_by_the_proposal_that_it_has_answered(
    world: World, refreshing: Refreshing
) -> None:
    """A coordinator that makes two for one attempt would have an honest dealer convicted: its proof
    of possession is good for one of them.
    """
    refreshing.joined()
    refreshing.dealt()
    refreshing.join(ABSENT)
    other = refreshing.said(PROPOSE, refreshing.proposal().to_bytes())
    refreshing.successions(ABSENT).deal(other)
    two = replace(
        shown_of(refreshing),
        propose=other,
        deals=(*refreshing.deals, refreshing.successions(ABSENT).deal(other)),
        channels=(*refreshing.channels, world.parties[ABSENT].acting.channel_announcement()),
    )
    party = world.parties[ACCUSER].successions
    assert rule_of(lambda: party.complain(DEALER, two)) == "other-proposal"
    assert rule_of(lambda: party.judge_alone(DEALER, two)) == "other-proposal"
    false = false_complaint(world, shown_of(refreshing), JUDGE, DEALER)
    assert rule_of(lambda: party.judge(false, two)) == "other-proposal"
    absent = world.parties[ABSENT].successions
    with pytest.raises(ProtocolAbort, match="holder 1 has dealt for another proposal"):
        absent.judge_alone(DEALER, two)
    with pytest.raises(ProtocolAbort, match="holder 1 has dealt for another proposal"):
        absent.judge(false, two)


# Accusers that lie


def test_a_false_accusation_convicts_its_accuser(world: World, refreshing: Refreshing) -> None:
    lied_to(refreshing, DEALER, JUDGE)
    shown = shown_of(refreshing)
    complaint = false_complaint(world, shown, ACCUSER, DEALER)
    for judge in (JUDGE, ABSENT, DEALER):
        assert verdict(world, complaint, shown, judge) == (ACCUSER, True, False)
        assert events(world.parties[judge])[-1] == "accuser-convicted"


def of_another_attempt(payload: bytes) -> bytes:
    """Its counter is of another second."""
    return payload[: ALPHA - 3] + bytes([payload[ALPHA - 3] ^ 1]) + payload[ALPHA - 2 :]


@pytest.mark.parametrize("spoilt", ["cut", "another attempt inside", "no points"])
def test_who_signs_what_is_no_complaint_is_convicted(
    world: World, refreshing: Refreshing, spoilt: str
) -> None:
    lied_to(refreshing, DEALER, ACCUSER)
    complaint = complained(refreshing)
    payload = parse_envelope(complaint).payload
    lie = {
        "cut": payload[:-1],
        "another attempt inside": of_another_attempt(payload),
        "no points": payload[: ALPHA + 34] + bytes(33) + payload[ALPHA + 67 :],
    }[spoilt]
    shown = shown_of(refreshing)
    said = resigned(world, complaint, lie)
    assert verdict(world, said, shown) == (ACCUSER, True, False)


def test_a_complaint_convicts_nobody_of_another_message(
    world: World, refreshing: Refreshing
) -> None:
    """The dealer has signed a sound dealing, too, and that is what the judges are shown."""
    refreshing.joined()
    refreshing.dealt()
    sound = shown_of(refreshing)
    deal = refreshing.deals[1]
    refreshing.deals[1] = false_deal(world, refreshing.propose, deal, ACCUSER)
    complaint = complained(refreshing)
    with pytest.raises(BadInput, match="another dealing"):
        verdict(world, complaint, sound)
    assert "accuser-convicted" not in events(world.parties[JUDGE])


@pytest.mark.parametrize("accused", [0, ACCUSER, JUDGE, ABSENT, 5])
def test_a_complaint_with_another_accused_convicts_nobody(
    world: World, refreshing: Refreshing, accused: int
) -> None:
    lied_to(refreshing, DEALER, ACCUSER)
    complaint = complained(refreshing)
    payload = parse_envelope(complaint).payload
    lie = payload[: ALPHA + 32] + accused.to_bytes(2, "big") + payload[ALPHA + 34 :]
    with pytest.raises(BadInput):
        verdict(world, resigned(world, complaint, lie), shown_of(refreshing))


def test_a_complaint_is_signed_by_its_accuser(world: World, refreshing: Refreshing) -> None:
    """Key 2 of the sender, under the roster in force."""
    lied_to(refreshing, DEALER, ACCUSER)
    message = parse_envelope(complained(refreshing))
    another = world.parties[JUDGE].acting.identity.sign
    forged = seal_envelope(message.kind, message.address, message.payload, Key.IDENTITY, another)
    shown = shown_of(refreshing)
    with pytest.raises(InvalidSignature):
        verdict(world, forged.to_bytes(), shown)


# Complaints of somewhere else


def test_a_complaint_of_another_attempt_or_wallet_is_none_here(
    world: World, refreshing: Refreshing
) -> None:
    lied_to(refreshing, DEALER, ACCUSER)
    first, message = shown_of(refreshing), parse_envelope(complained(refreshing))
    complaint = message.to_bytes()
    making = Making.of(world, "another")
    other = Refreshing(world, making.active().body, MEMBERS, making.dones)
    lied_to(other, DEALER, ACCUSER)
    with pytest.raises(BadEncoding):
        verdict(world, complaint, shown_of(other))
    lied_to(refreshing, DEALER, ACCUSER)
    with pytest.raises(BadEncoding):
        verdict(world, complaint, shown_of(refreshing))
    address: Address = parse_envelope(complained(refreshing)).address
    here = resigned(world, complaint, address=address)
    assert verdict(world, here, shown_of(refreshing)) == (ACCUSER, True, False)
    assert verdict(world, complaint, first) == (DEALER, False, False)


def test_of_an_epoch_that_has_ended_nobody_is_judged(world: World, refreshing: Refreshing) -> None:
    lied_to(refreshing, DEALER, ACCUSER)
    shown, complaint = shown_of(refreshing), complained(refreshing)
    refreshing.drive(absent=(ABSENT,))
    assert rule_of(lambda: verdict(world, complaint, shown)) == "other-epoch"
    accuse = partial(world.parties[ACCUSER].successions.complain, DEALER, shown)
    assert rule_of(accuse) == "other-epoch"


# What convicts by itself


@pytest.mark.parametrize("spoilt", ["PoP", "PoP^E", "PoP^V", "length", "another attempt inside"])
def test_what_a_dealer_signed_may_be_proof_enough(
    world: World, refreshing: Refreshing, spoilt: str
) -> None:
    """Step 6.4.9: nothing is revealed for it, and every judge finds it without a complaint."""
    refreshing.joined()
    refreshing.dealt()
    proofs = ALPHA + 32 + POINT
    lie: dict[str, Callable[[bytes], bytes]] = {
        "PoP": lambda said: flipped(said, proofs + PROOF - 1),
        "PoP^E": lambda said: flipped(said, proofs + 2 * PROOF - 1),
        "PoP^V": lambda said: flipped(said, proofs + 3 * PROOF - 1),
        "length": lambda said: said[:-1],
        "another attempt inside": of_another_attempt,
    }
    replaced(refreshing, lie[spoilt])
    with pytest.raises(ProtocolAbort) as abort:
        refreshing.stage(ACCUSER)
    assert abort.value.culprits == (DEALER,)
    assert rule_of(lambda: complained(refreshing)) == "proof-enough"
    shown = shown_of(refreshing)
    for judge in (JUDGE, ABSENT):
        found = world.parties[judge].successions.judge_alone(DEALER, shown)
        assert (found.liar, found.alone) == (DEALER, True)
        assert "proof by itself" in str(lines(world.parties[judge])[-1]["reason"])
    if spoilt.startswith("PoP"):  # who complains of it all the same is not convicted
        complaint = false_complaint(world, shown, ACCUSER, DEALER)
        assert verdict(world, complaint, shown) == (DEALER, False, True)


def test_the_first_dealer_is_convicted_of_naming_another_attempt(
    world: World, refreshing: Refreshing
) -> None:
    refreshing.joined()
    refreshing.dealt()
    said = parse_envelope(refreshing.deals[0]).payload
    refreshing.deals[0] = resigned(world, refreshing.deals[0], of_another_attempt(said))
    shown, judge = shown_of(refreshing), refreshing.successions(JUDGE)
    assert judge.judge_alone(1, shown).liar == 1
    assert rule_of(lambda: judge.complain(1, shown)) == "proof-enough"


def test_without_a_complaint_a_false_delta_convicts_nobody(
    world: World, refreshing: Refreshing
) -> None:
    lied_to(refreshing, DEALER, ACCUSER)
    shown = shown_of(refreshing)
    judge = world.parties[JUDGE].successions
    assert rule_of(lambda: judge.judge_alone(DEALER, shown)) == "not-proven"
    with pytest.raises(BadInput):
        judge.judge_alone(ABSENT, shown)


# Crashes


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


def test_a_death_between_the_line_and_the_complaint_costs_nothing(
    world: World, refreshing: Refreshing
) -> None:
    """What was not on disk was not sent; what was, is repeated."""
    lied_to(refreshing, DEALER, ACCUSER)
    with dying("attempt-complaint"), pytest.raises(DeathError):
        complained(refreshing)
    assert events(world.parties[ACCUSER])[-1] == "complained"
    world.restarted(ACCUSER)
    complaint = complained(refreshing)
    assert complained(refreshing) == complaint
    assert verdict(world, complaint, shown_of(refreshing)) == (DEALER, False, False)


def test_a_verdict_whose_evidence_is_too_large_is_told_without_it(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be kept acquits nobody."""
    lied_to(refreshing, DEALER, ACCUSER)
    complaint, shown = complained(refreshing), shown_of(refreshing)
    monkeypatch.setattr(Evidence, "has_room", lambda *_: False)
    assert verdict(world, complaint, shown) == (DEALER, False, False)
    last = lines(world.parties[JUDGE])[-1]
    assert last["event"] == "dealer-convicted"
    assert "evidence" not in last


def test_a_death_between_the_line_and_the_evidence_is_made_good(
    world: World, refreshing: Refreshing
) -> None:
    lied_to(refreshing, DEALER, ACCUSER)
    complaint, shown = complained(refreshing), shown_of(refreshing)
    with dying("evidence"), pytest.raises(DeathError):
        verdict(world, complaint, shown)
    assert world.parties[JUDGE].acting.store.evidence.kept() == ()
    world.restarted(JUDGE)
    assert verdict(world, complaint, shown) == (DEALER, False, False)
    (name,) = world.parties[JUDGE].acting.store.evidence.kept()
    assert lines(world.parties[JUDGE])[-1]["evidence"] == name.hex()
