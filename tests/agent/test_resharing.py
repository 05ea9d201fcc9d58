"""A holder in a resharing, round by round, as an old one and as a new one (section 6.8)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hsm_mpc.agent.arrival import desk
from hsm_mpc.agent.arrival.desk import LONGEST_WAIT
from hsm_mpc.agent.consents import Consents, beside_resharing
from hsm_mpc.agent.evidence import Case
from hsm_mpc.agent.succession import resharing
from hsm_mpc.agent.succession.dropping import MOST_STAGED, destroy_keys
from hsm_mpc.agent.succession.joining import FURTHEST_AHEAD, JOINS_WITHIN, MOST_JOINS
from hsm_mpc.app import shares
from hsm_mpc.app.acting import Desks
from hsm_mpc.app.consents import of
from hsm_mpc.app.holder import OpenHolder
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.channel import Channel
from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.resharing import Resharing
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    NameTaken,
    NotReady,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import Member, refuse_lab_mark_outside
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.amendment import Rotated
from hsm_mpc.succession.newcomers import NewHello
from hsm_mpc.succession.propose import Propose
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import bundle, parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import ASK, PROPOSE, RETIRE, SUCCESSOR, Key
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession
from tests.agent.complaining import shown_of
from tests.agent.copies import opener, require_closed
from tests.agent.destroying import destroy_of, said
from tests.agent.faults import failing_from
from tests.agent.making import Making, events, keks, lines
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import rule_of
from tests.agent.resharing import Sharing, making_among, seated, told_after
from tests.agent.rounds import Round
from tests.agent.simulate import Party, World, Worlds
from tests.agent.test_succession import SEALED_BYTES
from tests.software_identity import ed25519_key

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(5)


def shared(
    world: World,
    before: Sequence[str],
    t: int,
    after: Sequence[str],
    threshold: int,
    members: Sequence[int] = (),
) -> Sharing:
    """A wallet of some holders, whose key is about to be shared among others."""
    making = making_among(world, before, t)
    making.active()
    return Sharing.of(world, making, after, threshold, members)


@pytest.fixture
def growing(world: World) -> Sharing:
    """2-of-3, to be 3-of-4 with one who comes; at other places than in the pinned roster."""
    return shared(world, ("h2", "h3", "h5"), 2, ("h2", "h3", "h4", "h5"), 3)


def every_quorum_signs(sharing: Sharing) -> None:
    """Of the new holders, in the new epoch; and one fewer does not."""
    assert sharing.certificate is not None
    for quorum in combinations(sharing.new.parties, sharing.threshold):
        round_ = Round(sharing.new, sharing.certificate).commit(*quorum)
        partials = {index: round_.sign(index) for index in quorum}
        assert round_.signature(partials)


def states(party: Party) -> dict[int, EpochState]:
    return {each.body.epoch: each.record.state for each in party.wallets.all()}


GROWING = (("h1", "h2", "h3"), 2, ("h1", "h2", "h3", "h4"), 3)
SHRINKING = (("h1", "h2", "h3", "h5"), 3, ("h1", "h3", "h5"), 2)


@pytest.mark.parametrize(
    ("before", "t", "after", "threshold"),
    [
        GROWING,
        SHRINKING,
        (("h2", "h3", "h5"), 2, ("h2", "h3", "h5"), 3),
        (("h1", "h2"), 2, ("h3", "h4", "h5"), 2),
    ],
    ids=["one comes", "one leaves", "another threshold", "all others"],
)
def test_the_key_is_shared_anew(
    world: World, before: tuple[str, ...], t: int, after: tuple[str, ...], threshold: int
) -> None:
    sharing = shared(world, before, t, after, threshold)
    copies = [(party, opener(party, sharing.replaced)) for party in sharing.world.parties.values()]
    free = world.free_bytes()
    sharing.drive()
    assert sharing.successor.group_key == sharing.replaced.group_key
    assert sharing.successor.terms.sizes == sharing.resharing.sizes
    every_quorum_signs(sharing)
    for party, copy in copies:
        require_closed(party, copy)
    for index, party in world.parties.items():
        stays = f"h{index}" in after
        assert states(party) == ({1: EpochState.ACTIVE} if stays else {})
        assert len(keks(party)) == stays
        assert len(party.acting.registers.wallet_ids()) == stays
        assert party.acting.attempts(sharing.replaced.terms.wallet_id).all() == ()
    for party in world.parties.values():
        party.desk.forget()
    assert world.free_bytes() == free
    refreshed = sharing.next()
    refreshed.drive()
    assert refreshed.successor.group_key == sharing.replaced.group_key
    for index in world.parties:
        world.restarted(index)
        assert len(keks(world.parties[index])) == (f"h{index}" in after)


def refused(action: Callable[[], object]) -> type[HsmMpcError]:
    """Of which kind; nothing else is ever raised."""
    with pytest.raises(HsmMpcError) as caught:
        action()
    return caught.type


# What is asked of whom


def joins(sharing: Sharing, index: int = 1) -> None:
    """Whether an old holder would, and does."""
    sharing.begin()
    asked = sharing.said(ASK, sharing.ask().to_bytes())
    assert sharing.world.parties[index].successions.consider(asked)
    sharing.join(index)


def comes(sharing: Sharing, k: int = 3) -> None:
    """Whether a new one would, and does."""
    sharing.begin()
    asked = sharing.said(ASK, sharing.ask().to_bytes())
    assert sharing.new.parties[k].arrivals.consider(asked, sharing.told)
    sharing.greet(k)


BOTH_PARTS = pytest.mark.parametrize("part", [joins, comes])


class Asked(Sharing):
    """Another resharing is asked for than the one that was agreed."""

    wished: Callable[[Resharing], Resharing]

    @property
    def resharing(self) -> Resharing:
        return self.wished(super().resharing)


def asked(sharing: Sharing, wished: Callable[[Resharing], Resharing]) -> Sharing:
    sharing.__class__ = Asked
    sharing.wished = wished  # type: ignore[attr-defined]
    return sharing


def with_members(resharing: Resharing, *members: Member) -> Resharing:
    roster = replace(resharing.roster, members=members)
    return Resharing(QuorumSizes.default(roster.n, 2), roster)


@BOTH_PARTS
def test_who_agrees_takes_part(growing: Sharing, part: Callable[[Sharing], None]) -> None:
    part(growing)


@BOTH_PARTS
@pytest.mark.parametrize("field", ["version", "predecessor"])
def test_the_new_roster_follows_the_one_in_force(
    growing: Sharing, part: Callable[[Sharing], None], field: str
) -> None:
    change: dict[str, Any] = {"version": 3} if field == "version" else {"predecessor": b"p" * 32}

    def wished(resharing: Resharing) -> Resharing:
        return replace(resharing, roster=replace(resharing.roster, **change))

    assert rule_of(lambda: part(asked(growing, wished))) == "other-roster"


@BOTH_PARTS
def test_nobody_gets_a_share_whom_no_operator_has_pinned(
    growing: Sharing, part: Callable[[Sharing], None]
) -> None:
    """Step 1.6.3: whatever the coordinator calls it."""
    own = ed25519_key(b"7" * 32).public
    members, first = growing.new.roster.members, growing.all_holders.roster.members[0]

    def added(resharing: Resharing) -> Resharing:
        return with_members(resharing, *members, Member("h1", own))

    def under_another_name(resharing: Resharing) -> Resharing:
        return with_members(resharing, *members, replace(first, name="x"))

    def unknown(resharing: Resharing) -> Resharing:
        return with_members(resharing, *members, Member("x", own))

    for wished in (added, under_another_name, unknown):
        assert rule_of(partial(part, asked(growing, wished))) == "roster-not-pinned"


@BOTH_PARTS
@pytest.mark.parametrize("lost", [4, 5], ids=["who comes", "who stays"])
def test_no_key_that_was_replaced_in_another_wallet_gets_a_share(
    world: World, growing: Sharing, part: Callable[[Sharing], None], lost: int
) -> None:
    """A holder has one for all."""
    other = making_among(world, ("h2", "h4", "h5"), name="other")
    other.active()
    for index in {2, 4, 5} - {lost}:
        rotated_at(world.parties[index], other.certificate().body, world.parties[lost])
    if part is joins:
        assert rule_of(lambda: joins(growing)) == "roster-not-pinned"
    else:
        assert rule_of(lambda: comes(growing, 4 if lost == 4 else 3)) == "roster-not-pinned"


@BOTH_PARTS
def test_who_has_a_share_keeps_its_key(growing: Sharing, part: Callable[[Sharing], None]) -> None:
    """Another identity key comes by repair, which its operators see (step 6.7.2)."""
    own = ed25519_key(b"7" * 32).public
    one, two, *rest = growing.new.roster.members

    def wished(resharing: Resharing) -> Resharing:
        return with_members(resharing, one, replace(two, key=own), *rest)

    assert rule_of(lambda: part(asked(growing, wished))) == "other-roster"


@BOTH_PARTS
def test_too_many_holders_are_refused(growing: Sharing, part: Callable[[Sharing], None]) -> None:
    members = growing.new.roster.members
    more = (Member(f"x{k}", ed25519_key(bytes([k]) * 32).public) for k in range(3, 32))

    def wished(resharing: Resharing) -> Resharing:
        return with_members(resharing, *members, *more)

    assert rule_of(lambda: part(asked(growing, wished))) == "quorum-size"


@BOTH_PARTS
def test_a_plan_has_an_end(growing: Sharing, part: Callable[[Sharing], None]) -> None:
    growing.deadline = growing.all_holders.clock() - 1
    assert rule_of(lambda: part(growing)) == "deadline"


@BOTH_PARTS
def test_outside_of_a_lab_nothing_of_a_lab_counts(
    growing: Sharing, part: Callable[[Sharing], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resharing, "refuse_lab_mark_outside", outside_of_a_lab)
    assert rule_of(lambda: part(growing)) == "lab-mark"


def outside_of_a_lab(lab_marked: bool, *, in_lab: bool, what: str) -> None:
    assert in_lab  # as these holders are configured
    refuse_lab_mark_outside(lab_marked, in_lab=False, what=what)


def test_who_is_none_of_the_new_holders_is_not_greeted(world: World, growing: Sharing) -> None:
    growing.begin()
    message = growing.said(ASK, growing.ask().to_bytes())
    arrivals = world.parties[1].arrivals
    for asks in (arrivals.hello, arrivals.consider):
        assert rule_of(partial(asks, message, growing.told)) == "not-a-member"
    refresh = growing.refresh()
    refresh.begin()
    message = refresh.said(ASK, refresh.ask().to_bytes())
    arrivals = growing.new.parties[3].arrivals
    assert rule_of(lambda: arrivals.hello(message, growing.told)) == "not-a-member"
    assert growing.world.parties[1].successions.consider(message)  # of a refresh nobody is asked
    assert keks(world.parties[1]) == []


def test_an_ask_is_of_a_coordinator_known_here(growing: Sharing) -> None:
    growing.begin()
    message = bytearray(growing.said(ASK, growing.ask().to_bytes()))
    message[-1] ^= 1
    arrivals = growing.new.parties[3].arrivals
    with pytest.raises(InvalidSignature):
        arrivals.hello(bytes(message), growing.told)
    other = replace(growing.ask(), attempt=replace(growing.attempt, initiator=0x8001))
    with pytest.raises(BadEncoding, match="initiator"):
        arrivals.hello(growing.said(ASK, other.to_bytes()), growing.told)


def test_what_is_told_of_a_wallet_proves_itself(world: World, growing: Sharing) -> None:
    growing.begin()
    message = growing.said(ASK, growing.ask().to_bytes())
    arrivals = growing.new.parties[3].arrivals
    chain, policy, clients = growing.told
    other = ClientList.from_bytes(clients)
    for wrong in (
        (chain[:-1], policy, clients),
        (b"", policy, clients),
        (chain, policy + b" ", clients),
        (chain, policy, replace(other, version=2, predecessor=b"p" * 32).to_bytes()),
    ):
        with pytest.raises(ProtocolAbort) as abort:
            arrivals.hello(message, wrong)
        assert abort.value.culprits == ()
    another = making_among(world, ("h1", "h2"), name="another")
    another.active()
    told = Sharing.of(world, another, ("h1", "h4"), 2).told
    assert rule_of(lambda: arrivals.hello(message, told)) == "other-epoch"
    assert world.parties[4].acting.store.wallet_ids() == ()


def test_of_a_wallet_that_was_not_told_of_nothing_is_known(growing: Sharing) -> None:
    growing.made()
    arrivals = growing.new.parties[3].arrivals
    shutil.rmtree(growing.new.parties[3].acting.store._folder / "wallets")
    for asks in (
        lambda: arrivals.receive(growing.propose, growing.deals, growing.channels),
        lambda: arrivals.confirm(growing.certified_message()),
    ):
        assert rule_of(asks) == "unknown-wallet"


def test_whoever_is_asked_alone_keeps_nothing(world: World, growing: Sharing) -> None:
    """What is told may be anybody's wallet, and takes no name."""
    growing.begin()
    message = growing.said(ASK, growing.ask().to_bytes())
    party = growing.new.parties[3]
    assert party.arrivals.consider(message, growing.told)
    unsigned = message[:-1] + bytes([message[-1] ^ 1])
    for asks in (party.arrivals.consider, party.arrivals.hello):
        with pytest.raises(InvalidSignature):
            asks(unsigned, growing.told)
    assert party.acting.store.wallet_ids() == ()
    assert not party.wallets.has_name("treasury")


