"""Every way to cheat in a repair by R2, and who is named for it (step 6.7.5); sums of 0."""

from __future__ import annotations

import pytest

from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.protocols import repair
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Take
from tests.protocols.keygen import encoded, leaving_nothing, times_base
from tests.protocols.refreshing import random_epoch
from tests.protocols.repairing import Messages, Repairing, opened, repairing
from tests.protocols.test_dkg_blame import unreduced

LIAR, LOST = 2, 4
ANOTHER = b"an earlier repair".ljust(32, b".")


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Repairing:
    """3-of-5: holders 1, 2 and 3 repair the share of holder 4. Holder 2 lies."""
    return repairing(random_epoch(any_suite, 3, 5), take, LOST, (1, 2, 3))


def at_lost(
    at_work: Repairing, sums: Messages, messages: Messages | None = None
) -> tuple[int, ...]:
    """Whom r names for these R2."""
    splits, delivery = at_work.splits(messages), at_work.delivery(LOST)
    with leaving_nothing(delivery.arena), pytest.raises(ProtocolAbort) as caught:
        repair.recover(splits, delivery, sums)
    return caught.value.culprits


# --- the sum for r --------------------------------------------------------------------------------


@pytest.fixture
def sums(at_work: Repairing) -> dict[int, bytes]:
    """R2 of honest helpers."""
    return at_work.sums()


def sum_of(at_work: Repairing, helper: int) -> int:
    """σ of a helper whose R1 all are honest, as the test reads it."""
    total, place = 0, at_work.setup.helpers.index(helper)
    for sender in at_work.setup.helpers:
        total += at_work.opened_delta(sender, place)
    return total % at_work.suite.group.order


def forged(at_work: Repairing, plaintext: bytes, **changes: bytes) -> bytes:
    """R2 of the liar with whatever it likes in it."""
    digest = changes.pop("digest", at_work.splits().digest)
    return at_work.reference.summed(LIAR, plaintext, 91, digest, **changes)


def right(at_work: Repairing, off: int = 0) -> bytes:
    """σ of the liar, or almost."""
    return encoded(at_work.suite, sum_of(at_work, LIAR) + off)


def test_a_sum_that_its_helper_made_otherwise_is_taken(
    at_work: Repairing, sums: dict[int, bytes]
) -> None:
    """Step 6.7.5: what the forgeries below are measured by."""
    share = at_work.recover({**sums, LIAR: forged(at_work, right(at_work))})
    assert opened(at_work.suite, share) == at_work.epoch.shares[LOST]


@pytest.mark.parametrize("off", [1, -1, 600])
def test_sigma_wrong_names_helper(at_work: Repairing, sums: dict[int, bytes], off: int) -> None:
    """Step 6.7.5."""
    false = forged(at_work, right(at_work, off))
    assert at_lost(at_work, {**sums, LIAR: false}) == (LIAR,)


def test_sums_that_err_against_each_other_name_both(
    at_work: Repairing, sums: dict[int, bytes]
) -> None:
    """Step 6.7.5: x_r would be the right one."""
    digest = at_work.splits().digest
    for liar, off in ((1, 1), (2, -1)):
        false = encoded(at_work.suite, sum_of(at_work, liar) + off)
        sums[liar] = at_work.reference.summed(liar, false, 90 + liar, digest)
    assert at_lost(at_work, sums) == (1, 2)


@pytest.mark.parametrize("raw", ["order", "largest", "zero"])
def test_a_sum_that_is_no_scalar_names_its_sender(
    at_work: Repairing, sums: dict[int, bytes], raw: str
) -> None:
    """Step 1.8.7."""
    plaintext = {
        "order": unreduced(at_work.suite, 0),
        "largest": b"\xff" * 32,
        "zero": bytes(32),
    }[raw]
    assert at_lost(at_work, {**sums, LIAR: forged(at_work, plaintext)}) == (LIAR,)


