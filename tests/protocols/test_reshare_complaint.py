"""Complaints about a share of a resharing, and who lied (steps 6.8.3, 6.4.8 and 6.7.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.protocols import dealing_checks, equal_logs
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.equal_logs import Bases
from hsm_mpc.protocols.pads import Pads, Route, session_pads
from hsm_mpc.protocols.reshare_complaint import accuse, judge
from hsm_mpc.protocols.reshare_messages import ShareDealing
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Take
from tests.protocols.forgery import encoded, times_base
from tests.protocols.keygen import decoded, leaving_nothing, random_draws
from tests.protocols.refreshing import Epoch, random_epoch
from tests.protocols.reshare_reference import value
from tests.protocols.resharing import SESSION, Resharing, before_dealing, resharing
from tests.protocols.test_dkg_blame import unreduced
from tests.secure.bytes_of import at

ACCUSER, DEALER = 5, 2
REST = (5, 6)
E = 71


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Resharing:
    """3-of-4, reshared by holders 1, 2 and 4 to 3-of-5. The accuser has no old index."""
    return resharing(random_epoch(any_suite, 3, 4), take, (1, 2, 4), 3, 5)


def parsed(at_work: Resharing, message: bytes) -> ShareDealing:
    return ShareDealing.from_bytes(message, at_work.setup)


def complained(
    at_work: Resharing, dealing: ShareDealing, accuser: int = ACCUSER, dealer: int = DEALER
) -> Complaint:
    draws = random_draws(at_work.suite, 7)
    return accuse(at_work.setup, accuser, at_work.new_delivery(accuser), dealer, dealing, draws)


def false_complaint(
    at_work: Resharing, dealing: ShareDealing, session: bytes = SESSION
) -> Complaint:
    """With a right proof, of whatever share."""
    setup = at_work.setup
    bases = Bases(setup.key_of_receiver(ACCUSER), dealing.ephemeral, setup.key_of(DEALER))
    delivery, draws = at_work.new_delivery(ACCUSER), random_draws(at_work.suite, 7)
    return Complaint(DEALER, equal_logs.reveal(at_work.suite, session, bases, delivery, draws))


def lies(at_work: Resharing) -> dict[str, ShareDealing]:
    """Dealings of `DEALER` that are false for new holders 1 and 5."""
    suite = at_work.suite

    def raw(*plaintexts: bytes) -> ShareDealing:
        false = {1: plaintexts[0], ACCUSER: plaintexts[-1]}
        return parsed(at_work, at_work.forged(DEALER, REST, E, raw=false))

    def share(index: int, off: int = 0) -> bytes:
        return encoded(suite, value((at_work.part(DEALER), *REST), index) + off)

    honest = raw(share(1), share(ACCUSER))
    first, *others, last = honest.sealed
    return {
        "off by one": raw(share(1, 1), share(ACCUSER, -1)),
        "the part itself": raw(share(0)),
        "of another new holder": raw(share(2)),
        "zero": raw(bytes(32)),
        "no scalar": raw(b"\xff" * 32),
        "unreduced": raw(unreduced(suite, 5)),
        "with the ciphertext of another": replace(honest, sealed=(last, *others, first)),
        "with another E": parsed(at_work, at_work.forged(DEALER, REST, E, proven=99)),
    }


# --- who is convicted -----------------------------------------------------------------------------


def test_a_false_share_is_proved_to_a_third_party(
    at_work: Resharing, protocol_arena: Arena
) -> None:
    """Step 6.4.8: by a new holder that has an old index, too, and by one that has none."""
    for what, dealing in lies(at_work).items():
        for accuser in (1, ACCUSER):
            written = complained(at_work, dealing, accuser).to_bytes()
            seen = Complaint.from_bytes(written, at_work.suite.group)
            assert judge(at_work.setup, accuser, seen, dealing, protocol_arena), what


def test_a_new_holder_that_has_the_dealers_number_complains_of_it(
    at_work: Resharing, protocol_arena: Arena
) -> None:
    """Step 6.8.1: new holder 2 need not be old holder 2."""
    raw = {DEALER: encoded(at_work.suite, 1)}
    false = parsed(at_work, at_work.forged(DEALER, REST, E, raw=raw))
    complaint = complained(at_work, false, accuser=DEALER)
    assert judge(at_work.setup, DEALER, complaint, false, protocol_arena)


def test_whom_a_new_holder_names_can_be_convicted(
    at_work: Resharing, protocol_arena: Arena
) -> None:
    """Steps 6.8.3 and 6.4.8 agree."""
    false = lies(at_work)["off by one"]
    messages = {**at_work.messages, DEALER: false.to_bytes()}
    with pytest.raises(ProtocolAbort) as caught:
        at_work.receive(ACCUSER, messages)
    (culprit,) = caught.value.culprits
    complaint = complained(at_work, false, dealer=culprit)
    assert judge(at_work.setup, ACCUSER, complaint, false, protocol_arena)


def test_a_false_accusation_of_a_dealer_convicts_its_accuser(
    at_work: Resharing, protocol_arena: Arena
) -> None:
    """Step 6.4.8: the share is sound, and everybody sees it."""
    honest = at_work.dealing(DEALER)
    complaint = false_complaint(at_work, honest)
    with leaving_nothing(protocol_arena):
        assert not judge(at_work.setup, ACCUSER, complaint, honest, protocol_arena)


@pytest.mark.parametrize("part", ["first", "second", "proof"])
def test_a_false_proof_of_a_new_holder_convicts_it(
    at_work: Resharing, protocol_arena: Arena, part: str
) -> None:
    """Step 6.7.6: S^e or S^d of another key would open nothing, and the dealer were convicted."""
    for dealing in (at_work.dealing(DEALER), lies(at_work)["off by one"]):
        complaint = false_complaint(at_work, dealing)
        other = {"proof": encoded(at_work.suite, 5) * 2}.get(part, times_base(at_work.suite, 5))
        cheat = replace(complaint, halves=replace(complaint.halves, **{part: other}))
        assert not judge(at_work.setup, ACCUSER, cheat, dealing, protocol_arena)


def test_a_complaint_belongs_to_its_resharing_accuser_and_dealing(
    at_work: Resharing, protocol_arena: Arena
) -> None:
    """Step 6.4.8: shown elsewhere it convicts whoever shows it."""
    false, honest = lies(at_work)["off by one"], at_work.dealing(DEALER)
    complaint, setup, arena = complained(at_work, false), at_work.setup, protocol_arena
    assert not judge(setup, 1, complaint, false, arena)
    assert not judge(setup, ACCUSER, complaint, honest, arena)
    assert not judge(setup, ACCUSER, replace(complaint, accused=4), false, arena)
    elsewhere = false_complaint(at_work, false, b"another attempt".ljust(32, b"."))
    assert not judge(setup, ACCUSER, elsewhere, false, arena)


def test_a_share_that_does_not_open_is_not_judged_by_what_it_left(
    at_work: Resharing, protocol_arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.8.3: a cipher may leave the right share where it says that nothing is authentic."""
    real = Pads.open_revealed

    def opens_and_denies(*arguments: Any) -> bool:
        assert real(*arguments)
        return False

    honest = at_work.dealing(DEALER)
    complaint = false_complaint(at_work, honest)
    monkeypatch.setattr(Pads, "open_revealed", opens_and_denies)
    assert judge(at_work.setup, ACCUSER, complaint, honest, protocol_arena)


