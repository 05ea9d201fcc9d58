"""That a dealer knows e and v of its E and V, in a refresh and in a resharing (step 6.4.2).

A complaint about it reveals multiples of both, which its dealer then could have computed itself.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.sharing import MAX_HOLDERS
from hsm_mpc.protocols import dealing_checks, refresh, refresh_complaint
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.dealing import AnyDealing, Session, keys_message, possession_message
from hsm_mpc.protocols.pads import Route, session_pads
from hsm_mpc.protocols.refresh_messages import RefreshSetup, ZeroDealing
from hsm_mpc.protocols.reshare_messages import ShareDealing
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, Take
from hsm_mpc.wire.rounds import DEAL, RESHARE_DEAL
from tests.protocols.forgery import proving_keys, times_base
from tests.protocols.keygen import decoded, random_draws
from tests.protocols.refreshing import Epoch, Refreshing, epoch_of, random_epoch, refreshing
from tests.protocols.resharing import Resharing, resharing
from tests.secure.bytes_of import at

LIAR = 2
LATER = b"a later attempt of the tests".ljust(32, b".")
UNPROVEN = f"holder {LIAR}: the proof of possession does not verify"


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Refreshing:
    """3-of-4, refreshed by holders 1 to 3; all honest."""
    return refreshing(random_epoch(any_suite, 3, 4), take, (1, 2, 3))


@pytest.fixture
def anew(any_suite: Suite, take: Take) -> Resharing:
    """3-of-4, reshared by holders 1, 2 and 4 to 3-of-5; all honest."""
    return resharing(random_epoch(any_suite, 3, 4), take, (1, 2, 4), 3, 5)


def said_of(at_work: Refreshing, cheat: ZeroDealing) -> set[str]:
    """What a dealer and a holder that catches up say of this dealing of `LIAR`."""
    messages = {**at_work.messages, LIAR: cheat.to_bytes()}
    said = set()
    catch_up = partial(refresh.catch_up, at_work.setup)
    for me, round_ in ((1, partial(refresh.combine, at_work.keeps[1])), (4, partial(catch_up, 4))):
        with pytest.raises(ProtocolAbort) as caught:
            round_(at_work.delivery(me), at_work.share(me), messages)
        assert caught.value.culprits == (LIAR,)
        said.add(str(caught.value))
    return said


def said_of_share(anew: Resharing, lie: bytes) -> set[str]:
    """What an old holder and a new one say of this dealing of `LIAR`."""
    messages = {**anew.messages, LIAR: lie}
    said = set()
    for round_ in (anew.check, partial(anew.receive, 1)):
        with pytest.raises(ProtocolAbort) as caught:
            round_(messages)
        assert caught.value.culprits == (LIAR,)
        said.add(str(caught.value))
    return said


def made_of(suite: Suite, key: bytes) -> bytes:
    """`key` + B, of a logarithm that only one knows who knows that of `key`."""
    return suite.group.combine([key, times_base(suite, 1)]) or b""


def copied_by(
    setup: Session, copier: int, honest: AnyDealing, noise: tuple[bytes, ...], delivery: Secret
) -> AnyDealing:
    """All that another one signed but `noise`; of its own only the proof of its delivery key."""
    own = proving_keys(setup, copier, honest, delivery, 1)
    return replace(own, ephemeral_possession=honest.ephemeral_possession, sealed=noise)


# --- who is named ---------------------------------------------------------------------------------


def test_a_dealer_that_proves_no_ephemeral_key_is_named(at_work: Refreshing) -> None:
    """Step 6.4.3: of a dealing that is sound otherwise; and of E_2 = E_1 + B."""
    honest = at_work.forged(LIAR, (600, 3), 71)
    other = at_work.forged(LIAR, (600, 3), 72).ephemeral_possession
    for proof in (other, honest.static_possession, bytes(len(other))):
        assert said_of(at_work, replace(honest, ephemeral_possession=proof)) == {UNPROVEN}
    made = made_of(at_work.suite, at_work.dealing(1).ephemeral)
    assert said_of(at_work, at_work.forged(LIAR, (600, 3), 71, shown=made)) == {UNPROVEN}


def test_a_dealer_that_proves_no_delivery_key_is_named(
    at_work: Refreshing, anew: Resharing
) -> None:
    """Steps 6.4.3 and 6.8.3: of a dealing that is sound otherwise; the proof of e in its place."""
    honest = at_work.forged(LIAR, (600, 3), 71)
    of_share = anew.dealing(LIAR)
    for proof in (honest.ephemeral_possession, bytes(len(honest.ephemeral_possession))):
        assert said_of(at_work, replace(honest, static_possession=proof)) == {UNPROVEN}
        lie = replace(of_share, static_possession=proof)
        assert said_of_share(anew, lie.to_bytes()) == {UNPROVEN}


def test_a_dealer_that_proves_no_ephemeral_key_in_a_resharing_is_named(anew: Resharing) -> None:
    """Step 6.8.3: by old holders, too, of a dealing that is sound otherwise; of E_2 = E_1 + B."""
    honest, other = (
        ShareDealing.from_bytes(anew.forged(LIAR, (5, 6), e), anew.setup) for e in (71, 72)
    )
    lie = replace(honest, ephemeral_possession=other.ephemeral_possession)
    assert said_of_share(anew, lie.to_bytes()) == {UNPROVEN}
    made = made_of(anew.suite, anew.dealing(1).ephemeral)
    assert said_of_share(anew, anew.forged(LIAR, (5, 6), 71, shown=made)) == {UNPROVEN}


def test_a_copied_ephemeral_key_with_its_proofs_names_only_its_copier(at_work: Refreshing) -> None:
    """Step 6.4.3: commitments, PoP and PoP^E of holder 1, who has another index."""
    noise, delivery = at_work.dealing(LIAR).sealed, at_work.delivery(LIAR)
    copied = copied_by(at_work.setup, LIAR, at_work.dealing(1), noise, delivery)
    assert said_of(at_work, copied) == {UNPROVEN}


def test_equal_parts_of_the_key_allow_no_copy(any_suite: Suite, take: Take) -> None:
    """Step 6.8.3: w_3 = w_6 over {1, 3, 6}, so that all of dealing 3 could be one of holder 6.

    Old holders see no pad. They name who has copied, and only that one.
    """
    epoch = epoch_of(any_suite, (12000, 81 - 15000, 3000 - 21), range(11, 17))
    anew = resharing(epoch, take, (1, 3, 6), 2, 3)
    assert anew.part(3) == anew.part(6)
    third = anew.dealing(3)
    copied = copied_by(anew.setup, 6, third, third.sealed, anew.delivery(6))
    for message in (anew.messages[3], copied.to_bytes()):
        with pytest.raises(ProtocolAbort, match="holder 6: the proof") as caught:
            anew.check({**anew.messages, 6: message})
        assert caught.value.culprits == (6,)


def test_the_one_proof_is_not_the_other(at_work: Refreshing) -> None:
    """Step 6.4.2: b_{2,1} = e_2, so that PoP and PoP^E are under one key."""
    honest = at_work.forged(LIAR, (71, 3), 71)
    assert honest.commitments[0] == honest.ephemeral
    for lie in (
        replace(honest, ephemeral_possession=honest.possession),
        replace(honest, possession=honest.ephemeral_possession),
    ):
        assert said_of(at_work, lie) == {UNPROVEN}


def test_what_one_proof_signs_is_never_what_another_one_signs(at_work: Refreshing) -> None:
    """Step 6.4.2: of whichever number of commitments; a length decides it."""
    setup, width = at_work.setup, at_work.suite.group.point_length
    point = times_base(at_work.suite, 5)
    lengths: dict[bool, set[int]] = {True: set(), False: set()}
    for count in range(1, MAX_HOLDERS + 1):
        points = [point] * count
        signed = keys_message(setup, LIAR, points, point)
        lengths[True].add(len(signed) % width)
        lengths[False].add(len(possession_message(setup, points, point)) % width)
        assert signed == setup.context + point * (count + 1) + b"\0\2"
    assert len(lengths[True]) == len(lengths[False]) == 1
    assert not lengths[True] & lengths[False]


@settings(max_examples=12, deadline=None)
@given(chosen=st.data(), seed=st.integers(0, 2**32))
def test_every_changed_byte_before_the_frames_names_its_dealer(
    protocol_arena: Arena, any_suite: Suite, chosen: st.DataObject, seed: int
) -> None:
    """Step 6.4.3: whatever the sizes, also of any proof."""
    n = chosen.draw(st.integers(2, 6), "n")
    t = chosen.draw(st.integers(2, n), "t")
    with protocol_arena.scope() as take:
        at_work = refreshing(random_epoch(any_suite, t, n, seed), take, range(1, n + 1), seed)
        head = len(at_work.messages[LIAR]) - n * (8 + 48)
        changed = bytearray(at_work.messages[LIAR])
        changed[chosen.draw(st.integers(0, head - 1), "place")] ^= chosen.draw(st.integers(1, 255))
        with pytest.raises(ProtocolAbort) as caught:
            at_work.combine(1, {**at_work.messages, LIAR: bytes(changed)})
        assert caught.value.culprits == (LIAR,)


@pytest.mark.parametrize("part", ["possession", "ephemeral_possession", "static_possession"])
def test_a_proof_of_another_attempt_names_its_dealer(at_work: Refreshing, part: str) -> None:
    """Steps 6.4.1 and 6.4.2: the context has the sid."""
    earlier = at_work.forged(LIAR, (600, 3), 71, session=LATER)
    honest = at_work.forged(LIAR, (600, 3), 71)
    replayed = replace(honest, **{part: getattr(earlier, part)})
    assert said_of(at_work, replayed) == {UNPROVEN}


# --- what a complaint would open ------------------------------------------------------------------


def complained(at_work: Refreshing, cheat: ZeroDealing, accuser: int) -> Complaint:
    delivery, draws = at_work.delivery(accuser), random_draws(at_work.suite, 7)
    setup = at_work.setup
    return refresh_complaint.accuse(setup, accuser, delivery, LIAR, cheat, draws)


def test_nothing_is_revealed_under_an_ephemeral_key_that_its_dealer_has_not_proven(
    at_work: Refreshing,
) -> None:
    """Step 6.4.8: of another dealer of this attempt, with its proofs, or made of it."""
    honest = at_work.dealing(1)
    made = made_of(at_work.suite, honest.ephemeral)
    noise = at_work.forged(LIAR, (600, 3), 71, raw_shares={3: bytes(32)}, shown=made)
    own = at_work.delivery(LIAR)
    copied = copied_by(at_work.setup, LIAR, honest, noise.sealed, own)
    for cheat in (noise, copied):
        with pytest.raises(BadInput, match="proof enough"):
            complained(at_work, cheat, 3)


def opened_by(
    setup: RefreshSetup, revealed: Complaint, honest: ZeroDealing, accuser: int, arena: Arena
) -> int | None:
    """What anybody reads of dealer 1's `honest` dealing, if V_2 = V_1 + B and E_2 = E_1 + B."""
    group = setup.suite.group
    minus = group.negate_point(setup.key_of(accuser))
    halves = tuple(
        group.combine([half, minus]) or b""
        for half in (revealed.halves.first, revealed.halves.second)
    )
    route = Route(honest.ephemeral, setup.key_of(1), setup.key_of(accuser))
    sealed = honest.sealed[accuser - 1]
    with session_pads(setup.suite, setup.context, arena) as pads, arena.room(32) as delta:
        if not pads.open_revealed((halves[0], halves[1]), route, sealed, delta):
            return None
        return decoded(setup.suite, at(delta, 32))


