"""A false share of a resharing is proven to the old holders; so is a false complaint (6.8.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from hsm_mpc.agent.arrival.desk import LONGEST_WAIT
from hsm_mpc.agent.evidence import Case
from hsm_mpc.agent.succession.shown import Shown
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, ProtocolAbort
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import COMPLAINT, FIRST_NEW_HOLDER, NEW_COMPLAINT
from tests.agent.complaining import false_complaint_anew, shown_of
from tests.agent.making import events, keks, lines
from tests.agent.repairing import rule_of
from tests.agent.resharing import Sharing
from tests.agent.simulate import Party, Worlds
from tests.agent.test_resharing import shared, tampered
from tests.agent.test_succession import SEALED_BYTES

HONEST, DEALER, JUDGE = 1, 2, 3
"""In the old roster: both dealers, and who deals nothing."""
STAYING, COMING, NEW = 1, 3, 4
"""In the new roster, which has four."""
ALPHA = 10

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def growing(worlds: Worlds) -> Sharing:
    """2-of-3, to be 3-of-4 with one who comes; at other places than in the pinned roster."""
    return shared(worlds(5), ("h2", "h3", "h5"), 2, ("h2", "h3", "h4", "h5"), 3)


def lied_to(sharing: Sharing, k: int = COMING) -> Shown:
    """The dealer has sealed for new holder k what does not open."""
    sharing.joined()
    sharing.dealt()
    tampered(sharing, DEALER, place=(NEW - k + 1) * SEALED_BYTES - 8)
    return shown_of(sharing)


def party_of(sharing: Sharing, k: int = COMING) -> Party:
    return sharing.new.parties[k]


def complained(sharing: Sharing, k: int = COMING, accused: int = DEALER) -> bytes:
    return party_of(sharing, k).arrivals.complain(accused, shown_of(sharing))


def verdict(
    sharing: Sharing, complaint: bytes, shown: Shown, judge: int = JUDGE
) -> tuple[int, bool, bool]:
    """Who lied, whether as accuser, and whether by its own message alone."""
    found = sharing.successions(judge).judge(complaint, shown)
    return found.liar, found.is_accuser, found.alone


def signed_again(
    sharing: Sharing, complaint: bytes, payload: bytes | None = None, by: int = COMING
) -> bytes:
    """COMPLAINT with other content or address, signed by a new holder."""
    message = parse_envelope(complaint)
    address = replace(message.address, sender=FIRST_NEW_HOLDER + by)
    content = message.payload if payload is None else payload
    return party_of(sharing, by).acting.signed_by_identity(message.kind, address, content)


# A false share


@pytest.mark.parametrize("k", [STAYING, COMING])
def test_a_false_share_is_proven_to_all_old_holders(growing: Sharing, k: int) -> None:
    """Also to the dealer itself; each keeps the proof."""
    shown = lied_to(growing, k)
    with pytest.raises(ProtocolAbort) as abort:
        growing.receive(k)
    assert abort.value.culprits == (DEALER,)
    complaint = complained(growing, k)
    assert parse_envelope(complaint).address.sender == FIRST_NEW_HOLDER + k
    assert events(party_of(growing, k))[-1] == "complained"
    for judge in (HONEST, DEALER, JUDGE):
        for _ in range(2):
            assert verdict(growing, complaint, shown, judge) == (DEALER, False, False)
        party = growing.world.parties[judge]
        found = [line for line in lines(party) if "convicted" in line]
        assert [(each["event"], each["convicted"]) for each in found] == [
            ("dealer-convicted", DEALER)
        ]
        assert f"sealed for new holder {k} is false" in str(found[0]["reason"])
        kept = party.acting.store.evidence.load(str(found[0]["evidence"]))
        assert Case.from_bytes(kept).messages[0] == growing.propose
        assert Case.from_bytes(kept).messages[-1] == complaint


def test_a_complaint_is_made_once_and_repeated_as_it_is(growing: Sharing) -> None:
    """Also by a holder that has lost v' with its process; and never of another dealer."""
    shown = lied_to(growing)
    tampered(growing, HONEST, place=2 * SEALED_BYTES - 8)
    complaint = complained(growing)
    assert rule_of(lambda: complained(growing, accused=HONEST)) == "complained"
    growing.all_holders.restarted(4)
    assert complained(growing) == complaint
    assert rule_of(lambda: complained(growing, accused=HONEST)) == "complained"
    assert parse_envelope(complaint).payload[:ALPHA] == growing.attempt.to_bytes()
    assert shown.attempt == growing.attempt


