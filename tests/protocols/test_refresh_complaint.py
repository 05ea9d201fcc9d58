"""Complaints about a delta, and who lied (step 6.4.8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.protocols import equal_logs, refresh
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.equal_logs import Bases
from hsm_mpc.protocols.pads import Pads
from hsm_mpc.protocols.refresh_complaint import accuse, judge
from hsm_mpc.protocols.refresh_messages import ZeroDealing
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Take
from tests.protocols.forgery import encoded, times_base
from tests.protocols.keygen import leaving_nothing, random_draws
from tests.protocols.refreshing import SESSION, Refreshing, random_epoch, refreshing
from tests.protocols.test_dkg_blame import unreduced

ACCUSER, DEALER, ABSENT = 1, 2, 4


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Refreshing:
    """3-of-4, refreshed by holders 1 to 3."""
    return refreshing(random_epoch(any_suite, 3, 4), take, (1, 2, 3))


def complained(
    at_work: Refreshing, dealing: ZeroDealing, accuser: int = ACCUSER, dealer: int = DEALER
) -> Complaint:
    draws = random_draws(at_work.suite, 7)
    return accuse(at_work.setup, accuser, at_work.delivery(accuser), dealer, dealing, draws)


def false_complaint(at_work: Refreshing, dealing: ZeroDealing) -> Complaint:
    """With a right proof, of whatever delta."""
    setup = at_work.setup
    bases = Bases(setup.key_of(ACCUSER), dealing.ephemeral, setup.key_of(DEALER))
    delivery, draws = at_work.delivery(ACCUSER), random_draws(at_work.suite, 7)
    return Complaint(DEALER, equal_logs.reveal(at_work.suite, SESSION, bases, delivery, draws))


def lies(at_work: Refreshing) -> dict[str, ZeroDealing]:
    """Dealings of `DEALER` that are false for holders 1 and 4."""
    suite, honest = at_work.suite, at_work.forged(DEALER, (600, 3), 71)
    crossed = (honest.sealed[2], honest.sealed[1], honest.sealed[2], honest.sealed[2])

    def forged(shares: dict[int, int]) -> ZeroDealing:
        return at_work.forged(DEALER, (600, 3), 71, shares=shares)

    def raw(delta: bytes) -> ZeroDealing:
        return at_work.forged(DEALER, (600, 3), 71, raw_shares={1: delta, 4: delta})

    return {
        "off by one": forged({1: 604, 4: 4 * 600 + 16 * 3 - 1}),
        "shifted": forged({index: 600 * index + 3 * index**2 + 9 for index in (1, 2, 3, 4)}),
        "zero": raw(bytes(32)),
        "no scalar": raw(b"\xff" * 32),
        "unreduced": raw(unreduced(suite, 5)),
        "of another receiver": replace(honest, sealed=crossed),
        "with another E": at_work.forged(DEALER, (600, 3), 71, proven=99),
    }


def test_a_false_delta_is_proved_to_a_third_party(at_work: Refreshing) -> None:
    """Step 6.4.8: of a dealer that was present, and of an absent holder at its catch-up."""
    for what, dealing in lies(at_work).items():
        for accuser in (ACCUSER, ABSENT):
            complaint = complained(at_work, dealing, accuser)
            seen = Complaint.from_bytes(complaint.to_bytes(), at_work.suite.group)
            arena = at_work.delivery(1).arena
            assert judge(at_work.setup, accuser, seen, dealing, arena) == DEALER, what


def test_whom_a_round_names_can_be_convicted(at_work: Refreshing) -> None:
    """Steps 6.4.3, 6.4.7 and 6.4.8 agree."""
    cheat = lies(at_work)["off by one"]
    messages = {**at_work.messages, DEALER: cheat.to_bytes()}
    for accuser in (ACCUSER, ABSENT):
        with pytest.raises(ProtocolAbort) as caught:
            at_work.combine(accuser, messages) if accuser == 1 else at_work.catch_up(4, messages)
        (culprit,) = caught.value.culprits
        received = ZeroDealing.from_bytes(messages[culprit], at_work.setup)
        complaint = complained(at_work, received, accuser, culprit)
        arena = at_work.delivery(1).arena
        assert judge(at_work.setup, accuser, complaint, received, arena) == culprit


def test_a_false_accusation_convicts_its_accuser(
    at_work: Refreshing, protocol_arena: Arena
) -> None:
    """Step 6.4.8: the delta is sound, and everybody sees it."""
    honest = at_work.dealing(DEALER)
    complaint = false_complaint(at_work, honest)
    with leaving_nothing(protocol_arena):
        assert judge(at_work.setup, ACCUSER, complaint, honest, protocol_arena) == ACCUSER


@pytest.mark.parametrize("part", ["first", "second", "proof"])
def test_a_false_proof_convicts_its_accuser(
    at_work: Refreshing, protocol_arena: Arena, part: str
) -> None:
    """Step 6.4.8: S^e or S^d of another key would open nothing, and the dealer were convicted."""
    for dealing in (at_work.dealing(DEALER), lies(at_work)["off by one"]):
        complaint = false_complaint(at_work, dealing)
        other = {"proof": encoded(at_work.suite, 5) * 2}.get(part, times_base(at_work.suite, 5))
        halves = replace(complaint.halves, **{part: other})
        cheat = replace(complaint, halves=halves)
        assert judge(at_work.setup, ACCUSER, cheat, dealing, protocol_arena) == ACCUSER


def test_a_complaint_belongs_to_its_attempt_accuser_and_dealing(
    at_work: Refreshing, protocol_arena: Arena
) -> None:
    """Step 6.4.8: shown elsewhere it convicts whoever shows it."""
    false, honest = lies(at_work)["off by one"], at_work.dealing(DEALER)
    complaint = complained(at_work, false)
    other = at_work.epoch.setup((1, 2, 3), b"another attempt".ljust(32, b"."))
    for setup, accuser, dealing in (
        (other, ACCUSER, false),
        (at_work.setup, 3, false),
        (at_work.setup, ACCUSER, honest),
    ):
        assert judge(setup, accuser, complaint, dealing, protocol_arena) == accuser
    third = replace(complaint, accused=3)
    assert judge(at_work.setup, ACCUSER, third, false, protocol_arena) == ACCUSER


def test_nothing_is_revealed_of_a_sound_delta(at_work: Refreshing, protocol_arena: Arena) -> None:
    """Step 6.4.8: S^e and S^d are released for a proven cheat only."""
    delivery, draws = at_work.delivery(ACCUSER), random_draws(at_work.suite, 7)
    for dealing in (at_work.dealing(DEALER), at_work.forged(DEALER, (600, 3), 71, shares={4: 1})):
        with leaving_nothing(protocol_arena), pytest.raises(BadInput, match="is sound"):
            accuse(at_work.setup, ACCUSER, delivery, DEALER, dealing, draws)


def test_nothing_is_revealed_where_the_signed_dealing_is_proof_enough(at_work: Refreshing) -> None:
    """Step 6.4.9: a false proof of possession."""
    false = lies(at_work)["off by one"]
    unproven = replace(false, possession=at_work.dealing(DEALER).possession)
    with pytest.raises(BadInput, match="proof enough"):
        complained(at_work, unproven)


def test_a_complaint_with_another_delivery_key_is_never_made(at_work: Refreshing) -> None:
    """Step 6.4.8: nothing would open, and an honest dealer were accused."""
    draws = random_draws(at_work.suite, 7)
    with pytest.raises(ProtocolAbort, match="own index 1"):
        accuse(at_work.setup, ACCUSER, at_work.delivery(3), DEALER, at_work.dealing(DEALER), draws)


@pytest.mark.parametrize(("accuser", "dealer"), [(1, 1), (1, 4), (1, 0), (0, 2), (5, 2)])
def test_only_a_holder_complains_and_only_of_another_dealer(
    at_work: Refreshing, protocol_arena: Arena, accuser: int, dealer: int
) -> None:
    """Step 6.4.8."""
    false = lies(at_work)["off by one"]
    delivery, draws = at_work.delivery(ACCUSER), random_draws(at_work.suite, 7)
    with pytest.raises(BadInput, match=r"complains of|indices run"):
        accuse(at_work.setup, accuser, delivery, dealer, false, draws)
    complaint = replace(complained(at_work, false), accused=dealer)
    with pytest.raises(BadInput, match=r"complains of|indices run"):
        judge(at_work.setup, accuser, complaint, false, protocol_arena)


def test_making_a_complaint_leaves_nothing(at_work: Refreshing, protocol_arena: Arena) -> None:
    """Step 1.8.9."""
    delivery, draws = at_work.delivery(ACCUSER), random_draws(at_work.suite, 7)
    dealings = lies(at_work).values()
    with leaving_nothing(protocol_arena):
        for dealing in dealings:
            accuse(at_work.setup, ACCUSER, delivery, DEALER, dealing, draws)


def test_a_complaint_reveals_two_points_and_a_proof(at_work: Refreshing) -> None:
    """Step 6.4.8: S^e = v_r·E_i, S^d = v_r·V_i, and no v_r."""
    v, group = at_work.epoch.deliveries[ACCUSER], at_work.suite.group
    false = lies(at_work)["off by one"]
    written = complained(at_work, false).to_bytes()
    static = v * at_work.epoch.deliveries[DEALER]
    shown = times_base(at_work.suite, v * 71) + times_base(at_work.suite, static)
    assert written[: 2 + 2 * group.point_length] == b"\0\2" + shown
    assert len(written) == 2 + 2 * group.point_length + 2 * group.scalar_length
    assert encoded(at_work.suite, v) not in written


def test_a_complaint_of_another_length_is_refused(at_work: Refreshing) -> None:
    """Step 1.1.3."""
    group, written = at_work.suite.group, complained(at_work, lies(at_work)["zero"]).to_bytes()
    for wrong in (written + b"\0", written[:-1], b"", written[:2] + bytes(len(written) - 2)):
        with pytest.raises(BadEncoding):
            Complaint.from_bytes(wrong, group)


def test_what_does_not_open_is_not_judged_by_what_it_left(
    at_work: Refreshing, protocol_arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.4.3: a cipher may leave the right delta where it says that nothing is authentic."""
    real = Pads.open_revealed

    def opens_and_denies(*arguments: Any) -> bool:
        assert real(*arguments)
        return False

    honest = at_work.dealing(DEALER)
    complaint = false_complaint(at_work, honest)
    monkeypatch.setattr(Pads, "open_revealed", opens_and_denies)
    assert judge(at_work.setup, ACCUSER, complaint, honest, protocol_arena) == DEALER


def test_catching_up_goes_on_where_nobody_lied_to_us(at_work: Refreshing) -> None:
    """Step 6.4.7: a delta that is false for another holder is no concern of ours."""
    cheat = at_work.forged(DEALER, (600, 3), 71, shares={1: 604})
    messages = {**at_work.messages, DEALER: cheat.to_bytes()}
    renewed = refresh.catch_up(
        at_work.setup, ABSENT, at_work.delivery(ABSENT), at_work.share(ABSENT), messages
    )
    assert at_work.suite.group.public_point(renewed.share) == renewed.public_shares[ABSENT - 1]
    renewed.share.release()
