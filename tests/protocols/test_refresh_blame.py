"""Every way to cheat in a refresh, and who is named for it (steps 6.4.3 to 6.4.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.protocols import refresh, schnorr
from hsm_mpc.protocols.dealing import possession_message
from hsm_mpc.protocols.refresh_messages import ZeroDealing
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Take
from tests.protocols.forgery import proving_keys
from tests.protocols.keygen import (
    encoded,
    leaving_nothing,
    random_draws,
    scripted,
    times_base,
)
from tests.protocols.refreshing import Refreshing, epoch_of, random_epoch, refreshing
from tests.protocols.test_dkg_blame import unreduced
from tests.secure.bytes_of import filled

Messages = dict[int, bytes]


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Refreshing:
    """3-of-4, refreshed by holders 1 to 3."""
    return refreshing(random_epoch(any_suite, 3, 4), take, (1, 2, 3))


def replaced(at_work: Refreshing, **lies: ZeroDealing | bytes) -> Messages:
    """`at_work.messages` but for `_2=…`."""
    messages = dict(at_work.messages)
    for name, lie in lies.items():
        messages[int(name[1:])] = lie if isinstance(lie, bytes) else lie.to_bytes()
    return messages


def culprits(at_work: Refreshing, messages: Messages, me: int = 1) -> tuple[int, ...]:
    """Whom holder `me` names; whoever dealt combines, others catch up. No slot is left."""
    own = at_work.delivery(me), at_work.share(me), messages
    free = own[0].arena.free_bytes
    with pytest.raises(ProtocolAbort) as caught:
        if me in at_work.keeps:
            refresh.combine(at_work.keeps[me], *own)
        else:
            refresh.catch_up(at_work.setup, me, *own)
    assert own[0].arena.free_bytes >= free, "a slot is left, though the traceback holds it"
    return caught.value.culprits


def reasons(at_work: Refreshing, messages: Messages) -> str:
    """What holder 1 says of those whom it names."""
    own = at_work.delivery(1), at_work.share(1), messages
    with pytest.raises(ProtocolAbort) as caught:
        refresh.combine(at_work.keeps[1], *own)
    return str(caught.value)


# --- dealers are exactly S ------------------------------------------------------------------------


@pytest.mark.parametrize("me", [1, 4])
@pytest.mark.parametrize("others", [{1: b""}, {1: b"", 2: b""}, {1: b"", 2: b"", 3: b"", 4: b""}])
def test_a_refresh_wants_one_dealing_of_each_dealer(
    at_work: Refreshing, me: int, others: Messages
) -> None:
    """Step 6.4.3: also none of a holder that is no dealer."""
    messages = {index: at_work.messages.get(index, b"") for index in others}
    with pytest.raises(BadInput, match=r"not of \[1, 2, 3\]"):
        at_work.combine(me, messages) if me == 1 else at_work.catch_up(me, messages)


# --- lengths, copies, proofs ----------------------------------------------------------------------


def test_a_constant_term_cannot_be_sent(at_work: Refreshing) -> None:
    """Steps 6.4.2 and 6.4.3: t points in place of t − 1, also t − 2; a trailing byte; nothing."""
    honest = at_work.dealing(2)
    constant = times_base(at_work.suite, 5)
    longer = replace(honest, commitments=(constant, *honest.commitments))
    shorter = replace(honest, commitments=honest.commitments[:1])
    for me, lie in (
        (1, longer),
        (4, longer),
        (1, shorter),
        (4, honest.to_bytes() + b"\0"),
        (1, b""),
    ):
        assert culprits(at_work, replaced(at_work, _2=lie), me) == (2,)


@pytest.mark.parametrize("bit", [0, 1500])
def test_an_own_dealing_that_was_altered_blames_nobody(at_work: Refreshing, bit: int) -> None:
    """Step 6.4.3: only the relay can have done it."""
    altered = bytearray(at_work.messages[1])
    altered[bit // 8] ^= 1
    assert culprits(at_work, replaced(at_work, _1=bytes(altered))) == ()


def test_an_own_dealing_of_another_attempt_blames_nobody(at_work: Refreshing, take: Take) -> None:
    """Step 6.4.3."""
    other = refreshing(at_work.epoch, take, (1, 2, 3), seed=9)
    assert culprits(at_work, replaced(at_work, _1=other.messages[1])) == ()


def test_equal_first_commitments_name_the_pair(at_work: Refreshing) -> None:
    """Step 6.4.3: C_{i,1} pairwise distinct, each with a proof of its own."""
    lies = {"_2": at_work.forged(2, (500, 3), 71), "_3": at_work.forged(3, (500, 4), 72)}
    assert culprits(at_work, replaced(at_work, **lies)) == (2, 3)
    assert culprits(at_work, replaced(at_work, **lies), me=4) == (2, 3)


def test_equal_ephemeral_keys_name_the_pair(at_work: Refreshing) -> None:
    """Step 6.4.3: E_i distinct."""
    lies = {"_2": at_work.forged(2, (500, 3), 71), "_3": at_work.forged(3, (501, 4), 71)}
    assert culprits(at_work, replaced(at_work, **lies)) == (2, 3)


def test_a_copied_dealing_names_only_the_copier(at_work: Refreshing) -> None:
    """Step 6.4.3: PoP^E of holder 2 is none of holder 3, and no pad fits."""
    second, third = at_work.dealing(2), at_work.dealing(3)
    for lie in (second, replace(second, sealed=third.sealed)):
        assert culprits(at_work, replaced(at_work, _3=lie)) == (3,)


def test_a_copied_commitment_without_knowledge_names_its_sender(at_work: Refreshing) -> None:
    """Step 6.4.3: C_{3,1} = X − C_{1,1}, whose logarithm nobody knows."""
    group, own = at_work.suite.group, at_work.dealing(1).commitments[0]
    rogue = group.combine([times_base(at_work.suite, 4242), group.negate_point(own)]) or b""
    honest = at_work.forged(3, (4242, 9), 73)
    mixed = replace(honest, commitments=(rogue, honest.commitments[1]))
    cheat = proving_keys(at_work.setup, 3, mixed, at_work.delivery(3), 73)
    assert culprits(at_work, replaced(at_work, _3=cheat)) == (3,)


@pytest.mark.parametrize(
    "part",
    ["possession", "ephemeral_possession", "static_possession", "ephemeral", "commitments"],
)
def test_a_proof_belongs_to_its_commitments_and_ephemeral_key(
    at_work: Refreshing, part: str
) -> None:
    """Steps 6.4.2 and 6.4.3."""
    other, honest = at_work.forged(2, (600, 3), 74), at_work.forged(2, (601, 4), 75)
    mixed = replace(honest, **{part: getattr(other, part)})
    assert culprits(at_work, replaced(at_work, _2=mixed)) == (2,)


def test_a_dealing_of_another_attempt_names_its_sender(at_work: Refreshing) -> None:
    """Step 6.4.1: proof and pads are bound to the sid; a replay."""
    replayed = at_work.forged(2, (600, 3), 76, session=b"an earlier attempt")
    honest = at_work.forged(2, (600, 3), 76)
    for part in ("possession", "ephemeral_possession", "static_possession"):
        cheat = replace(honest, **{part: getattr(replayed, part)})
        assert culprits(at_work, replaced(at_work, _2=cheat)) == (2,)
    assert culprits(at_work, replaced(at_work, _2=replayed)) == (2,)


def test_proofs_alone_are_not_enough(at_work: Refreshing, take: Take) -> None:
    """Step 6.4.1: the proofs are of this attempt, the pads are of another one."""
    replayed = at_work.forged(2, (600, 3), 76, session=b"an earlier attempt")
    first = filled(take(32), encoded(at_work.suite, 600))
    signed = possession_message(at_work.setup, replayed.commitments, replayed.ephemeral)
    with first.open() as key:
        proof = schnorr.sign(at_work.suite, first.arena, key, replayed.commitments[0], signed)
    proven = replace(replayed, possession=proof)
    cheat = proving_keys(at_work.setup, 2, proven, at_work.delivery(2), 76)
    assert culprits(at_work, replaced(at_work, _2=cheat)) == (2,)
    assert "does not open" in reasons(at_work, replaced(at_work, _2=cheat))


# --- the delta for us -----------------------------------------------------------------------------


def test_a_flipped_ciphertext_bit_names_its_dealer(at_work: Refreshing) -> None:
    """Step 6.4.3: at the one whose ciphertext it is. Nobody can check it for who is absent."""
    changed = bytearray(at_work.messages[2])
    changed[-1] ^= 1  # the tag for holder 4
    messages = replaced(at_work, _2=bytes(changed))
    for me in (1, 3):
        abort(at_work.combine(me, messages))
    assert culprits(at_work, messages, me=4) == (2,)


def test_a_ciphertext_of_another_receiver_names_its_dealer(at_work: Refreshing) -> None:
    """Step 6.4.3."""
    honest = at_work.dealing(2)
    swapped = replace(honest, sealed=(honest.sealed[2], *honest.sealed[1:]))
    assert culprits(at_work, replaced(at_work, _2=swapped)) == (2,)


@pytest.mark.parametrize("raw", ["order", "largest", "zero", "unreduced"])
def test_a_delta_that_is_no_scalar_names_its_dealer(at_work: Refreshing, raw: str) -> None:
    """Step 1.8.7; g_2(1) = 5 is sent as 5 + q in the last one."""
    suite = at_work.suite
    delta = {
        "order": unreduced(suite, 0),
        "largest": b"\xff" * 32,
        "zero": bytes(32),
        "unreduced": unreduced(suite, 5),
    }[raw]
    for me in (1, 4):
        cheat = at_work.forged(2, (2, 3), 77, raw_shares={me: delta})
        assert culprits(at_work, replaced(at_work, _2=cheat), me) == (2,)


@pytest.mark.parametrize("off", [1, 600])
def test_a_wrong_delta_names_its_dealer(at_work: Refreshing, off: int) -> None:
    """Step 6.4.3: wrong_delta_names_dealer."""
    for me in (1, 4):
        right = 600 * me + 3 * me**2
        cheat = at_work.forged(3, (600, 3), 78, shares={me: right + off})
        assert culprits(at_work, replaced(at_work, _3=cheat), me) == (3,)


def test_a_key_cannot_be_shifted(at_work: Refreshing) -> None:
    """Steps 6.4.2 and 6.4.3: shifted_key_impossible. Every delta is too large by one constant."""
    shifted = {index: 600 * index + 3 * index**2 + 77 for index in (1, 2, 3, 4)}
    cheat = at_work.forged(3, (600, 3), 78, shares=shifted)
    for me in (1, 2, 4):
        assert culprits(at_work, replaced(at_work, _3=cheat), me) == (3,)


def test_a_delta_of_the_divided_polynomial_is_wrong(at_work: Refreshing) -> None:
    """Step 6.4.3: h(2) in place of g(2) = 2·h(2)."""
    cheat = at_work.forged(3, (600, 3), 78, shares={2: 600 + 3 * 2})
    assert culprits(at_work, replaced(at_work, _3=cheat), me=2) == (3,)


def test_errors_that_cancel_out_name_both_dealers(at_work: Refreshing) -> None:
    """Step 6.4.3: two dealers err by +1 and −1, and the sum of all deltas is the right one."""
    lies = {
        "_2": at_work.forged(2, (600, 3), 79, shares={1: 604}),
        "_3": at_work.forged(3, (700, 3), 80, shares={1: 702}),
    }
    assert culprits(at_work, replaced(at_work, **lies)) == (2, 3)


def test_all_culprits_of_all_checks_are_named_at_once(any_suite: Suite, take: Take) -> None:
    """Section 1.10: a bad length, a bad proof, a bad ciphertext and a bad delta."""
    at_work = refreshing(random_epoch(any_suite, 2, 6), take, range(1, 6))
    unproven = at_work.forged(3, (600,), 81)
    messages = replaced(
        at_work,
        _2=at_work.messages[2][:-1],
        _3=replace(unproven, ephemeral=times_base(any_suite, 82)),
        _4=at_work.forged(4, (700,), 83, raw_shares={1: bytes(32), 6: bytes(32)}),
        _5=at_work.forged(5, (800,), 84, shares={1: 1, 6: 1}),
    )
    for me in (1, 6):
        with pytest.raises(ProtocolAbort) as caught:
            at_work.combine(me, messages) if me == 1 else at_work.catch_up(me, messages)
        assert caught.value.culprits == (2, 3, 4, 5)
        text = str(caught.value)
        for reason in ("left", "possession", "no scalar", "not the committed one"):
            assert reason in text


# --- sums -----------------------------------------------------------------------------------------


@pytest.fixture
def with_numbers(any_suite: Suite, take: Take) -> Refreshing:
    """3-of-4 of f(x) = 7 + 5x + 2x²; holder 1 dealt g(x) = 9x + 8x²."""
    epoch = epoch_of(any_suite, (7, 5, 2), (11, 12, 13, 14))
    at_work = refreshing(epoch, take, (1, 2, 3))
    draws = scripted(any_suite, 9, 8, 55)
    keep, outbox = refresh.deal(at_work.setup, 1, at_work.delivery(1), draws)
    at_work.keeps[1], at_work.messages[1] = keep, outbox.to_all
    return at_work


def test_a_commitment_that_becomes_the_identity_aborts_without_culprit(
    with_numbers: Refreshing,
) -> None:
    """Step 6.4.4: A'_2 = O, as two dealers cancel what it was."""
    lies = {
        "_2": with_numbers.forged(2, (600, -8), 85),
        "_3": with_numbers.forged(3, (700, -2), 86),
    }
    messages = replaced(with_numbers, **lies)
    for me in (1, 4):
        assert culprits(with_numbers, messages, me) == ()
    with pytest.raises(ProtocolAbort, match="coefficient 2 is the identity"):
        with_numbers.combine(1, messages)