def test_after_a_bad_dealing_v_is_there_for_a_complaint_alone(growing: Sharing) -> None:
    """The wrapping key has gone; and where all would be well again, nothing is acknowledged."""
    lied_to(growing)
    with pytest.raises(ProtocolAbort):
        growing.receive(COMING)
    assert keks(party_of(growing)) == []
    tampered(growing, DEALER, place=2 * SEALED_BYTES - 8)
    assert rule_of(lambda: growing.receive(COMING)) == "arrival-over"
    tampered(growing, DEALER, place=2 * SEALED_BYTES - 8)
    complained(growing)
    assert rule_of(lambda: growing.receive(COMING)) == "arrival-over"


def test_who_stays_and_has_complained_acknowledges_nothing_as_an_old_holder(
    growing: Sharing,
) -> None:
    lied_to(growing, STAYING)
    complained(growing, STAYING)
    assert rule_of(lambda: growing.stage(HONEST)) == "complained"


def test_v_is_wiped_with_the_complaint_or_when_its_time_is_over(growing: Sharing) -> None:
    world = growing.all_holders
    free = world.free_bytes()
    lied_to(growing)
    for k in (COMING, STAYING):
        with pytest.raises(ProtocolAbort):
            tampered(growing, HONEST, place=(NEW - k + 1) * SEALED_BYTES - 8)
            growing.receive(k)
    complained(growing, COMING)
    world.later[0] += LONGEST_WAIT
    for party in growing.new.parties.values():
        party.arrivals.expire()
    assert world.free_bytes() == free
    assert rule_of(lambda: complained(growing, STAYING)) == "arrival-over"


def test_of_what_is_sound_nothing_is_revealed(growing: Sharing) -> None:
    """And the share is taken all the same."""
    lied_to(growing)
    with pytest.raises(BadInput, match="is sound"):
        complained(growing, accused=HONEST)
    with pytest.raises(BadInput, match="is sound"):
        complained(growing, NEW)
    with pytest.raises(BadInput, match="deals nothing"):
        complained(growing, accused=JUDGE)
    alpha = growing.attempt.to_bytes()
    attempts = party_of(growing, NEW).acting.attempts(growing.replaced.terms.wallet_id)
    assert attempts.kept(alpha, AttemptDocument.COMPLAINT) is None
    assert growing.receive(NEW)
    assert rule_of(lambda: complained(growing, NEW)) == "arrival-over"


def test_what_everybody_sees_needs_no_complaint(growing: Sharing) -> None:
    growing.joined()
    growing.dealt()
    tampered(growing, DEALER, place=NEW * SEALED_BYTES + 33 + 1)
    assert rule_of(lambda: complained(growing)) == "proof-enough"
    assert "complained" not in events(party_of(growing))


def test_only_in_the_attempt_that_it_is_greeted_in_a_new_holder_complains(
    growing: Sharing,
) -> None:
    shown = lied_to(growing)
    later = growing.again()
    later.joined()
    later.dealt()
    refused = partial(party_of(growing).arrivals.complain, DEALER, shown)
    assert rule_of(refused) == "arrival-over"
    other = replace(shown, propose=later.propose)
    with pytest.raises((BadEncoding, BadInput, InvalidSignature, ProtocolAbort)):
        party_of(growing).arrivals.complain(DEALER, other)


# Who judges


def test_a_false_accusation_convicts_its_accuser(growing: Sharing) -> None:
    growing.joined()
    growing.dealt()
    shown = shown_of(growing)
    complaint = false_complaint_anew(growing.world, growing.new, shown, COMING, DEALER)
    for judge in (HONEST, DEALER, JUDGE):
        assert verdict(growing, complaint, shown, judge) == (FIRST_NEW_HOLDER + COMING, True, False)
        last = lines(growing.world.parties[judge])[-1]
        assert last["event"] == "accuser-convicted"
        assert f"the complaint of new holder {COMING} about holder {DEALER} is false" in str(last)


@pytest.mark.parametrize(
    "lie",
    [
        lambda said: said[:-1],
        lambda said: said[:ALPHA] + said[ALPHA:-1] + bytes([said[-1] ^ 1]),
        lambda said: bytes(ALPHA) + said[ALPHA:],
    ],
    ids=["short", "another proof", "another attempt"],
)
def test_who_signs_what_is_no_complaint_is_convicted(
    growing: Sharing,
    lie: Callable[[bytes], bytes],
) -> None:
    shown = lied_to(growing)
    said = complained(growing)
    forged = signed_again(growing, said, lie(parse_envelope(said).payload))
    found = verdict(growing, forged, shown)
    assert found == (FIRST_NEW_HOLDER + COMING, True, False)