def test_two_wallets_of_one_name_are_not_in_one_store(world: World) -> None:
    making_among(world, ("h3", "h4", "h5")).active()
    sharing = shared(world, ("h1", "h2"), 2, ("h1", "h2", "h4"), 2)
    assert refused(lambda: comes(sharing)) is NameTaken
    assert len(world.parties[4].acting.store.wallet_ids()) == 1


# Consents


def test_no_operator_is_passed_over(world: World, growing: Sharing) -> None:
    """Step 1.6.7, plan 2: of those that have a share, and of those that get one."""
    world.asking = frozenset({3, 4})
    for index in (3, 4):
        world.restarted(index)
    plan = Plan.of(growing.order)
    growing.begin()
    growing.deadline = growing.order.deadline
    message = growing.said(ASK, growing.ask().to_bytes())
    old, new = world.parties[3].successions, world.parties[4].arrivals
    assert not old.consider(message)
    assert not new.consider(message, growing.told)
    assert world.parties[4].acting.store.wallet_ids() == ()
    assert rule_of(lambda: growing.join(2)) == "consent"
    assert rule_of(lambda: growing.greet(3)) == "consent"
    assert rule_of(lambda: growing.greet(2)) == "consent"  # holder 3 as a new one
    assert keks(world.parties[4]) == []
    assert world.parties[4].acting.store.wallet_ids() == ()
    for index in (3, 4):
        (shown,) = of(world.parties[index].ceremonies.consents).plans
        assert shown.reshare is not None
        assert (shown.wallet, shown.reshare.before) == ("treasury", "any 2 of h2, h3, h5")
        waiting = world.parties[index].ceremonies.consents.waiting()
        assert [each.digest for each in waiting] == [plan.digest]
        world.parties[index].ceremonies.consents.agree(plan.digest)
    assert old.consider(message)
    growing.drive()
    every_quorum_signs(growing)