def test_a_sum_of_deltas_that_is_the_identity_changes_nothing_there(
    with_numbers: Refreshing,
) -> None:
    """Step 6.4.4: Σ C_{i,2} = O is no A'_2 = O."""
    messages = replaced(
        with_numbers,
        _2=with_numbers.forged(2, (600, -5), 85),
        _3=with_numbers.forged(3, (700, -3), 86),
    )
    renewed = with_numbers.combine(1, messages)
    assert renewed.commitments[2] == with_numbers.epoch.commitments[2]
    assert renewed.commitments[1] != with_numbers.epoch.commitments[1]
    abort(renewed)


def test_a_public_share_that_becomes_the_identity_aborts_without_culprit(
    with_numbers: Refreshing,
) -> None:
    """Step 6.4.4: A'(4) = O, which holder 1 sees though its own share is good."""
    inverse = pow(4, -1, with_numbers.suite.group.order)
    slope = -(7 * inverse + 5 + 9 + 600 + 4 * (2 + 8 + 3 + 1))
    lies = {
        "_2": with_numbers.forged(2, (600, 3), 87),
        "_3": with_numbers.forged(3, (slope, 1), 88),
    }
    assert culprits(with_numbers, replaced(with_numbers, **lies)) == ()
    with pytest.raises(ProtocolAbort, match="holder 4 is the identity"):
        with_numbers.combine(1, replaced(with_numbers, **lies))