# --- what is revealed -----------------------------------------------------------------------------


def test_nothing_is_revealed_of_a_sound_share(at_work: Resharing, protocol_arena: Arena) -> None:
    """Step 6.4.8: nor of one that is false for another new holder."""
    false = {1: encoded(at_work.suite, 1)}
    elsewhere = parsed(at_work, at_work.forged(DEALER, REST, E, raw=false))
    delivery, draws = at_work.new_delivery(ACCUSER), random_draws(at_work.suite, 7)
    for dealing in (at_work.dealing(DEALER), elsewhere):
        with leaving_nothing(protocol_arena), pytest.raises(BadInput, match="is sound"):
            accuse(at_work.setup, ACCUSER, delivery, DEALER, dealing, draws)


def test_nothing_is_revealed_where_the_signed_share_dealing_is_proof_enough(
    at_work: Resharing,
) -> None:
    """Step 6.8.3: another constant than its part of the key, a false PoP, PoP^E or PoP^V."""
    false, honest = lies(at_work)["off by one"], at_work.dealing(DEALER)
    raw = {ACCUSER: bytes(32)}
    shifted = at_work.forged(DEALER, REST, E, constant=at_work.part(DEALER) + 1, raw=raw)
    for dealing in (
        parsed(at_work, shifted),
        replace(false, possession=honest.possession),
        replace(false, ephemeral_possession=honest.ephemeral_possession),
        replace(false, static_possession=honest.static_possession),
    ):
        with pytest.raises(BadInput, match="proof enough"):
            complained(at_work, dealing)