def test_what_is_read_beside_a_plan_is_what_it_names(growing: Sharing) -> None:
    body, roster = growing.replaced, growing.world.roster
    plan, consents = Plan.of(growing.order), Consents(growing.world.parties[1].acting)
    for wrong in (
        body.to_bytes(),
        bundle([body.to_bytes()]),
        beside_resharing(body, growing.new.roster),
    ):
        assert rule_of(partial(consents.require, plan, wrong)) == "consent"
        assert consents.waiting() == []
    assert rule_of(lambda: consents.require(plan, beside_resharing(body, roster))) == "consent"
    assert [each.digest for each in consents.waiting()] == [plan.digest]


def test_a_consent_is_for_this_plan_only(world: World, growing: Sharing) -> None:
    """Not for other holders, another threshold or another time; but for every attempt at it."""
    world.asking = frozenset({3})
    world.restarted(3)
    growing.begin()
    assert rule_of(lambda: growing.join(2)) == "consent"
    world.parties[3].ceremonies.consents.agree(Plan.of(growing.order).digest)
    later = replace(growing)
    later.deadline = growing.deadline + 1
    fewer = replace(growing, threshold=2)
    others = replace(
        growing,
        new=seated(
            world,
            growing.world.roster.followed_by([m for m in world.roster.members if m.name != "h4"]),
        ),
    )
    for other in (later, fewer, others):
        if other is not later:
            other.deadline = growing.deadline
        other.begin()
        assert rule_of(partial(other.join, 2)) == "consent"
    for _ in range(2):
        growing.begin()
        growing.join(2)


@pytest.mark.parametrize("part", ["old", "new"])
def test_outside_of_a_lab_every_operator_is_asked(growing: Sharing, part: str) -> None:
    party = growing.world.parties[1] if part == "old" else growing.new.parties[3]
    roster = replace(party.acting.roster, lab=False)
    holder = replace(party.acting, roster=roster)
    order, body, in_force = growing.order, growing.replaced, growing.world.roster
    with pytest.raises(Refused) as refusal:
        resharing.require_consent(holder, Consents(holder), order, body, in_force)
    assert refusal.value.rule == "consent"
    resharing.require_consent(party.acting, Consents(party.acting), order, body, in_force)


def test_a_plan_of_another_epoch_or_wallet_is_none(growing: Sharing) -> None:
    party = growing.world.parties[1]
    lineage = party.acting.lineage(growing.replaced.terms)
    for wrong in (
        replace(growing.order, wallet_id=WalletId(b"w" * 16)),
        replace(growing.order, epoch_hash=EpochHash(b"e" * 32)),
    ):
        check = partial(resharing.require_possible, party.acting, wrong)
        assert rule_of(partial(check, growing.replaced, lineage)) == "other-epoch"


# The rounds of a new holder


def test_every_message_is_repeated_as_it_was(world: World, growing: Sharing) -> None:
    growing.joined()
    assert [growing.greet(k) for k in growing.new.parties] == growing.hellos
    growing.dealt()
    growing.certified()
    for index in world.parties:
        world.restarted(index)
    assert [growing.receive(k) for k in growing.new.parties] == growing.new_acks
    growing.retired_by((1, 2, 3))
    for index in world.parties:
        world.restarted(index)
    assert [growing.confirm(k) for k in growing.new.parties] == growing.arrivals
    for _ in range(2):
        for index in growing.members:
            gone = growing.retire(index)
            assert growing.destroyed.setdefault(index, gone) == gone
        assert growing.arrive(3) == growing.arrivals[2]
        for index in world.parties:
            world.restarted(index)
    every_quorum_signs(growing)


def test_who_has_said_hello_and_restarts_says_it_in_another_attempt(
    world: World, growing: Sharing
) -> None:
    """v' was in memory alone, and KEK' goes."""
    growing.joined()
    growing.dealt()
    assert len(keks(world.parties[4])) == 1
    world.restarted(4)
    assert keks(world.parties[4]) == []
    assert rule_of(lambda: growing.receive(3)) == "arrival-over"
    assert rule_of(lambda: growing.greet(3)) == "arrival-over"
    growing.again().drive()
    assert [len(keks(world.parties[index])) for index in (2, 3, 4, 5)] == [1, 1, 1, 1]


@pytest.mark.parametrize("staying", [False, True], ids=["who comes", "who stays"])
def test_what_waits_too_long_is_wiped(world: World, growing: Sharing, staying: bool) -> None:
    k, index = (1, 2) if staying else (3, 4)
    before, free = len(keks(world.parties[index])), world.free_bytes()
    growing.joined()
    growing.dealt()
    arrivals = growing.new.parties[k].arrivals
    world.later[0] += LONGEST_WAIT - 1
    arrivals.expire()
    assert len(keks(world.parties[index])) == before + 1
    world.later[0] += 1
    for party in world.parties.values():
        party.arrivals.expire()
    assert world.free_bytes() == free
    assert len(keks(world.parties[index])) == before
    assert rule_of(lambda: growing.receive(k)) == "arrival-over"
    assert rule_of(lambda: growing.greet(k)) == "arrival-over"
    growing.again().drive()
    assert len(keks(world.parties[index])) == 1


def test_of_attempts_that_fail_nothing_is_left(world: World, growing: Sharing) -> None:
    """The next HELLO' of a wallet takes the place of the one before."""
    free = world.free_bytes()
    for _ in range(3):
        growing.joined()
    assert [len(keks(world.parties[index])) for index in (1, 2, 3, 4, 5)] == [0, 2, 2, 1, 2]
    assert rule_of(lambda: earlier(growing).greet(3)) == "arrival-over"
    assert rule_of(lambda: earlier(earlier(growing)).greet(3)) == "attempt-overtaken"
    growing.dealt()
    torn = [*growing.deals[:1], growing.deals[1][:-1]]
    for k, party in growing.new.parties.items():
        with pytest.raises(HsmMpcError):
            party.arrivals.receive(growing.propose, torn, growing.channels)
        assert rule_of(partial(growing.receive, k)) == "arrival-over"
    assert world.free_bytes() == free
    assert [len(keks(world.parties[index])) for index in (1, 2, 3, 4, 5)] == [0, 1, 1, 0, 1]
    growing.joined()
    for party in world.parties.values():
        party.arrivals.close()
    assert world.free_bytes() == free


def earlier(sharing: Sharing) -> Sharing:
    """The attempt before."""
    before = replace(sharing, attempts=sharing.attempts - 1)
    before.now, before.deadline = sharing.now, sharing.deadline
    return before


@pytest.mark.parametrize("staying", [False, True], ids=["who comes", "who stays"])
def test_new_holders_are_asked_no_more_often_than_old_ones(
    world: World, growing: Sharing, staying: bool
) -> None:
    """Step 6.5.11; and of what led to no share only the newest attempt is kept."""
    k = 1 if staying else 3
    for _ in range(MOST_JOINS):
        growing.begin()
        growing.greet(k)
    attempts = growing.new.parties[k].acting.attempts(growing.replaced.terms.wallet_id)
    assert len(attempts.all()) == 2
    growing.begin()
    assert rule_of(lambda: growing.greet(k)) == "too-many-attempts"
    world.later[0] += JOINS_WITHIN
    growing.greet(k)
    growing.attempts = FURTHEST_AHEAD
    growing.begin()
    assert rule_of(lambda: growing.greet(k)) == "attempt-too-far"
    growing.attempts -= 1
    growing.greet(k)


def test_so_many_wait_at_once_and_no_more(
    world: World, growing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "MOST_ARRIVING", 1)
    making = making_among(world, ("h1", "h2"), name="another")
    making.active()
    other = Sharing.of(world, making, ("h1", "h4"), 2)
    comes(growing)
    assert rule_of(lambda: comes(other, 2)) == "too-many-arrivals"
    growing.begin()
    growing.greet(3)  # in place of its own
    world.later[0] += LONGEST_WAIT
    world.parties[4].arrivals.expire()
    comes(other, 2)