def test_what_a_complaint_of_a_refresh_would_open_if_that_were_not_proven(
    any_suite: Suite, take: Take, protocol_arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 6.4.3 and 6.4.8: V_2 = V_1 + B, and E_2 = E_1 + B, of an earlier attempt.

    Holder 2 knows neither logarithm, and seals noise for holder 3. What holder 3 would reveal opens
    what honest holder 1 dealt to it in that attempt, which may be the one that is adopted.
    """
    lone = random_epoch(any_suite, 2, 3)
    rogue = {**lone.deliveries, LIAR: lone.deliveries[1] + 1}
    epoch = Epoch(any_suite, lone.commitments, lone.shares, rogue)
    earlier = refreshing(epoch, take, (1, 2, 3))
    later = Refreshing(epoch, epoch.setup((1, 2, 3), LATER), take)
    honest = earlier.dealing(1)
    cheat = later.forged(
        LIAR,
        (600,),
        71,
        raw_shares={3: bytes(32)},
        shown=made_of(any_suite, honest.ephemeral),
        session=LATER,
    )
    with pytest.raises(BadInput, match="proof enough"):
        complained(later, cheat, 3)

    def skipped(*_: Any) -> None:
        """A receiver that looks at neither proof."""

    monkeypatch.setattr(dealing_checks, "_verify_keys", skipped)
    revealed = complained(later, cheat, 3)
    delta = opened_by(earlier.setup, revealed, honest, 3, protocol_arena)
    assert delta is not None
    (commitment,) = honest.commitments
    assert times_base(any_suite, delta) == any_suite.group.multiply(commitment, 3)


def test_what_two_complaints_would_open_if_v_were_not_proven(
    any_suite: Suite, take: Take, protocol_arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 6.4.3 and 6.4.8: each holder says DONE again, with V_2 = E_1 + B of an earlier attempt
    or of a repair, and V_3 = V_1 + B. Both show an E that they know.

    Holder 4 would reveal v_4·V_2 and v_4·V_3, hence v_4·E_1 and v_4·V_1: the pad of what holder 1
    sealed for it.
    """
    group, base = any_suite.group, times_base(any_suite, 1)
    epoch = random_epoch(any_suite, 3, 4)
    earlier = refreshing(epoch, take, (1, 2, 4))
    honest = earlier.forged(1, (9, 4), 80)
    told_again = {**epoch.deliveries, 2: 80 + 1, 3: epoch.deliveries[1] + 1}
    rogue = Epoch(any_suite, epoch.commitments, epoch.shares, told_again)
    later = Refreshing(rogue, rogue.setup((1, 2, 3, 4), LATER), take)
    cheats = {}
    for dealer in (2, 3):
        noise = later.forged(dealer, (600, 3), 71, raw_shares={4: bytes(32)}, session=LATER)
        cheats[dealer] = replace(noise, static_possession=noise.ephemeral_possession)
    setup, delivery, draws = later.setup, later.delivery(4), random_draws(any_suite, 7)
    for dealer, cheat in cheats.items():
        with pytest.raises(BadInput, match="proof enough"):
            refresh_complaint.accuse(setup, 4, delivery, dealer, cheat, draws)

    def skipped(*_: Any) -> None:
        """A receiver that looks at neither proof."""

    monkeypatch.setattr(dealing_checks, "_verify_keys", skipped)
    minus, halves = group.negate_point(setup.key_of(4)), []
    for dealer, cheat in cheats.items():
        shown = refresh_complaint.accuse(setup, 4, delivery, dealer, cheat, draws).halves
        halves.append(group.combine([shown.second, minus]) or b"")
    assert setup.key_of(2) == group.combine([honest.ephemeral, base])
    route = Route(honest.ephemeral, setup.key_of(1), setup.key_of(4))
    with (
        session_pads(any_suite, earlier.setup.context, protocol_arena) as pads,
        protocol_arena.room(32) as delta,
    ):
        assert pads.open_revealed((halves[0], halves[1]), route, honest.sealed[3], delta)
        assert decoded(any_suite, at(delta, 32)) == 9 * 4 + 4 * 4**2


def test_what_a_complaint_opens_of_nobody_else(
    any_suite: Suite, take: Take, protocol_arena: Arena
) -> None:
    """Step 6.4.8: the same cheat, with an E_2 that it has proven."""
    lone = random_epoch(any_suite, 2, 3)
    rogue = {**lone.deliveries, LIAR: lone.deliveries[1] + 1}
    epoch = Epoch(any_suite, lone.commitments, lone.shares, rogue)
    at_work = refreshing(epoch, take, (1, 2, 3))
    cheat = at_work.forged(LIAR, (600,), 71, raw_shares={3: bytes(32)})
    revealed, honest = complained(at_work, cheat, 3), at_work.dealing(1)
    assert revealed.halves.first == any_suite.group.multiply(at_work.setup.key_of(3), 71)
    assert opened_by(at_work.setup, revealed, honest, 3, protocol_arena) is None
    judged = refresh_complaint.judge(at_work.setup, 3, revealed, cheat, protocol_arena)
    assert judged == LIAR


# --- room -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("t", "n"), [(11, 16), (MAX_HOLDERS, MAX_HOLDERS)])
def test_the_largest_dealing_has_room_in_its_message(any_suite: Suite, t: int, n: int) -> None:
    """Step 1.7.8: α, t commitments, three proofs, E and n frames."""
    group = any_suite.group
    proof = group.point_length + group.scalar_length
    length = 10 + (t + 1) * group.point_length + 3 * proof + n * (8 + 48)
    assert length <= DEAL.cap
    assert length <= RESHARE_DEAL.cap