def test_a_wrong_delta_is_named_though_a_sum_is_the_identity(with_numbers: Refreshing) -> None:
    """Steps 6.4.3 and 6.4.4."""
    lies = {
        "_2": with_numbers.forged(2, (600, -8), 85, shares={1: 1}),
        "_3": with_numbers.forged(3, (700, -2), 86),
    }
    assert culprits(with_numbers, replaced(with_numbers, **lies)) == (2,)


def test_dealers_whose_deltas_cancel_do_not_stop_a_refresh(with_numbers: Refreshing) -> None:
    """Steps 1.8.4 and 6.4.5: two dealings, each sound, whose deltas for us add up to 0.

    The library refuses a sum of 0. The two would have ended the attempt, and nobody were to blame.
    """
    own = 9 * 4 + 8 * 16
    inverse = pow(4, -1, with_numbers.suite.group.order)
    messages = replaced(
        with_numbers,
        _2=with_numbers.forged(2, (-own * inverse - 4 * 3, 3), 89),
    )
    renewed = with_numbers.catch_up(4, messages)
    assert with_numbers.suite.group.public_point(renewed.share) == renewed.public_shares[3]
    abort(renewed)


# --- our own secrets ------------------------------------------------------------------------------


@pytest.mark.parametrize("me", [1, 4])
def test_a_share_of_another_epoch_is_found(at_work: Refreshing, me: int) -> None:
    """Step 6.4.5: x'_r·B = A'(r), else nobody is named."""
    own = at_work.delivery(me), at_work.share(me % 4 + 1), at_work.messages
    with leaving_nothing(own[0].arena), pytest.raises(ProtocolAbort, match="fit") as caught:
        if me == 1:
            refresh.combine(at_work.keeps[1], *own)
        else:
            refresh.catch_up(at_work.setup, me, *own)
    assert caught.value.culprits == ()


def test_a_fault_in_adding_up_the_deltas_is_caught(
    at_work: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.4.5: memory or library failed."""
    monkeypatch.setattr(type(at_work.suite.group), "add_at", lambda *_: None)
    assert culprits(at_work, at_work.messages) == ()


def test_another_delivery_key_than_ours_accuses_nobody(at_work: Refreshing) -> None:
    """Step 6.4.3: nothing would open, and every dealer would be named."""
    wrong = at_work.delivery(2)
    draws = random_draws(at_work.suite, 1)

    def refused(match: str, round_: Callable[[], object]) -> None:
        with leaving_nothing(wrong.arena), pytest.raises(ProtocolAbort, match=match) as caught:
            round_()
        assert caught.value.culprits == ()

    setup, keep, share = at_work.setup, at_work.keeps[1], at_work.share(1)
    messages = at_work.messages
    refused("own index 1", lambda: refresh.deal(setup, 1, wrong, draws))
    refused("own dealing does not open", lambda: refresh.combine(keep, wrong, share, messages))
    refused("own index 4", lambda: refresh.catch_up(setup, 4, wrong, share, messages))