def test_a_proposal_is_one_of_the_own_attempt(world: World, growing: Sharing) -> None:
    """Each is the coordinator's fault; and the attempt is lost."""

    def told(content: Propose) -> bytes:
        return growing.said(PROPOSE, content.to_bytes())

    def other_ask(content: Propose) -> bytes:
        return told(replace(content, ask_digest=b"a" * 32))

    def own_hello_altered(content: Propose) -> bytes:
        """Its HSM has said that: in the same attempt, for another key."""
        message = parse_envelope(content.hellos[2])
        party = growing.new.parties[3].acting
        group = growing.replaced.terms.group
        hello = replace(NewHello.from_bytes(message.payload, group), nonce=b"n" * 32)
        twin = party.signed_by_identity(message.kind, message.address, hello.to_bytes())
        hellos = (*content.hellos[:2], twin, *content.hellos[3:])
        return told(replace(content, hellos=hellos))

    def too_few(content: Propose) -> bytes:
        return told(replace(content, joins=content.joins[:1]))

    def nobody_greeted(content: Propose) -> bytes:
        return told(replace(content, hellos=()))

    for change in (other_ask, own_hello_altered, too_few, nobody_greeted):
        growing.joined()
        growing.dealt()
        wrong = change(growing.proposal())
        with pytest.raises(ProtocolAbort) as abort:
            growing.new.parties[3].arrivals.receive(wrong, growing.deals, growing.channels)
        assert abort.value.culprits == ()
        assert keks(world.parties[4]) == []


def test_a_proposal_is_signed_by_a_coordinator(growing: Sharing) -> None:
    growing.joined()
    growing.dealt()
    forged = growing.propose[:-1] + bytes([growing.propose[-1] ^ 1])
    with pytest.raises(InvalidSignature):
        growing.new.parties[3].arrivals.receive(forged, growing.deals, growing.channels)


def test_the_dealings_are_those_of_the_dealers_each_with_its_channel(growing: Sharing) -> None:
    growing.joined()
    growing.dealt()
    deals, channels = growing.deals, growing.channels
    for wrong in (
        (deals[:1], channels),
        (deals, channels[:1]),
        (deals[::-1], channels),
        (deals, channels[::-1]),
        ([deals[0], deals[0]], channels),
    ):
        for party in (growing.world.parties[1].successions, growing.world.parties[3].successions):
            with pytest.raises((BadEncoding, InvalidSignature)):
                party.stage(*wrong)
    growing.certified()


# Who deals something else


def tampered(sharing: Sharing, index: int, place: int) -> None:
    """A dealer signs a dealing in which one byte is another, `place` from its end."""
    position = sharing.dealers.index(index)
    message = parse_envelope(sharing.deals[position])
    payload = bytearray(message.payload)
    payload[-place] ^= 1
    acting = sharing.world.parties[index].acting
    lie = acting.channel_message(message.kind, message.address, bytes(payload))
    sharing.deals[position] = lie.to_bytes()


def proven(party: Party, sharing: Sharing, index: int) -> bool:
    """Whether the newest case on disk has the dealing, and what it verifies under."""
    case = case_of(party)
    position = sharing.dealers.index(index)
    return {sharing.deals[position], sharing.channels[position]} <= set(case.messages)


def case_of(party: Party) -> Case:
    return Case.from_bytes(party.acting.store.evidence.load(str(lines(party)[-1]["evidence"])))


def test_a_dealer_that_cheats_a_new_holder_is_named_by_it(world: World, growing: Sharing) -> None:
    """Its own ciphertext of four, the third: the others cannot see it."""
    growing.joined()
    growing.dealt()
    free = world.free_bytes()
    tampered(growing, 2, place=2 * SEALED_BYTES - 8)
    with pytest.raises(ProtocolAbort) as abort:
        growing.receive(3)
    assert abort.value.culprits == (2,)
    assert proven(world.parties[4], growing, 2)
    assert keks(world.parties[4]) == []
    growing.receive(1)
    assert world.free_bytes() > free
    growing.again((1, 3)).drive(absent=(2,))
    every_quorum_signs_later(growing)


def every_quorum_signs_later(sharing: Sharing) -> None:
    """In whichever attempt it was shared."""
    for party in sharing.new.parties.values():
        assert states(party) == {1: EpochState.ACTIVE}
        assert len(keks(party)) == 1


@pytest.mark.parametrize("part", ["a new holder", "an old dealer", "an old holder"])
def test_a_dealer_that_cheats_all_is_named_by_each(
    world: World, growing: Sharing, part: str
) -> None:
    """What its proof or its commitments say is public."""
    growing.joined()
    growing.dealt()
    tampered(growing, 2, place=4 * SEALED_BYTES + 33 + 1)
    index = {"a new holder": 4, "an old dealer": 2, "an old holder": 5}[part]
    with pytest.raises(ProtocolAbort) as abort:
        if part == "a new holder":
            growing.receive(3)
        else:
            growing.stage(1 if part == "an old dealer" else 3)
    assert abort.value.culprits == (2,)
    assert proven(world.parties[index], growing, 2)
    assert len(keks(world.parties[index])) == (0 if index == 4 else 2)


def test_what_everybody_sees_of_a_dealing_convicts_its_dealer(growing: Sharing) -> None:
    """Steps 6.4.9 and 6.8.3: without a complaint."""
    growing.joined()
    growing.dealt()
    tampered(growing, 2, place=4 * SEALED_BYTES + 33 + 1)
    shown = shown_of(growing)
    for index in (1, 3):
        judge = growing.successions(index)
        found = judge.judge_alone(2, shown)
        assert (found.liar, found.alone) == (2, True)
        assert rule_of(partial(judge.judge_alone, 1, shown)) == "not-proven"
        assert rule_of(partial(judge.complain, 2, shown)) == "proof-enough"


def test_evidence_is_kept_wherever_a_holder_stands_in_the_pinned_roster(world: World) -> None:
    """CHANNEL counts its sender there, and the dealing in the roster of the wallet."""
    sharing = shared(world, ("h4", "h5"), 2, ("h1", "h4", "h5"), 2)
    sharing.joined()
    sharing.dealt()
    tampered(sharing, 2, place=3 * SEALED_BYTES + 33 + 1)
    for action, index in ((partial(sharing.receive, 1), 1), (partial(sharing.stage, 1), 4)):
        with pytest.raises(ProtocolAbort) as abort:
            action()
        assert abort.value.culprits == (2,)
        assert proven(world.parties[index], sharing, 2)
        for signer, channel in case_of(world.parties[index]).channels:
            assert Channel.from_bytes(channel, sharing.world.roster.member(signer).key)


def test_a_dealing_that_names_another_attempt_inside_blames_its_dealer(growing: Sharing) -> None:
    growing.joined()
    growing.dealt()
    message = parse_envelope(growing.deals[1])
    tampered(growing, 2, place=len(message.payload) - 9)
    for action in (partial(growing.receive, 3), partial(growing.stage, 1)):
        with pytest.raises(ProtocolAbort, match="another attempt") as abort:
            action()
        assert abort.value.culprits == (2,)


def test_an_altered_own_dealing_ends_the_attempt(growing: Sharing) -> None:
    growing.joined()
    growing.dealt()
    tampered(growing, 2, place=1)
    with pytest.raises(ProtocolAbort, match="own dealing came back altered") as abort:
        growing.stage(2)
    assert abort.value.culprits == ()