def test_a_complaint_of_a_new_holder_reveals_two_points_and_a_proof(at_work: Resharing) -> None:
    """Step 6.4.8: S^e = v'_k·E_i, S^d = v'_k·V_i, and no v'_k."""
    v, group, suite = at_work.receivers[ACCUSER], at_work.suite.group, at_work.suite
    written = complained(at_work, lies(at_work)["off by one"]).to_bytes()
    static = v * at_work.epoch.deliveries[DEALER]
    shown = times_base(suite, v * E) + times_base(suite, static)
    assert written[: 2 + 2 * group.point_length] == b"\0\2" + shown
    assert len(written) == 2 + 2 * group.point_length + 2 * group.scalar_length
    assert encoded(suite, v) not in written


def test_what_a_complaint_of_a_resharing_would_open_if_that_were_not_proven(
    any_suite: Suite, take: Take, protocol_arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.8.3: V_2 = V_1 + B, and E_2 = E_1 + B of the same attempt, sent after it was seen.

    What a new holder would reveal is what honest holder 1 dealt to it: of t' of them anybody has
    the part of the key that holder 1 shares.
    """
    group, base = any_suite.group, times_base(any_suite, 1)
    lone = random_epoch(any_suite, 2, 3)
    rogue = {**lone.deliveries, DEALER: lone.deliveries[1] + 1}
    epoch = Epoch(any_suite, lone.commitments, lone.shares, rogue)
    anew = before_dealing(epoch, take, (1, 2), 2, (21, 22, 23))
    honest = parsed(anew, anew.forged(1, (9,), 80))
    shown = group.combine([honest.ephemeral, base]) or b""
    cheat = parsed(anew, anew.forged(DEALER, (5,), E, raw={3: bytes(32)}, shown=shown))
    with pytest.raises(BadInput, match="proof enough"):
        complained(anew, cheat, accuser=3)

    def skipped(*_: Any) -> None:
        """A receiver that looks at neither proof."""

    monkeypatch.setattr(dealing_checks, "_verify_keys", skipped)
    halves, setup = complained(anew, cheat, accuser=3).halves, anew.setup
    minus = group.negate_point(setup.key_of_receiver(3))
    opened = [group.combine([half, minus]) or b"" for half in (halves.first, halves.second)]
    route = Route(honest.ephemeral, setup.key_of(1), setup.key_of_receiver(3))
    with (
        session_pads(any_suite, setup.context, protocol_arena) as pads,
        protocol_arena.room(32) as share,
    ):
        assert pads.open_revealed((opened[0], opened[1]), route, honest.sealed[2], share)
        assert decoded(any_suite, at(share, 32)) == (anew.part(1) + 9 * 3) % group.order


# --- who complains --------------------------------------------------------------------------------


def test_a_complaint_with_another_new_delivery_key_is_never_made(at_work: Resharing) -> None:
    """Step 6.8.3: nothing would open, and an honest dealer were accused."""
    draws, dealing = random_draws(at_work.suite, 7), at_work.dealing(DEALER)
    for wrong in (at_work.new_delivery(4), at_work.delivery(1)):
        with pytest.raises(ProtocolAbort, match="new index 5"):
            accuse(at_work.setup, ACCUSER, wrong, DEALER, dealing, draws)


@pytest.mark.parametrize(("accuser", "dealer"), [(0, 2), (6, 2), (5, 3), (5, 0), (5, 5)])
def test_only_a_new_holder_complains_and_only_of_a_dealer(
    at_work: Resharing, protocol_arena: Arena, accuser: int, dealer: int
) -> None:
    """Step 6.8.2: old holder 3 is not in Q."""
    false = lies(at_work)["off by one"]
    delivery, draws = at_work.new_delivery(ACCUSER), random_draws(at_work.suite, 7)
    with pytest.raises(BadInput, match=r"has dealt nothing|indices run"):
        accuse(at_work.setup, accuser, delivery, dealer, false, draws)
    complaint = replace(complained(at_work, false), accused=dealer)
    with pytest.raises(BadInput, match=r"has dealt nothing|indices run"):
        judge(at_work.setup, accuser, complaint, false, protocol_arena)


def test_making_a_complaint_of_a_resharing_leaves_nothing(
    at_work: Resharing, protocol_arena: Arena
) -> None:
    """Step 1.8.9."""
    delivery, draws = at_work.new_delivery(ACCUSER), random_draws(at_work.suite, 7)
    dealings = lies(at_work).values()
    with leaving_nothing(protocol_arena):
        for dealing in dealings:
            accuse(at_work.setup, ACCUSER, delivery, DEALER, dealing, draws)