def test_a_sum_that_is_not_reduced_names_its_sender(any_suite: Suite, take: Take) -> None:
    """Step 1.8.7: σ_2 = 5 is sent as 5 + q."""
    at_work = repairing(random_epoch(any_suite, 2, 3), take, 3, (1, 2))
    messages = {
        1: at_work.reference.split(1, [at_work.owed(1) - 2, 2], 71),
        2: at_work.reference.split(2, [at_work.owed(2) - 3, 3], 72),
    }
    digest, order = at_work.splits(messages).digest, any_suite.group.order
    first = encoded(any_suite, (at_work.owed(1) + at_work.owed(2) - 5) % order)
    sums = {
        1: at_work.reference.summed(1, first, 81, digest),
        2: at_work.reference.summed(2, encoded(any_suite, 5), 82, digest),
    }
    share = at_work.recover(sums, messages)
    assert opened(any_suite, share) == at_work.epoch.shares[3]
    sums[2] = at_work.reference.summed(2, unreduced(any_suite, 5), 82, digest)
    with pytest.raises(ProtocolAbort) as caught:
        at_work.recover(sums, messages)
    assert caught.value.culprits == (2,)


def test_a_flipped_bit_of_a_sum_names_its_sender(
    at_work: Repairing, sums: dict[int, bytes]
) -> None:
    """Step 6.7.5: in ciphertext, tag, proof and digest; a byte more or less, nothing."""
    honest = sums[LIAR]
    proof = 32 + at_work.suite.group.point_length  # z of PoP'
    for place in (len(honest) - 1, len(honest) - 30, proof, proof + 31, 0, 31):
        changed = bytearray(honest)
        changed[place] ^= 1
        assert at_lost(at_work, {**sums, LIAR: bytes(changed)}) == (LIAR,)
    for wrong in (honest + b"\0", honest[:-1], b""):
        assert at_lost(at_work, {**sums, LIAR: wrong}) == (LIAR,)


def test_a_copied_sum_names_only_the_copier(at_work: Repairing, sums: dict[int, bytes]) -> None:
    """Step 6.7.5: holder 2 shows what holder 1 sent; the digest is the same."""
    assert at_lost(at_work, {**sums, LIAR: sums[1]}) == (LIAR,)


def test_the_key_of_another_sum_names_its_sender(
    at_work: Repairing, sums: dict[int, bytes]
) -> None:
    """Step 6.7.5: E'_2 = E'_1 with the proof of holder 1, and E'_2 = E'_1 + B with one of its own.

    A complaint about either would open what holder 1 sealed for r.
    """
    group, start = at_work.suite.group, 32
    end = start + 2 * group.point_length + group.scalar_length
    own = forged(at_work, right(at_work))
    copied = own[:start] + sums[1][start:end] + own[end:]
    theirs = sums[1][end - group.point_length : end]
    made = group.combine([theirs, times_base(at_work.suite, 1)]) or b""
    for cheat in (copied, forged(at_work, right(at_work), shown=made)):
        assert at_lost(at_work, {**sums, LIAR: cheat}) == (LIAR,)


def test_a_sum_of_another_repair_names_its_sender(
    at_work: Repairing, sums: dict[int, bytes]
) -> None:
    """Step 6.7.2: proof and pad are bound to the sid."""
    replayed = forged(at_work, right(at_work), session=ANOTHER)
    assert at_lost(at_work, {**sums, LIAR: replayed}) == (LIAR,)
    group, start = at_work.suite.group, 32
    end = start + 2 * group.point_length + group.scalar_length
    honest = forged(at_work, right(at_work))
    mixed = honest[:end] + replayed[end:]
    assert at_lost(at_work, {**sums, LIAR: mixed}) == (LIAR,)


def test_all_culprits_of_the_sums_are_named_at_once(
    at_work: Repairing, sums: dict[int, bytes]
) -> None:
    """Section 1.10: a bad length, a bad proof, a false sum."""
    changed = bytearray(sums[3])
    changed[32 + at_work.suite.group.point_length] ^= 1
    lies = {1: sums[1][:-1], 2: forged(at_work, right(at_work, 1)), 3: bytes(changed)}
    assert at_lost(at_work, lies) == (1, 2, 3)


# --- two views of one helper ----------------------------------------------------------------------


def test_a_helper_that_sends_two_splits_has_nobody_else_named(at_work: Repairing) -> None:
    """Step 6.7.5: holder 2 sends other deltas to r than to the helpers, and both are sound.

    σ_1 and σ_3 are the sums of what came to holders 1 and 3. By what came to r they are false.
    """
    to_lost = at_work.reference.split(LIAR, at_work.deltas(LIAR), 71)
    sums = at_work.sums()
    assert at_lost(at_work, sums, {**at_work.messages, LIAR: to_lost}) == ()
    with pytest.raises(ProtocolAbort, match=r"holders \[1, 2, 3\] added up other deltas"):
        at_work.recover(sums, {**at_work.messages, LIAR: to_lost})