def test_who_deals_nothing_has_no_dealing_to_look_for(growing: Sharing) -> None:
    """2-of-3: holder 3 joins and acknowledges, and Q are the first two."""
    growing.joined()
    assert [bool(growing.deal(index)) for index in growing.members] == [True, True, False]
    assert [bool(growing.deal(index)) for index in growing.members] == [True, True, False]


# Old holders: votes


def test_nothing_is_acknowledged_before_it_was_dealt_or_once_it_is_overtaken(
    growing: Sharing,
) -> None:
    growing.joined()
    deals = [growing.deal(index) for index in (1, 2)]
    parties = growing.world.parties
    channels = [parties[index].acting.channel_announcement() for index in (1, 2)]
    assert rule_of(lambda: parties[3].successions.stage(deals, channels)) == "not-dealt"
    growing.deal(3)
    growing.attempts += 1
    growing.join(3)
    assert rule_of(lambda: parties[3].successions.stage(deals, channels)) == "attempt-overtaken"
    growing.attempts -= 1
    assert rule_of(lambda: growing.deal(3)) == "attempt-overtaken"


def test_nobody_votes_for_what_a_new_holder_cannot_open(world: World, growing: Sharing) -> None:
    """Whoever is silent then would have it carried on for ever, and never retired into."""
    growing.made()
    arrivals = [growing.confirm(k) for k in growing.new.parties]
    for wrong in (arrivals[:-1], arrivals[::-1], [*arrivals[:-1], arrivals[0]]):
        growing.arrivals = wrong
        with pytest.raises(ProtocolAbort, match="not every new holder has its share"):
            growing.adopt(1)
    growing.arrivals = arrivals
    assert growing.adopt(1)


def test_a_higher_promise_adopts_nothing_below(growing: Sharing) -> None:
    growing.made()
    growing.attempts += 1
    growing.join(1)
    growing.attempts -= 1
    assert rule_of(lambda: growing.adopt(1)) == "attempt-overtaken"
    growing.adopt(2)


def test_an_old_holder_votes_for_one_of_two(growing: Sharing) -> None:
    """Its HSM remembers what it has acknowledged, though it has no share to show for it."""
    growing.made()
    register = growing.world.parties[1].acting.registers.read(growing.replaced.terms.wallet_id)
    assert register is not None
    assert register.acked is not None
    assert register.acked.epoch_hash == growing.successor.hash
    growing.adopt(1)
    register = growing.world.parties[1].acting.registers.read(growing.replaced.terms.wallet_id)
    assert register is not None
    assert register.adopted is not None
    assert register.adopted.epoch_hash == growing.successor.hash


# CERT and DONE'


def test_a_certificate_is_verified_by_new_holders(growing: Sharing) -> None:
    growing.made()
    assert growing.certificate is not None
    honest = growing.certificate
    growing.certificate = replace(honest, acknowledgements=honest.acknowledgements[::-1])
    for k in (1, 3):
        with pytest.raises(Tampered):
            growing.confirm(k)
    growing.certificate = honest
    message = growing.certified_message()
    with pytest.raises(InvalidSignature):
        growing.new.parties[3].arrivals.confirm(message[:-1] + bytes([message[-1] ^ 1]))
    address = parse_envelope(message).address
    stray = growing.world.said(
        SUCCESSOR, address.wallet_id, bytes(32), address.epoch_hash, honest.to_bytes()
    )
    with pytest.raises(BadEncoding, match="another session"):
        growing.new.parties[3].arrivals.confirm(stray)
    for k in growing.new.parties:
        growing.confirm(k)


def test_only_who_has_a_share_confirms(world: World, growing: Sharing) -> None:
    shrinking = Sharing.of(world, made_before(growing), ("h2", "h3"), 2, attempts=growing.attempts)
    shrinking.made()
    message = shrinking.certified_message()
    with pytest.raises(HsmMpcError) as refusal:
        world.parties[5].arrivals.confirm(message)
    assert not isinstance(refusal.value, BadInput)
    refreshing = shrinking.refresh()
    refreshing.made()
    assert refreshing.certificate is not None
    certified = refreshing.said(SUCCESSOR, refreshing.certificate.to_bytes())
    assert rule_of(lambda: world.parties[5].arrivals.confirm(certified)) == "not-a-member"


def made_before(sharing: Sharing) -> Making:
    """The same wallet, for another succession."""
    chain = Chain.from_bytes(sharing.told[0])
    return cast(
        Making,
        SimpleNamespace(
            world=sharing.world,
            certificate=lambda: Certificate.from_bytes(chain.certificate),
            dones=list(chain.dones),
            policy=sharing.told[1],
            proposal=SimpleNamespace(clients=ClientList.from_bytes(sharing.told[2])),
        ),
    )


def test_a_share_that_does_not_open_is_not_confirmed(world: World, growing: Sharing) -> None:
    growing.made()
    party = world.parties[4]
    path = party.acting.epochs(growing.replaced.terms.wallet_id).blob_path(growing.successor.hash)
    kept = path.read_bytes()
    path.write_bytes(b"lost")
    with pytest.raises(Tampered):
        growing.confirm(3)
    path.write_bytes(kept)
    growing.confirm(3)


def test_a_certificate_that_is_over_sets_no_register_back(world: World, growing: Sharing) -> None:
    """Of those who hold the key since, of those who have a later epoch, and of those who left."""
    growing.drive()
    wallet_id = growing.replaced.terms.wallet_id
    registers = {i: party.acting.registers for i, party in world.parties.items()}

    def stays_after_confirming(places: Sequence[int]) -> None:
        before = {i: each.read(wallet_id) for i, each in registers.items()}
        assert [growing.confirm(k) for k in places] == [growing.arrivals[k - 1] for k in places]
        assert {i: each.read(wallet_id) for i, each in registers.items()} == before

    stays_after_confirming((1, 2, 3, 4))
    refreshed = growing.next()
    refreshed.drive()
    stays_after_confirming((1, 2, 3, 4))
    leaving = Sharing(
        growing.new,
        refreshed.successor,
        (1, 2, 3, 4),
        [refreshed.last_dones[index] for index in (1, 2, 3, 4)],
        refreshed.retirement,
        refreshed.attempts,
        all_holders=world,
        new=seated(world, growing.new.roster.followed_by(growing.world.roster.members)),
        threshold=2,
        told=growing.told,
    )
    leaving.drive()
    assert registers[4].read(wallet_id) is None
    stays_after_confirming((1, 2, 3, 4))
    every_quorum_signs(leaving)


def test_who_has_another_epoch_by_now_confirms_nothing(world: World, growing: Sharing) -> None:
    """Whatever else its disk has forgotten, its HSM has not."""
    growing.drive()
    epochs = world.parties[4].acting.epochs(growing.replaced.terms.wallet_id)
    (epochs._path(growing.successor.hash) / "done").unlink()
    assert rule_of(lambda: growing.confirm(3)) == "other-epoch"


def test_no_promise_and_no_vote_of_an_old_holder_goes_down(world: World, growing: Sharing) -> None:
    """Also if its disk has lost the record by which it knows that it is one."""
    growing.made()
    refreshing = growing.refresh()
    refreshing.made()
    refreshing.adopt(1)
    acting = world.parties[2].acting
    wallet_id = growing.replaced.terms.wallet_id
    register = acting.registers.read(wallet_id)
    (acting.epochs(wallet_id)._path(growing.replaced.hash) / "record").unlink()
    growing.confirm(1)
    assert acting.registers.read(wallet_id) == register


def test_a_confirmation_of_another_attempt_takes_no_promise_back(
    world: World, growing: Sharing
) -> None:
    """Who comes may confirm several; its HSM remembers the newest."""
    growing.made()
    later = growing.again()
    later.made()
    assert growing.successor != later.successor
    growing.confirm(3)
    registers, wallet_id = world.parties[4].acting.registers, growing.replaced.terms.wallet_id
    voted = []
    for sharing in (later, growing):
        sharing.confirm(3)
        register = registers.read(wallet_id)
        assert register is not None
        assert register.adopted is not None
        voted.append(register.adopted.epoch_hash)
    assert voted == [later.successor.hash] * 2