def test_a_complaint_of_another_new_holder_convicts_that_one(growing: Sharing) -> None:
    """What opens a share is of its receiver alone."""
    shown = lied_to(growing)
    said = signed_again(growing, complained(growing), by=NEW)
    assert verdict(growing, said, shown) == (FIRST_NEW_HOLDER + NEW, True, False)


def test_a_complaint_convicts_nobody_of_another_message(growing: Sharing) -> None:
    """The dealer has signed a second dealing for the same place, and shows that."""
    lied_to(growing)
    complaint = complained(growing)
    tampered(growing, DEALER, place=2 * SEALED_BYTES - 8)
    with pytest.raises(BadInput, match="another dealing"):
        verdict(growing, complaint, shown_of(growing))


def test_a_complaint_is_signed_by_a_new_holder(growing: Sharing) -> None:
    """By its own key and in its own name; an old one says none."""
    shown = lied_to(growing)
    message = parse_envelope(complained(growing))
    acting = growing.world.parties[JUDGE].acting
    named = replace(message.address, sender=FIRST_NEW_HOLDER + 5)
    old = replace(message.address, sender=JUDGE)
    with pytest.raises(InvalidSignature):
        forged = acting.signed_by_identity(NEW_COMPLAINT, message.address, message.payload)
        verdict(growing, forged, shown)
    for kind, address in ((NEW_COMPLAINT, named), (NEW_COMPLAINT, old), (COMPLAINT, old)):
        with pytest.raises(BadEncoding):
            verdict(growing, acting.signed_by_identity(kind, address, message.payload), shown)


def test_old_holders_go_by_the_proposal_that_they_have_answered(
    growing: Sharing,
) -> None:
    shown = lied_to(growing)
    complaint = complained(growing)
    later = growing.again()
    later.joined()
    with pytest.raises((BadEncoding, BadInput, ProtocolAbort)):
        verdict(growing, complaint, replace(shown, propose=later.propose))


def test_old_holders_complain_of_nothing(growing: Sharing) -> None:
    """Nothing is dealt to them, and what is false for a new one they do not see."""
    shown = lied_to(growing)
    judge = growing.successions(JUDGE)
    assert rule_of(partial(judge.judge_alone, DEALER, shown)) == "not-proven"
    assert rule_of(partial(judge.complain, DEALER, shown)) == "no-receiver"


def test_the_next_attempt_shares_the_key_as_if_nothing_had_been(
    growing: Sharing,
) -> None:
    lied_to(growing)
    with pytest.raises(ProtocolAbort):
        growing.receive(COMING)
    complained(growing)
    following = growing.again()
    following.drive()
    for party in following.new.parties.values():
        assert len(keks(party)) == 1


# What an attempt is asked as, and when it is over


@pytest.mark.parametrize("joins_first", [True, False])
def test_one_attempt_is_what_was_asked_first(growing: Sharing, joins_first: bool) -> None:
    """A coordinator that asks h2 for a refresh and a resharing at once has altered no disk."""
    growing.begin()
    refresh = growing.refresh()
    refresh.now, refresh.attempts = growing.now, growing.attempts
    asked: list[Callable[[], object]] = [
        partial(refresh.asked_to_join, STAYING),
        partial(growing.greet, STAYING),
    ]
    first, second = asked if joins_first else asked[::-1]
    first()
    assert rule_of(second) == "other-ask"
    assert "alarm" not in events(party_of(growing, STAYING))


def test_a_greeting_that_is_said_while_an_older_one_expires_stays(
    growing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for what is over waits for whoever greets."""
    growing.joined()
    growing.dealt()
    arrivals = party_of(growing).arrivals
    alone, later = arrivals._successions.alone, growing.again()
    growing.all_holders.later[0] += LONGEST_WAIT

    @contextmanager
    def behind_a_greeting() -> Iterator[None]:
        monkeypatch.setattr(arrivals._successions, "alone", alone)
        later.joined()
        later.dealt()
        with alone():
            yield

    monkeypatch.setattr(arrivals._successions, "alone", behind_a_greeting)
    arrivals.expire()
    later.receive(COMING)