def test_a_helper_that_says_so_of_itself_is_not_named_and_gives_nothing(
    at_work: Repairing, sums: dict[int, bytes]
) -> None:
    """Step 6.7.5: it has to show the messages that it claims to have added up."""
    other = forged(at_work, right(at_work), digest=bytes(32))
    assert at_lost(at_work, {**sums, LIAR: other}) == ()


def test_what_holds_for_any_deltas_is_checked_of_others_too(
    at_work: Repairing, sums: dict[int, bytes]
) -> None:
    """Step 6.7.5: tag and scalar."""
    other = forged(at_work, bytes(32), digest=bytes(32))
    assert at_lost(at_work, {**sums, LIAR: other}) == (LIAR,)
    other = forged(at_work, right(at_work), digest=bytes(32))
    assert at_lost(at_work, {**sums, LIAR: other[:-1] + bytes([other[-1] ^ 1])}) == (LIAR,)


# --- sums of 0 ------------------------------------------------------------------------------------


def test_helpers_whose_deltas_cancel_do_not_stop_a_repair(at_work: Repairing) -> None:
    """Steps 1.8.4 and 6.7.5: δ_{1,3} = −δ_{2,3}, each sound. The library refuses a sum of 0.

    The two would have ended the repair, and nobody were to blame.
    """
    messages = {
        1: at_work.reference.split(1, [5, at_work.owed(1) - 5 - 77, 77], 71),
        2: at_work.reference.split(2, [5, at_work.owed(2) - 5 + 77, -77], 72),
        3: at_work.messages[3],
    }
    digest = at_work.splits(messages).digest
    assert at_work.collect(3, messages).digest == digest


def test_helpers_whose_sums_cancel_do_not_stop_a_repair(at_work: Repairing) -> None:
    """Steps 1.8.4 and 6.7.5: σ_1 = −σ_2, every check passed; the first two are added first."""
    suite, order = at_work.suite, at_work.suite.group.order
    third = [at_work.opened_delta(3, place) for place in range(3)]
    first = [5, 6, at_work.owed(1) - 11]
    second = [7, -(5 + 7 + third[0] + 6 + third[1]), 0]
    second[2] = at_work.owed(2) - second[0] - second[1]
    messages = {
        1: at_work.reference.split(1, first, 71),
        2: at_work.reference.split(2, second, 72),
        3: at_work.messages[3],
    }
    digest = at_work.splits(messages).digest
    sigmas = [sum(each) % order for each in zip(first, second, third, strict=True)]
    assert (sigmas[0] + sigmas[1]) % order == 0
    sums = {
        helper: at_work.reference.summed(helper, encoded(suite, sigma), 80 + helper, digest)
        for helper, sigma in enumerate(sigmas, 1)
    }
    assert opened(suite, at_work.recover(sums, messages)) == at_work.epoch.shares[LOST]


def test_a_helper_whose_sum_must_be_the_identity_is_named_if_it_sends_one(
    at_work: Repairing,
) -> None:
    """Steps 1.3.6 and 6.7.5: Σ_i D_{i,2} = O; no σ fits, and an honest helper had seen a lie."""
    third = at_work.opened_delta(3, 1)
    messages = {
        1: at_work.reference.split(1, [5, 6, at_work.owed(1) - 11], 71),
        2: at_work.reference.split(2, [5, -6 - third, at_work.owed(2) + 1 + third], 72),
        3: at_work.messages[3],
    }
    assert at_work.splits(messages).sum_for(2) is None
    digest = at_work.splits(messages).digest
    sums = {
        helper: at_work.reference.summed(helper, encoded(at_work.suite, 9), 80 + helper, digest)
        for helper in (1, 2, 3)
    }
    assert LIAR in at_lost(at_work, sums, messages)


# --- our own secrets ------------------------------------------------------------------------------


def test_a_fault_in_adding_up_the_sums_is_caught(
    at_work: Repairing, sums: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.7.5: memory or library failed."""
    splits, delivery = at_work.splits(), at_work.delivery(LOST)
    monkeypatch.setattr(type(at_work.suite.group), "add_at", lambda *_: None)
    with leaving_nothing(delivery.arena), pytest.raises(ProtocolAbort, match="fit") as caught:
        repair.recover(splits, delivery, sums)
    assert caught.value.culprits == ()