def test_who_comes_goes_into_no_attempt_before_it_is_decided(
    world: World, growing: Sharing
) -> None:
    """Its HSM has voted for the new epoch, in which it signs once that lives, and not before."""
    growing.made()
    for k in growing.new.parties:
        growing.confirm(k)
    party, wallet_id = world.parties[4], growing.replaced.terms.wallet_id
    register = party.acting.registers.read(wallet_id)
    assert register is not None
    assert (register.epoch_hash, register.acked) == (growing.replaced.hash, None)
    assert register.adopted is not None
    assert register.adopted.epoch_hash == growing.successor.hash
    refresh = growing.refresh()
    refresh.begin()
    asked = refresh.said(ASK, refresh.ask().to_bytes())
    with pytest.raises(NotReady, match="not decided yet"):
        party.successions.join(asked)
    assert growing.certificate is not None
    for _ in range(2):
        with pytest.raises(NotReady, match="not active"):
            Round(growing.new, growing.certificate).commit(3)
        world.restarted(4)
        with pytest.raises(NotReady, match="not decided yet"):
            world.parties[4].successions.join(asked)
    growing.drive()
    every_quorum_signs(growing)


@pytest.mark.parametrize("confirmed", [False, True], ids=["acknowledged", "confirmed"])
def test_an_operator_discards_what_never_came_to_be(
    world: World, growing: Sharing, confirmed: bool
) -> None:
    growing.made()
    if confirmed:
        growing.confirm(3)
    party, wallet_id = world.parties[4], growing.replaced.terms.wallet_id
    later = growing.again()
    later.joined()  # v' waits
    free = world.free_bytes()
    assert len(keks(party)) == 2
    shares.discarded(cast(OpenHolder, party.acting), cast(Desks, party), "treasury")
    assert (keks(party), party.wallets.all()) == ([], ())
    assert world.free_bytes() > free
    assert party.acting.registers.read(wallet_id) is None
    assert "reshare-discarded" in events(party)
    later.again().drive()
    assert len(keks(world.parties[4])) == 1


@pytest.mark.parametrize("arrived", [False, True], ids=["who stays", "who came"])
def test_no_share_of_a_wallet_that_lives_is_discarded(
    world: World, growing: Sharing, arrived: bool
) -> None:
    growing.drive() if arrived else growing.made()
    party = world.parties[4 if arrived else 2]
    for discards in (party.arrivals.discard, party.ceremonies.discard):
        assert rule_of(partial(discards, growing.replaced.terms.wallet_id)) == "not-prepared"


def test_no_share_of_an_old_holder_is_discarded(world: World, growing: Sharing) -> None:
    """Also if its disk has lost the record by which it knows that it is one."""
    growing.made()
    party, wallet_id = world.parties[2], growing.replaced.terms.wallet_id
    (party.acting.epochs(wallet_id)._path(growing.replaced.hash) / "record").unlink()
    assert rule_of(lambda: party.arrivals.discard(wallet_id)) == "not-prepared"


def test_so_many_shares_that_never_came_to_be_are_kept_and_no_more(
    world: World, growing: Sharing
) -> None:
    for _ in range(MOST_STAGED):
        growing = growing.again()
        growing.joined()
        growing.dealt()
        growing.receive(3)
    assert len(keks(world.parties[4])) == MOST_STAGED
    growing = growing.again()
    growing.begin()
    assert rule_of(lambda: growing.greet(3)) == "staged-full"
    assert len(keks(world.parties[4])) == MOST_STAGED
    world.parties[4].arrivals.discard(growing.replaced.terms.wallet_id)
    growing.greet(3)
    assert len(keks(world.parties[4])) == 1


# RETIRE


def test_too_few_votes_or_arrivals_end_nothing(world: World, growing: Sharing) -> None:
    growing.made()
    growing.retired_by((1, 2, 3))
    whole = Retirement.from_bytes(growing.retirement)
    for wrong in (
        Retirement(whole.dones[:2], whole.arrivals),
        Retirement(whole.dones, whole.arrivals[:3]),
        Retirement(whole.dones, (*whole.arrivals[:3], whole.arrivals[2])),
        Retirement(whole.dones),
    ):
        growing.retirement = wrong.to_bytes()
        for action in (partial(growing.retire, 1), partial(growing.arrive, 3)):
            with pytest.raises(ProtocolAbort) as abort:
                action()
            assert abort.value.culprits == ()
    assert states(world.parties[2])[0] is EpochState.ACTIVE
    assert states(world.parties[4]) == {1: EpochState.ACKED}
    growing.retirement = whole.to_bytes()
    growing.drive()
    every_quorum_signs(growing)


def test_a_retirement_that_does_not_parse_names_nobody_who_has_not_signed_it(
    growing: Sharing,
) -> None:
    growing.made()
    growing.retired_by((1, 2, 3))
    garbage = parse_envelope(growing.said(RETIRE, b"garbage"))
    address = replace(garbage.address, sender=2)
    forged = seal_envelope(RETIRE, address, garbage.payload, Key.CHANNEL, lambda *_: bytes(64))
    arrivals = growing.new.parties[3].arrivals
    with pytest.raises(ProtocolAbort, match="a retirement that is none") as abort:
        arrivals.arrive(forged.to_bytes(), growing.certified_message())
    assert abort.value.culprits == ()


def test_arriving_is_for_those_who_had_no_share(growing: Sharing) -> None:
    growing.made()
    growing.retired_by((1, 2, 3))
    assert rule_of(lambda: growing.arrive(1)) == "other-epoch"


def test_a_retirement_is_said_in_its_attempt_by_somebody_known(growing: Sharing) -> None:
    growing.made()
    growing.retired_by((1, 2, 3))
    arrivals, certified = growing.new.parties[3].arrivals, growing.certified_message()
    message = growing.said(RETIRE, growing.retirement)
    address = parse_envelope(message).address
    stray = growing.world.said(
        RETIRE, address.wallet_id, bytes(32), address.epoch_hash, growing.retirement
    )
    for wrong in (stray, message[:-1] + bytes([message[-1] ^ 1])):
        with pytest.raises((BadEncoding, InvalidSignature)):
            arrivals.arrive(wrong, certified)


@pytest.mark.parametrize("index", [2, 4], ids=["who stays", "who comes"])
def test_no_old_key_goes_before_the_new_share_opens(
    world: World, growing: Sharing, index: int
) -> None:
    """Step 6.5.7."""
    growing.made()
    growing.retired_by((1, 2, 3))
    party = world.parties[index]
    new = next(each for each in party.wallets.all() if each.body.epoch == 1)
    destroy_keys(party.acting, new.wallet_id, new.record)
    with pytest.raises(Tampered):
        growing.retire(1) if index == 2 else growing.arrive(3)
    if index == 2:
        assert states(party)[0] is EpochState.ACTIVE
    register = party.acting.registers.read(new.wallet_id)
    assert register is not None
    assert register.epoch_hash == growing.replaced.hash


def test_a_share_that_was_acknowledged_and_is_gone_is_missed(
    world: World, growing: Sharing
) -> None:
    """No transcript makes it again: v' is sealed beside it, and nowhere else."""
    growing.made()
    party = world.parties[2]
    new = next(each for each in party.wallets.all() if each.body.epoch == 1)
    destroy_keys(party.acting, new.wallet_id, new.record)
    party.acting.epochs(new.wallet_id).drop(new.body.hash)
    world.restarted(2)
    for transcript in (b"", growing.transcript):
        with pytest.raises(Tampered, match="is missing"):
            growing.adopt(1, transcript)
    assert states(world.parties[2]) == {0: EpochState.ACTIVE}


