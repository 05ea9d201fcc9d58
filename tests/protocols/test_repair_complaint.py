"""Complaints about deltas and sums of a repair, and who lied (steps 6.7.5 and 6.7.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.protocols import equal_logs, repair
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.equal_logs import Bases
from hsm_mpc.protocols.pads import Pads, Route, session_pads
from hsm_mpc.protocols.repair_complaint import (
    accuse_of_delta,
    accuse_of_sum,
    judge_delta,
    judge_sum,
)
from hsm_mpc.protocols.repair_messages import Split, Summed
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Take
from tests.protocols.forgery import encoded, times_base
from tests.protocols.keygen import decoded, leaving_nothing, random_draws
from tests.protocols.refreshing import Epoch, random_epoch
from tests.protocols.repairing import SESSION, Repairing, repairing, setup_of
from tests.protocols.test_dkg_blame import unreduced
from tests.secure.bytes_of import at

ACCUSER, LIAR, LOST = 3, 2, 4
ANOTHER = b"another repair".ljust(32, b".")
E, E_PRIME = 71, 91
"""Of the liar, for its split and for its sum."""


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Repairing:
    """3-of-5: holders 1, 2 and 3 repair the share of holder 4. Holder 2 lies."""
    return repairing(random_epoch(any_suite, 3, 5), take, LOST, (1, 2, 3))


def split_of(at_work: Repairing, plaintext: bytes | None = None, **changes: bytes) -> Split:
    """R1 of the liar, with whatever it likes for the accuser."""
    deltas = at_work.deltas(LIAR)
    raw = {} if plaintext is None else {ACCUSER: plaintext}
    made = at_work.reference.split(LIAR, deltas, E, raw=raw, **changes)
    return Split.from_bytes(made, at_work.setup)


def false_splits(at_work: Repairing) -> dict[str, Split]:
    suite, right = at_work.suite, at_work.deltas(LIAR)[2]
    honest = split_of(at_work)
    return {
        "off by one": split_of(at_work, encoded(suite, right + 1)),
        "zero": split_of(at_work, bytes(32)),
        "no scalar": split_of(at_work, b"\xff" * 32),
        "unreduced": split_of(at_work, unreduced(suite, 5)),
        "of another receiver": replace(honest, sealed=(honest.sealed[0],) * 3),
    }


def summed_of(at_work: Repairing, plaintext: bytes, **changes: bytes) -> Summed:
    """R2 of the liar."""
    digest = changes.pop("digest", at_work.splits().digest)
    made = at_work.reference.summed(LIAR, plaintext, E_PRIME, digest, **changes)
    return Summed.from_bytes(made, at_work.setup)


def right_sum(at_work: Repairing, off: int = 0) -> bytes:
    total = sum(at_work.opened_delta(sender, 1) for sender in (1, 2, 3))
    return encoded(at_work.suite, total + off)


def false_sums(at_work: Repairing) -> dict[str, Summed]:
    honest = summed_of(at_work, right_sum(at_work))
    return {
        "off by one": summed_of(at_work, right_sum(at_work, 1)),
        "zero": summed_of(at_work, bytes(32)),
        "no scalar": summed_of(at_work, b"\xff" * 32),
        "of another pad": replace(honest, sealed=at_work.collect(1).sealed),
    }


def accused_of_delta(at_work: Repairing, split: Split, me: int = ACCUSER) -> Complaint:
    draws = random_draws(at_work.suite, 7)
    return accuse_of_delta(at_work.setup, me, at_work.delivery(me), LIAR, split, draws)


def accused_of_sum(at_work: Repairing, summed: Summed) -> Complaint:
    draws = random_draws(at_work.suite, 7)
    return accuse_of_sum(at_work.splits(), at_work.delivery(LOST), LIAR, summed, draws)


def made_complaint(at_work: Repairing, accuser: int, ephemeral: int, **changes: Any) -> Complaint:
    """With a right proof, of whatever was sealed."""
    reference = at_work.reference
    if "session" in changes:
        reference = reference.of_session(changes["session"])
    written = reference.complaint(accuser, changes.get("accused", LIAR), ephemeral, 4567)
    return Complaint.from_bytes(written, at_work.suite.group)


# --- who lied -------------------------------------------------------------------------------------


def test_a_false_delta_of_a_repair_is_proved_to_a_third_party(
    at_work: Repairing, protocol_arena: Arena
) -> None:
    """Steps 6.7.4 and 6.7.6."""
    for what, split in false_splits(at_work).items():
        complaint = accused_of_delta(at_work, split)
        seen = Complaint.from_bytes(complaint.to_bytes(), at_work.suite.group)
        with leaving_nothing(protocol_arena):
            judged = judge_delta(at_work.setup, ACCUSER, seen, split, protocol_arena)
        assert judged == LIAR, what


def test_a_false_sum_is_proved_to_a_third_party(at_work: Repairing, protocol_arena: Arena) -> None:
    """Steps 6.7.5 and 6.7.6."""
    splits = at_work.splits()
    for what, summed in false_sums(at_work).items():
        complaint = accused_of_sum(at_work, summed)
        seen = Complaint.from_bytes(complaint.to_bytes(), at_work.suite.group)
        with leaving_nothing(protocol_arena):
            assert judge_sum(splits, seen, summed, protocol_arena) == LIAR, what


def test_whom_a_round_of_a_repair_names_can_be_convicted(
    at_work: Repairing, protocol_arena: Arena
) -> None:
    """Steps 6.7.4 to 6.7.6 agree."""
    draws = random_draws(at_work.suite, 1)
    for split in false_splits(at_work).values():
        messages = {**at_work.messages, LIAR: split.to_bytes()}
        with pytest.raises(ProtocolAbort) as caught:
            repair.collect(at_work.keeps[ACCUSER], at_work.delivery(ACCUSER), messages, draws)
        assert caught.value.culprits == (LIAR,)
        complaint = accused_of_delta(at_work, split)
        assert judge_delta(at_work.setup, ACCUSER, complaint, split, protocol_arena) == LIAR
    for summed in false_sums(at_work).values():
        with pytest.raises(ProtocolAbort) as caught:
            at_work.recover({**at_work.sums(), LIAR: summed.to_bytes()})
        assert caught.value.culprits == (LIAR,)
        complaint = accused_of_sum(at_work, summed)
        assert judge_sum(at_work.splits(), complaint, summed, protocol_arena) == LIAR


def test_a_false_accusation_of_a_helper_convicts_its_accuser(
    at_work: Repairing, protocol_arena: Arena
) -> None:
    """Step 6.7.6: delta and sum are sound, and everybody sees it."""
    split, summed = split_of(at_work), summed_of(at_work, right_sum(at_work))
    complaint = made_complaint(at_work, ACCUSER, E)
    assert judge_delta(at_work.setup, ACCUSER, complaint, split, protocol_arena) == ACCUSER
    complaint = made_complaint(at_work, LOST, E_PRIME)
    assert judge_sum(at_work.splits(), complaint, summed, protocol_arena) == LOST


@pytest.mark.parametrize("part", ["first", "second", "proof"])
def test_a_false_proof_against_a_helper_convicts_its_accuser(
    at_work: Repairing, protocol_arena: Arena, part: str
) -> None:
    """Step 6.7.6: S^e or S^d of another key would open nothing, and the helper were convicted."""
    other = {"proof": encoded(at_work.suite, 5) * 2}.get(part, times_base(at_work.suite, 5))
    splits, summed = at_work.splits(), summed_of(at_work, right_sum(at_work, 1))
    for split in (split_of(at_work), false_splits(at_work)["off by one"]):
        complaint = made_complaint(at_work, ACCUSER, E)
        cheat = replace(complaint, halves=replace(complaint.halves, **{part: other}))
        assert judge_delta(at_work.setup, ACCUSER, cheat, split, protocol_arena) == ACCUSER
    complaint = made_complaint(at_work, LOST, E_PRIME)
    cheat = replace(complaint, halves=replace(complaint.halves, **{part: other}))
    assert judge_sum(splits, cheat, summed, protocol_arena) == LOST


def test_a_complaint_belongs_to_its_repair_accuser_and_message(
    at_work: Repairing, protocol_arena: Arena
) -> None:
    """Step 6.7.6: shown elsewhere it convicts whoever shows it."""
    false, honest = false_splits(at_work)["off by one"], split_of(at_work)
    complaint = accused_of_delta(at_work, false)
    other = setup_of(at_work.epoch, LOST, (1, 2, 3), ANOTHER)
    for setup, accuser, split in (
        (other, ACCUSER, false),
        (at_work.setup, 1, false),
        (at_work.setup, ACCUSER, honest),
    ):
        assert judge_delta(setup, accuser, complaint, split, protocol_arena) == accuser
    first = replace(complaint, accused=1)
    assert judge_delta(at_work.setup, ACCUSER, first, false, protocol_arena) == ACCUSER
    summed = false_sums(at_work)["off by one"]
    assert judge_sum(at_work.splits(), complaint, summed, protocol_arena) == LOST


def test_what_a_helper_added_up_is_judged_by_no_other_messages(
    at_work: Repairing, protocol_arena: Arena
) -> None:
    """Step 6.7.5: a helper sent r another split. By it the sum of an honest one would be false."""
    honest = at_work.collect(1)
    another = {**at_work.messages, LIAR: split_of(at_work).to_bytes()}
    splits = at_work.splits(another)
    delivery, draws = at_work.delivery(LOST), random_draws(at_work.suite, 7)
    with pytest.raises(BadInput, match="added up other deltas"):
        accuse_of_sum(splits, delivery, 1, honest, draws)
    complaint = made_complaint(at_work, LOST, E_PRIME, accused=1)
    with pytest.raises(BadInput, match="added up other deltas"):
        judge_sum(splits, complaint, honest, protocol_arena)


# --- what is never revealed -----------------------------------------------------------------------


def test_nothing_is_revealed_of_a_sound_delta_or_sum(
    at_work: Repairing, protocol_arena: Arena
) -> None:
    """Step 6.7.6: S^e and S^d are released for a proven cheat only."""
    splits, delivery, lost = at_work.splits(), at_work.delivery(ACCUSER), at_work.delivery(LOST)
    for_another = at_work.reference.split(LIAR, at_work.deltas(LIAR), E, raw={1: bytes(32)})
    summed = summed_of(at_work, right_sum(at_work))
    draws = random_draws(at_work.suite, 7)
    for split in (split_of(at_work), Split.from_bytes(for_another, at_work.setup)):
        with leaving_nothing(protocol_arena), pytest.raises(BadInput, match="is sound"):
            accuse_of_delta(at_work.setup, ACCUSER, delivery, LIAR, split, draws)
    with leaving_nothing(protocol_arena), pytest.raises(BadInput, match="is sound"):
        accuse_of_sum(splits, lost, LIAR, summed, draws)


def test_nothing_is_revealed_under_a_key_that_its_sender_may_not_know(
    at_work: Repairing,
) -> None:
    """Steps 6.7.3 and 6.7.5: E_2 = E_1 + B, or E'_2 = E'_1 + B.

    v·E_2 − V would be v·E_1, and with V_2 = V_1 + B, made before, open what holder 1 sealed.
    """
    group, suite = at_work.suite.group, at_work.suite

    def made_of(key: bytes) -> bytes:
        return group.combine([key, times_base(suite, 1)]) or b""

    split = split_of(at_work, bytes(32), shown=made_of(at_work.split(1).ephemeral))
    with pytest.raises(BadInput, match="proof enough"):
        accused_of_delta(at_work, split)
    summed = summed_of(at_work, bytes(32), shown=made_of(at_work.collect(1).ephemeral))
    with pytest.raises(BadInput, match="proof enough"):
        accused_of_sum(at_work, summed)


def test_what_a_complaint_would_open_if_that_were_not_proven(
    any_suite: Suite, take: Take, protocol_arena: Arena
) -> None:
    """Step 6.7.3: 2-of-3, V_2 = V_1 + B and E_2 = E_1 + B. What holder 1 would reveal is its share.

    Holder 2 knows neither logarithm. It sends noise; both deltas of holder 1 then open to anybody.
    """
    group, base = any_suite.group, times_base(any_suite, 1)
    lone = random_epoch(any_suite, 2, 3)
    rogue = {**lone.deliveries, 2: lone.deliveries[1] + 1}
    epoch = Epoch(any_suite, lone.commitments, lone.shares, rogue)
    at_work = repairing(epoch, take, 3, (1, 2))
    honest, (v_1, v_2, _) = at_work.split(1), at_work.setup.delivery_keys
    made = group.combine([honest.ephemeral, base]) or b""
    bases = Bases(v_1, made, v_2)
    draws = random_draws(any_suite, 7)
    shown = equal_logs.reveal(any_suite, SESSION, bases, at_work.delivery(1), draws)
    minus = group.negate_point(v_1)
    exchanged = group.combine([shown.first, minus]) or b""  # v_1·E_1
    halves = {
        1: (exchanged, group.combine([shown.second, minus]) or b""),
        2: (group.combine([exchanged, honest.ephemeral]) or b"", shown.second),
    }
    found = 0
    with (
        session_pads(any_suite, at_work.setup.context, protocol_arena) as pads,
        protocol_arena.room(32) as delta,
    ):
        for receiver, key in ((1, v_1), (2, v_2)):
            route, sealed = Route(honest.ephemeral, v_1, key), honest.sealed[receiver - 1]
            assert pads.open_revealed(halves[receiver], route, sealed, delta)
            found += decoded(any_suite, at(delta, 32))
    assert found % group.order == at_work.owed(1)


def test_nothing_is_revealed_where_deltas_do_not_add_up(at_work: Repairing) -> None:
    """Step 6.7.4: R1 alone is proof enough."""
    first, *rest = at_work.deltas(LIAR)
    made = at_work.reference.split(LIAR, [first + 1, *rest], E, raw={ACCUSER: bytes(32)})
    with pytest.raises(BadInput, match="proof enough"):
        accused_of_delta(at_work, Split.from_bytes(made, at_work.setup))


def test_a_complaint_of_a_repair_reveals_two_points_and_a_proof(at_work: Repairing) -> None:
    """Step 6.7.6: S^e = v·E_i, S^d = v·V_i, and no v."""
    group, suite, deliveries = at_work.suite.group, at_work.suite, at_work.epoch.deliveries
    of_delta = accused_of_delta(at_work, false_splits(at_work)["off by one"])
    of_sum = accused_of_sum(at_work, false_sums(at_work)["off by one"])
    for complaint, v, e in (
        (of_delta, deliveries[ACCUSER], E),
        (of_sum, deliveries[LOST], E_PRIME),
    ):
        written = complaint.to_bytes()
        shown = times_base(suite, v * e) + times_base(suite, v * deliveries[LIAR])
        assert written[: 2 + 2 * group.point_length] == b"\0\2" + shown
        assert len(written) == 2 + 2 * group.point_length + 2 * group.scalar_length
        assert encoded(suite, v) not in written


# --- who complains --------------------------------------------------------------------------------


@pytest.mark.parametrize(("accuser", "helper"), [(3, 3), (3, 4), (4, 2), (5, 2), (3, 0), (0, 2)])
def test_only_a_helper_complains_and_only_of_another(
    at_work: Repairing, protocol_arena: Arena, accuser: int, helper: int
) -> None:
    """Step 6.7.6."""
    false, draws = false_splits(at_work)["off by one"], random_draws(at_work.suite, 7)
    complaint = replace(accused_of_delta(at_work, false), accused=helper)
    delivery = at_work.delivery(ACCUSER)
    with pytest.raises(BadInput, match=r"complains of itself|none of the helpers"):
        accuse_of_delta(at_work.setup, accuser, delivery, helper, false, draws)
    with pytest.raises(BadInput, match=r"complains of itself|none of the helpers"):
        judge_delta(at_work.setup, accuser, complaint, false, protocol_arena)


@pytest.mark.parametrize("helper", [0, 4, 5])
def test_r_complains_of_a_helper_only(
    at_work: Repairing, protocol_arena: Arena, helper: int
) -> None:
    """Step 6.7.6."""
    summed, draws = false_sums(at_work)["off by one"], random_draws(at_work.suite, 7)
    complaint = replace(accused_of_sum(at_work, summed), accused=helper)
    with pytest.raises(BadInput, match="none of the helpers"):
        accuse_of_sum(at_work.splits(), at_work.delivery(LOST), helper, summed, draws)
    with pytest.raises(BadInput, match="none of the helpers"):
        judge_sum(at_work.splits(), complaint, summed, protocol_arena)


def test_a_complaint_of_a_repair_with_another_delivery_key_is_never_made(
    at_work: Repairing,
) -> None:
    """Step 6.7.6: nothing would open, and an honest helper were accused."""
    wrong, draws = at_work.delivery(5), random_draws(at_work.suite, 7)
    with pytest.raises(ProtocolAbort, match="own index 3"):
        accuse_of_delta(at_work.setup, ACCUSER, wrong, LIAR, split_of(at_work), draws)
    summed = summed_of(at_work, right_sum(at_work))
    with pytest.raises(ProtocolAbort, match="own index 4"):
        accuse_of_sum(at_work.splits(), wrong, LIAR, summed, draws)


def test_making_a_complaint_of_a_repair_leaves_nothing(
    at_work: Repairing, protocol_arena: Arena
) -> None:
    """Step 1.8.9."""
    splits, draws = at_work.splits(), random_draws(at_work.suite, 7)
    delivery, lost = at_work.delivery(ACCUSER), at_work.delivery(LOST)
    false, sums = false_splits(at_work), false_sums(at_work)
    with leaving_nothing(protocol_arena):
        for split in false.values():
            accuse_of_delta(at_work.setup, ACCUSER, delivery, LIAR, split, draws)
        for summed in sums.values():
            accuse_of_sum(splits, lost, LIAR, summed, draws)


def test_a_sum_that_does_not_open_is_not_judged_by_what_it_left(
    at_work: Repairing, protocol_arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.7.5: a cipher may leave the right sum where it says that nothing is authentic."""
    real = Pads.open_revealed

    def opens_and_denies(*arguments: Any) -> bool:
        assert real(*arguments)
        return False

    splits, summed = at_work.splits(), summed_of(at_work, right_sum(at_work))
    complaint = made_complaint(at_work, LOST, E_PRIME)
    monkeypatch.setattr(Pads, "open_revealed", opens_and_denies)
    assert judge_sum(splits, complaint, summed, protocol_arena) == LIAR


def test_the_session_of_a_complaint_is_that_of_the_repair(
    at_work: Repairing, protocol_arena: Arena
) -> None:
    """Step 6.7.6: a proof for another sid, of the same keys, convicts its accuser."""
    false = false_splits(at_work)["off by one"]
    right = made_complaint(at_work, ACCUSER, E, session=SESSION)
    wrong = made_complaint(at_work, ACCUSER, E, session=ANOTHER)
    assert judge_delta(at_work.setup, ACCUSER, right, false, protocol_arena) == LIAR
    assert judge_delta(at_work.setup, ACCUSER, wrong, false, protocol_arena) == ACCUSER
