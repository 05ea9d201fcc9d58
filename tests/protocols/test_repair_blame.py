"""Every way to cheat in a repair by R1, and who is named for it (step 6.7.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.protocols import repair
from hsm_mpc.protocols.repair_checks import verify
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Take
from tests.protocols.keygen import encoded, leaving_nothing, random_draws, times_base
from tests.protocols.refreshing import random_epoch
from tests.protocols.repairing import Messages, Repairing, repairing
from tests.protocols.test_dkg_blame import unreduced

LIAR, ME, LOST = 2, 3, 4
ANOTHER = b"an earlier repair".ljust(32, b".")


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Repairing:
    """3-of-5: holders 1, 2 and 3 repair the share of holder 4. Holder 2 lies."""
    return repairing(random_epoch(any_suite, 3, 5), take, LOST, (1, 2, 3))


def lied(at_work: Repairing, message: bytes, liar: int = LIAR) -> dict[int, bytes]:
    return {**at_work.messages, liar: message}


def at_helper(at_work: Repairing, messages: Messages, me: int = ME) -> tuple[int, ...]:
    """Whom helper `me` names for these R1."""
    delivery, draws = at_work.delivery(me), random_draws(at_work.suite, 1)
    with leaving_nothing(delivery.arena), pytest.raises(ProtocolAbort) as caught:
        repair.collect(at_work.keeps[me], delivery, messages, draws)
    return caught.value.culprits


def in_public(at_work: Repairing, messages: Messages) -> tuple[int, ...]:
    """Whom anybody names for these R1, and r too."""
    with pytest.raises(ProtocolAbort) as caught:
        verify(at_work.setup, messages)
    return caught.value.culprits


def everywhere(at_work: Repairing, message: bytes) -> None:
    """Every helper and the public name the liar for this R1."""
    messages = lied(at_work, message)
    assert in_public(at_work, messages) == (LIAR,)
    for me in (1, 3):
        assert at_helper(at_work, messages, me) == (LIAR,)


# --- one message of each helper -------------------------------------------------------------------


@pytest.mark.parametrize("senders", [(1, 2), (1, 2, 3, 4), (1, 2, 5), ()])
def test_a_repair_wants_one_message_of_each_helper(
    at_work: Repairing, senders: tuple[int, ...]
) -> None:
    """Steps 6.7.4 and 6.7.5."""
    splits, sums = at_work.splits(), at_work.sums()
    received = {index: at_work.messages.get(index, b"") for index in senders}
    draws = random_draws(at_work.suite, 1)
    with pytest.raises(BadInput, match=r"not of \[1, 2, 3\]"):
        verify(at_work.setup, received)
    with pytest.raises(BadInput, match=r"not of \[1, 2, 3\]"):
        repair.collect(at_work.keeps[ME], at_work.delivery(ME), received, draws)
    with pytest.raises(BadInput, match=r"not of \[1, 2, 3\]"):
        some = {index: sums.get(index, b"") for index in senders}
        repair.recover(splits, at_work.delivery(LOST), some)


@pytest.mark.parametrize("bit", [0, 2500])
def test_own_deltas_that_were_altered_blame_nobody(at_work: Repairing, bit: int) -> None:
    """Step 6.7.4: only the relay can have done it."""
    altered = bytearray(at_work.messages[ME])
    altered[bit // 8] ^= 1
    assert at_helper(at_work, lied(at_work, bytes(altered), ME)) == ()


# --- R1 as everybody sees it ----------------------------------------------------------------------


def test_a_split_of_another_length_names_its_sender(at_work: Repairing) -> None:
    """Step 6.7.4: a point more or less, a frame more or less, a byte more or less, nothing."""
    honest = at_work.split(LIAR)
    points, frames = honest.commitments, honest.sealed
    for lie in (
        replace(honest, commitments=(*points, points[0])).to_bytes(),
        replace(honest, commitments=points[:-1]).to_bytes(),
        replace(honest, sealed=(*frames, frames[0])).to_bytes(),
        replace(honest, sealed=frames[:-1]).to_bytes(),
        honest.to_bytes() + b"\0",
        honest.to_bytes()[:-1],
        b"",
    ):
        everywhere(at_work, lie)


@pytest.mark.parametrize("off", [1, -1, 1000])
def test_deltas_not_summing_names_helper(at_work: Repairing, off: int) -> None:
    """Step 6.7.4: each delta opens and is the committed one, and their sum is not ζ."""
    first, *rest = at_work.deltas(LIAR)
    everywhere(at_work, at_work.reference.split(LIAR, [first + off, *rest], 71))


def test_deltas_of_another_share_name_their_sender(at_work: Repairing) -> None:
    """Step 6.7.4: those of its share without λ, those of another helper, those of r."""
    share = at_work.epoch.shares
    for wrong in (share[LIAR], at_work.owed(1), share[LOST]):
        everywhere(at_work, at_work.reference.split(LIAR, [5, 6, wrong - 11], 71))


def test_deltas_that_add_up_to_nothing_name_their_sender(at_work: Repairing) -> None:
    """Steps 1.3.6 and 6.7.4: Σ D is the identity."""
    everywhere(at_work, at_work.reference.split(LIAR, [5, 6, -11], 71))


def test_a_copied_split_names_only_the_copier(at_work: Repairing) -> None:
    """Step 6.7.4: all of it, its commitments, its proofs and E."""
    theirs, own = at_work.split(1), at_work.split(LIAR)
    everywhere(at_work, theirs.to_bytes())
    for part in ("commitments", "possession", "static_possession", "ephemeral"):
        everywhere(at_work, replace(own, **{part: getattr(theirs, part)}).to_bytes())


def test_an_ephemeral_key_made_of_another_helpers_names_its_sender(at_work: Repairing) -> None:
    """Steps 6.7.3 and 6.7.4: E_2 = E_1 + B: a complaint would open what holder 1 sealed."""
    group = at_work.suite.group
    made = group.combine([at_work.split(1).ephemeral, times_base(at_work.suite, 1)]) or b""
    everywhere(at_work, at_work.reference.split(LIAR, at_work.deltas(LIAR), 71, shown=made))


def test_a_split_of_another_repair_names_its_sender(at_work: Repairing) -> None:
    """Step 6.7.2: proofs and pads are bound to the sid; a replay."""
    deltas = at_work.deltas(LIAR)
    replayed = at_work.reference.split(LIAR, deltas, 71, session=ANOTHER)
    everywhere(at_work, replayed)
    honest = at_work.reference.split(LIAR, deltas, 71)
    proof = 3 * at_work.suite.group.point_length
    end = proof + 2 * (at_work.suite.group.point_length + at_work.suite.group.scalar_length)
    mixed = replayed[:proof] + honest[proof:end] + replayed[end:]
    assert verify(at_work.setup, lied(at_work, mixed)), "the pads are nobody's but the receivers'"
    assert at_helper(at_work, lied(at_work, mixed)) == (LIAR,)


# --- the delta for us -----------------------------------------------------------------------------


def test_a_flipped_bit_of_a_delta_names_its_sender(at_work: Repairing) -> None:
    """Step 6.7.4: at the helper whose ciphertext it is, and nowhere else."""
    changed = bytearray(at_work.messages[LIAR])
    changed[-1] ^= 1  # the tag for holder 3
    messages = lied(at_work, bytes(changed))
    assert at_work.collect(1, messages).digest == at_work.splits(messages).digest
    assert at_helper(at_work, messages) == (LIAR,)


def test_a_delta_of_another_receiver_names_its_sender(at_work: Repairing) -> None:
    """Step 6.7.4."""
    own = at_work.split(LIAR)
    swapped = replace(own, sealed=(own.sealed[0], own.sealed[1], own.sealed[0]))
    assert at_helper(at_work, lied(at_work, swapped.to_bytes())) == (LIAR,)


@pytest.mark.parametrize("raw", ["order", "largest", "zero", "unreduced"])
def test_a_delta_that_is_no_scalar_names_its_sender(at_work: Repairing, raw: str) -> None:
    """Step 1.8.7; the δ for us is 5, and sent as 5 + q in the last one."""
    suite = at_work.suite
    plaintext = {
        "order": unreduced(suite, 0),
        "largest": b"\xff" * 32,
        "zero": bytes(32),
        "unreduced": unreduced(suite, 5),
    }[raw]
    deltas = [7, at_work.owed(LIAR) - 12, 5]
    cheat = at_work.reference.split(LIAR, deltas, 71, raw={ME: plaintext})
    assert at_helper(at_work, lied(at_work, cheat)) == (LIAR,)


@pytest.mark.parametrize("off", [1, -1, 600])
def test_delta_not_matching_commitment_names_helper(at_work: Repairing, off: int) -> None:
    """Step 6.7.4."""
    deltas = at_work.deltas(LIAR)
    false = encoded(at_work.suite, deltas[2] + off)
    cheat = at_work.reference.split(LIAR, deltas, 71, raw={ME: false})
    assert at_helper(at_work, lied(at_work, cheat)) == (LIAR,)


def test_deltas_that_err_against_each_other_name_both(at_work: Repairing) -> None:
    """Step 6.7.4: by +1 and −1; σ would be the right one."""
    messages = dict(at_work.messages)
    for liar, off in ((1, 1), (2, -1)):
        deltas = at_work.deltas(liar)
        false = encoded(at_work.suite, deltas[2] + off)
        messages[liar] = at_work.reference.split(liar, deltas, 70 + liar, raw={ME: false})
    assert at_helper(at_work, messages) == (1, 2)


def test_all_culprits_of_a_split_are_named_at_once(any_suite: Suite, take: Take) -> None:
    """Section 1.10: a bad length, a bad proof, a bad sum, a bad ciphertext, a bad delta."""
    at_work = repairing(random_epoch(any_suite, 6, 7), take, 7, range(1, 7))
    reference = at_work.reference
    first, *rest = at_work.deltas(4)
    messages = {
        **at_work.messages,
        2: at_work.messages[2][:-1],
        3: replace(at_work.split(3), ephemeral=times_base(any_suite, 82)).to_bytes(),
        4: reference.split(4, [first + 1, *rest], 71),
        5: reference.split(5, at_work.deltas(5), 72, raw={1: bytes(32)}),
        6: reference.split(6, at_work.deltas(6), 73, raw={1: encoded(any_suite, 1)}),
    }
    delivery, draws = at_work.delivery(1), random_draws(any_suite, 1)
    with pytest.raises(ProtocolAbort) as caught:
        repair.collect(at_work.keeps[1], delivery, messages, draws)
    assert caught.value.culprits == (2, 3, 4, 5, 6)
    text = str(caught.value)
    for reason in ("left", "possession", "add up", "no scalar", "not the committed one"):
        assert reason in text
    assert in_public(at_work, messages) == (2, 3, 4)


# --- our own secrets ------------------------------------------------------------------------------


def test_a_share_of_another_holder_or_epoch_is_never_split(at_work: Repairing) -> None:
    """Step 6.7.4: everybody would name us."""
    delivery, wrong = at_work.delivery(1), at_work.share(2)
    draws = random_draws(at_work.suite, 1)
    with leaving_nothing(delivery.arena), pytest.raises(ProtocolAbort, match="fit") as caught:
        repair.split(at_work.setup, 1, delivery, wrong, draws)
    assert caught.value.culprits == ()


def test_another_delivery_key_than_ours_accuses_nobody_in_a_repair(at_work: Repairing) -> None:
    """Steps 6.7.3 to 6.7.5: nothing would open, and every helper would be named."""
    wrong, share = at_work.delivery(5), at_work.share(1)
    draws, setup = random_draws(at_work.suite, 1), at_work.setup
    splits, sums, keep = at_work.splits(), at_work.sums(), at_work.keeps[1]
    messages = at_work.messages

    def refused(match: str, round_: Callable[[], object]) -> None:
        with leaving_nothing(wrong.arena), pytest.raises(ProtocolAbort, match=match) as caught:
            round_()
        assert caught.value.culprits == ()

    refused("own index 1", lambda: repair.split(setup, 1, wrong, share, draws))
    refused("own index 1", lambda: repair.resume(setup, 1, wrong, messages[1]))
    refused("own delta does not open", lambda: repair.collect(keep, wrong, messages, draws))
    refused("own index 4", lambda: repair.recover(splits, wrong, sums))