def test_of_a_wallet_that_was_destroyed_here_nothing_comes_back(
    world: World, growing: Sharing
) -> None:
    order = destroy_of(growing.world, growing.replaced)
    world.parties[5].destructions.destroy(said(growing.world, order))
    growing.begin()
    asked = growing.said(ASK, growing.ask().to_bytes())
    arrivals = world.parties[5].arrivals
    assert rule_of(partial(arrivals.hello, asked, growing.told)) == "wallet-destroyed"


def replaced_at(growing: Sharing, index: int) -> None:
    """An old holder hears that the last of them has another key by now."""
    lost = growing.world.parties[len(growing.world.parties)]
    rotated_at(growing.world.parties[index], growing.replaced, lost)


def rotated_at(party: Party, body: EpochBody, lost: Party) -> None:
    """This one hears that another one has another key by now, of a wallet of both."""
    terms, known, new = body.terms, lost.acting.identity, ed25519_key(b"n" * 32)
    place = lost.acting.at(body).me
    rotate = Rotate(terms.wallet_id, body.hash, place, known.key, new.public, party.acting.clock())
    signed = replace(
        rotate,
        old_signature=known.sign(Tag.ROTATE, rotate.terms),
        new_signature=new.sign(Tag.ROTATE, rotate.terms),
    )
    lineage = party.acting.lineage(terms).with_pending(Rotated(signed).to_bytes())
    party.acting.keep_lineage(terms.wallet_id, lineage)


def test_nobody_acknowledges_a_share_of_a_key_that_was_replaced_meanwhile(growing: Sharing) -> None:
    growing.begin()
    growing.joined()
    growing.dealt()
    growing.new_acks = [growing.receive(k) for k in growing.new.parties]
    replaced_at(growing, 1)
    assert rule_of(lambda: growing.stage(1)) == "other-roster"
    assert growing.stage(2)


def test_nobody_adopts_one_and_what_others_adopted_is_carried_on(growing: Sharing) -> None:
    growing.made()
    replaced_at(growing, 1)
    assert rule_of(lambda: growing.adopt(1)) == "other-roster"
    growing.adopt(2)
    carrying = growing.refresh()
    carrying.joined()
    carrying.certificate, carrying.history = growing.certificate, b""
    carrying.arrivals = growing.arrivals
    assert carrying.adopt(1)


def test_who_leaves_signs_and_opens_nothing_more(world: World) -> None:
    """Until it retires it signs in the old epoch; then nothing is left but public documents."""
    sharing = shared(world, *SHRINKING)
    leaving = sharing.world.parties[2]
    certificate = made_before(sharing).certificate()
    sharing.made()
    sharing.retired_by(sharing.members)
    Round(sharing.world, certificate).commit(1, 2, 3).sign(2)
    round_ = Round(sharing.world, certificate, b"in the last moment").commit(1, 2, 3)
    for index in sharing.members:
        sharing.retire(index)
    wallet_id = sharing.replaced.terms.wallet_id
    with pytest.raises(Refused):
        round_.sign(2)
    for _ in range(2):
        leaving = sharing.world.parties[2]
        assert keks(leaving) == []
        assert leaving.wallets.all() == ()
        assert leaving.acting.registers.read(wallet_id) is None
        assert leaving.acting.attempts(wallet_id).all() == ()
        with pytest.raises((Refused, NotReady)):
            Round(sharing.world, certificate).commit(2)
        assert sharing.certificate is not None
        with pytest.raises((Refused, NotReady)):
            leaving.desk.request(sharing.new.requested(sharing.certificate, b"pay")[1])
        with pytest.raises(Refused):
            sharing.join(2)
        assert sharing.retire(2) == sharing.destroyed.setdefault(2, sharing.retire(2))
        world.restarted(2)
    assert leaving.acting.store.wallet_ids() == (wallet_id,)
    assert "epoch-destroyed" in events(leaving)


def test_who_leaves_and_failed_over_it_says_at_the_next_call_that_it_has_destroyed(
    worlds: Worlds,
) -> None:
    world = worlds(4)
    making = making_among(world, ("h1", "h2", "h3"), 2)
    making.active()
    sharing = Sharing.of(world, making, ("h1", "h2", "h4"), 2)
    sharing.made()
    sharing.retired_by((1, 2, 3))
    with failing_from("key.destroy"), pytest.raises(BackendError):
        sharing.retire(3)
    assert sharing.retire(3)


@pytest.mark.parametrize(
    ("failing", "forgotten"),
    [("record.write", False), ("record.write", True), ("register.create", False)],
)
def test_what_is_about_to_arrive_is_not_discarded(
    worlds: Worlds, failing: str, *, forgotten: bool
) -> None:
    """The end of the epoch before is proven on this disk, or the HSM alone remembers it: the share
    is one of the live epoch.
    """
    world = worlds(3)
    making = making_among(world, ("h1", "h2"), 2)
    making.active()
    sharing = Sharing.of(world, making, ("h1", "h2", "h3"), 2)
    sharing.made()
    sharing.retired_by(tuple(sharing.world.parties))
    for index in sharing.world.parties:
        sharing.retire(index)
    (coming,) = sharing.coming
    with failing_from(failing), pytest.raises(BackendError):
        sharing.arrive(coming)
    new = sharing.new.parties[coming]
    if forgotten:
        before = new.acting.epochs(making.wallet_id)._path(sharing.replaced.hash)
        (before / EpochDocument.RETIREMENT.value).unlink()
    for discard in (new.arrivals.discard, new.ceremonies.discard):
        assert rule_of(partial(discard, making.wallet_id)) == "not-prepared"
    sharing.arrive(coming)
    assert sharing.certificate is not None
    Round(sharing.new, sharing.certificate, b"pay").commit(1, coming).sign(coming)


def test_a_holder_that_was_away_adopts_and_retires_afterwards(world: World) -> None:
    """2-of-4: J = W = 3. One that stays was not away in its new part."""
    sharing = shared(world, ("h1", "h2", "h3", "h4"), 2, ("h1", "h2", "h3"), 2, members=(1, 2, 3))
    sharing.made()
    sharing.retired_by((1, 2, 3))
    for index in sharing.members:
        sharing.retire(index)
    every_quorum_signs(sharing)
    absent = sharing.world.parties[4]
    with pytest.raises(NotReady, match="does not know the successor"):
        absent.successions.retire(sharing.said(RETIRE, sharing.retirement), b"", b"")
    sharing.adopt(4)
    copy = opener(absent, sharing.replaced)
    sharing.retire(4)
    require_closed(absent, copy)
    assert absent.acting.registers.wallet_ids() == ()


def test_who_was_away_retires_without_having_adopted(world: World) -> None:
    sharing = shared(world, ("h1", "h2", "h3", "h4"), 2, ("h1", "h2", "h5"), 2, members=(1, 2, 3))
    sharing.made()
    sharing.retired_by((1, 2, 3))
    for index in (1, 2, 3, 4):
        sharing.retire(index)
    assert keks(world.parties[4]) == []
    for k in sharing.coming:
        sharing.arrive(k)
    every_quorum_signs(sharing)


def test_copies_of_everything_on_disk_are_noise_after_it(world: World, growing: Sharing) -> None:
    """Of the old epoch, and of what was staged in an attempt that came to nothing."""
    growing.made()
    staged = growing.successor
    copies = [
        (party, opener(party, body))
        for party in (world.parties[2], world.parties[3])
        for body in (growing.replaced, staged)
    ]
    copies.append((world.parties[4], opener(world.parties[4], staged)))
    later = growing.again()
    later.drive()
    assert later.successor != staged
    for party, copy in copies:
        require_closed(party, copy)
    for index in (2, 3, 4, 5):
        assert len(keks(world.parties[index])) == 1


# What an attempt carries on


@pytest.mark.parametrize("confirmed", [False, True], ids=["acknowledged", "confirmed"])
def test_no_room_is_made_by_a_share_that_others_count_on(
    world: World, growing: Sharing, confirmed: bool
) -> None:
    """Step 6.5.10: the transcript does not make it again, as it would that of a refresh."""
    growing.made()
    if confirmed:
        growing.confirm(1)
    refreshing = growing.refresh((1, 2))
    for _ in range(MOST_STAGED):
        refreshing.made()
    successors = {each.body.hash for each in world.parties[2].wallets.all() if each.body.epoch}
    assert (growing.successor.hash in successors) == confirmed


def test_a_refresh_carries_on_a_resharing_that_was_adopted(world: World, growing: Sharing) -> None:
    """Step 6.5.2: nothing new is made, and no new holder is greeted."""
    growing.made()
    growing.adopt(1)
    carrying = growing.refresh()
    carrying.joined()
    assert carrying.proposal().successor == growing.successor.hash
    assert rule_of(lambda: carrying.deal(1)) == "carried-on"
    carrying.certificate, carrying.history = growing.certificate, b""
    carrying.arrivals = growing.arrivals
    dones = [carrying.adopt(index) for index in (1, 2, 3)]
    carrying.retirement = Retirement(tuple(dones), tuple(growing.arrivals)).to_bytes()
    for index in (1, 2, 3):
        carrying.retire(index)
    certified = growing.certified_message()
    arrivals = growing.new.parties[3].arrivals
    assert arrivals.arrive(carrying.said(RETIRE, carrying.retirement), certified)
    every_quorum_signs(growing)
    growing.retirement = carrying.retirement
    growing.next().drive()


def test_a_resharing_carries_on_a_refresh_that_was_adopted(world: World, growing: Sharing) -> None:
    refreshing = growing.refresh()
    refreshing.made()
    refreshing.adopt(1)
    carrying = replace(growing, attempts=refreshing.attempts)
    carrying.joined()
    content = carrying.proposal()
    assert (content.successor, content.hellos) == (refreshing.successor.hash, ())
    assert rule_of(lambda: carrying.deal(1)) == "carried-on"
    carrying.certificate = refreshing.certificate
    dones = [carrying.adopt(index, refreshing.transcript) for index in (1, 2, 3)]
    carrying.retirement = Retirement(tuple(dones)).to_bytes()
    for index in (1, 2, 3):
        carrying.retire(index, refreshing.transcript)
    assert keks(world.parties[4]) == []
    assert [states(world.parties[index]) for index in (2, 3, 5)] == [{1: EpochState.ACTIVE}] * 3


@pytest.mark.parametrize("confirmed", [False, True], ids=["acknowledged", "confirmed"])
def test_a_refresh_takes_the_place_of_a_resharing_that_nobody_has_adopted(
    world: World, growing: Sharing, confirmed: bool
) -> None:
    growing.made()
    growing.arrivals = growing.new_acks  # nobody looks at them
    if confirmed:
        growing.confirm(3)
    refreshing = growing.refresh()
    refreshing.drive()
    for index in (2, 3, 5):
        assert states(world.parties[index]) == {1: EpochState.ACTIVE}
        assert len(keks(world.parties[index])) == 1
    assert rule_of(lambda: growing.adopt(1)) == "other-epoch"
    assert len(keks(world.parties[4])) == 1  # it hears of nothing until it is asked again
    later = after_refresh(growing, refreshing, refreshing.retirement)
    later.drive()
    every_quorum_signs(later)
    assert len(keks(world.parties[4])) == 1


def after_refresh(growing: Sharing, refreshing: Refreshing, retirement: bytes) -> Sharing:
    """The same holders as new ones of the epoch that a refresh has made."""
    assert refreshing.certificate is not None
    later = Sharing(
        growing.world,
        refreshing.successor,
        growing.members,
        [refreshing.last_dones.get(index, b"") for index in growing.members],
        retirement,
        refreshing.attempts,
        all_holders=growing.all_holders,
        new=growing.new,
        threshold=3,
        told=growing.told,
    )
    dones = tuple(refreshing.last_dones.values())
    shown = ShownSuccession(refreshing.certificate.to_bytes(), dones, retirement, ())
    later.told = told_after(later, [shown], later.replaced)
    return later


@pytest.mark.parametrize("confirmed", [False, True], ids=["acknowledged", "confirmed"])
@pytest.mark.parametrize("told", ["earlier", "rival"])
def test_a_share_stays_until_the_end_of_its_attempt_is_proven(
    world: World, growing: Sharing, told: str, confirmed: bool
) -> None:
    """Neither by a chain that ends before, nor by one with a rival that nobody has adopted."""
    refreshing = growing.refresh()
    if told == "earlier":
        refreshing.drive()
        sharing = after_refresh(growing, refreshing, refreshing.retirement)
        other = growing.again()
    else:
        refreshing.made()
        sharing = replace(growing, attempts=refreshing.attempts)
        other = after_refresh(growing, refreshing, b"")
    sharing.made()
    if confirmed:
        sharing.retired_by(sharing.members)
        for index in sharing.members:
            sharing.retire(index)
    other.attempts = sharing.attempts
    other.begin()
    message = other.said(ASK, other.ask().to_bytes())
    arrivals, key = world.parties[4].arrivals, keks(world.parties[4])
    for asks in (arrivals.consider, arrivals.hello):
        assert rule_of(partial(asks, message, other.told)) == "other-epoch"
    assert keks(world.parties[4]) == key
    assert len(key) == 1
    if confirmed:
        for k in sharing.coming:
            sharing.arrive(k)
        every_quorum_signs(sharing)


def test_who_has_left_comes_back(world: World) -> None:
    """By another resharing, with the key that it has."""
    sharing = shared(world, *SHRINKING)
    sharing.drive()
    back = Sharing(
        sharing.new,
        sharing.successor,
        (1, 2, 3),
        sharing.arrivals,
        sharing.retirement,
        sharing.attempts,
        all_holders=world,
        new=seated(world, sharing.new.roster.followed_by(world.roster.members[:4])),
        threshold=2,
        told=sharing.told,
    )
    back.told = told_after(sharing, [sharing.shown()], sharing.successor)
    back.drive()
    every_quorum_signs(back)
    assert [len(keks(world.parties[index])) for index in world.parties] == [1, 1, 1, 1, 0]


def test_a_live_wallet_is_not_told_away(world: World, growing: Sharing) -> None:
    """Whatever else is told of it: what this holder's HSM says is its epoch stays that."""
    growing.drive()
    stale = growing.again()
    stale.begin()
    asked = stale.said(ASK, stale.ask().to_bytes())
    arrivals = world.parties[4].arrivals
    with pytest.raises(Refused) as refusal:
        arrivals.hello(asked, growing.told)
    assert refusal.value.rule == "other-epoch"
    every_quorum_signs(growing)


def test_a_coordinator_alone_obtains_nothing(world: World, growing: Sharing) -> None:
    """It has all public documents, and holders of its own; no operator has pinned them."""
    own = [ed25519_key(bytes([9, k]) * 16).public for k in range(3)]
    rogue = [Member(f"r{k}", key) for k, key in enumerate(own)]
    growing.new = replace(growing.new, roster=growing.world.roster.followed_by(rogue))
    growing.begin()
    for index in growing.members:
        assert rule_of(partial(growing.join, index)) == "roster-not-pinned"
        party = growing.world.parties[index]
        register = party.acting.registers.read(growing.replaced.terms.wallet_id)
        assert register is not None
        assert register.promised == bytes(10)
        assert len(keks(party)) == 1
